"""Tests that need an NVIDIA GPU. They were written without one: the first rig that runs them tests them."""
