"""The scenes that ship: one TOML file each."""
