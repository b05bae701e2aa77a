"""What every output promises: the finished picture, handed to another program."""

from __future__ import annotations

from typing import Any, Protocol

from vivant.runtime.frames import U8, VivantError


class OutputError(VivantError):
    """An output that a scene asks for cannot be had here."""


class Receiver(Protocol):
    """What a picture is given to; opened for one size, and used by one thread."""

    def send(self, pixels: U8) -> None:
        """`pixels` u8 (H, W, 4) RGBA, top row first, contiguous. It may wait, for its thread is its own."""

    def close(self) -> None:
        """Give back what it holds."""


class Output(Protocol):
    """An output of a show. All methods belong to the present loop's thread; none waits, and once it is open
    none raises."""

    name: str

    def offer(self, pixels: U8) -> None:
        """The picture that was just drawn, u8 (H, W, 4) RGBA, which nobody writes to any more."""

    def counts(self) -> dict[str, Any]:
        """For the report."""

    def close(self) -> None:
        """End its thread. Calling it again does nothing."""
