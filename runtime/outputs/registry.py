"""The only door to the outputs: a scene's words for one, and what they open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from vivant.runtime.frames import U8, Clock
from vivant.runtime.outputs.contract import Output, OutputError, Receiver
from vivant.runtime.outputs.ndi import check_ndi, open_ndi
from vivant.runtime.outputs.running import RunningOutput
from vivant.runtime.outputs.spout import check_spout, open_spout
from vivant.runtime.outputs.syphon import check_syphon, open_syphon
from vivant.runtime.outputs.virtual_camera import check_virtual_camera, open_virtual_camera
from vivant.runtime.placing import Size


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of output: an `example` for errors, how to `check` before the show that it can be had, and
    how to `open` it for a size. `system` is the only one that has it, as sys.platform says; empty: any."""

    example: str
    check: Callable[[str], None]
    open: Callable[[str, Size], Receiver]
    system: str = ""


KINDS: Final = {
    "ndi": Kind("ndi:NAME", check_ndi, open_ndi),
    "spout": Kind("spout:NAME", check_spout, open_spout, "win32"),
    "syphon": Kind("syphon:NAME", check_syphon, open_syphon, "darwin"),
    "camera": Kind("camera:/dev/video10", check_virtual_camera, open_virtual_camera),
}


def parse(spec: str) -> tuple[Kind, str]:
    """The kind and the name of `ndi:Vivant`. Raises OutputError listing what there is."""
    word, _, name = spec.partition(":")
    if word not in KINDS or not name.strip() or not name.isprintable():
        known = ", ".join(kind.example for kind in KINDS.values())
        raise OutputError(f"output '{spec}' is not known. Give one of: {known}")
    return KINDS[word], name


class Outputs:
    """All outputs of a show, as one. One thread: the present loop's."""

    def __init__(self, specs: Sequence[str] = (), clock: Clock | None = None) -> None:
        """Raises OutputError for the first that cannot be had; nothing is left open then."""
        found = [(spec, *parse(spec)) for spec in specs]
        for _, kind, name in found:
            kind.check(name)
        if found and clock is None:
            raise ValueError("outputs need a clock")
        self.all: tuple[Output, ...] = tuple(
            RunningOutput(spec, partial(kind.open, name), clock)
            for spec, kind, name in found
            if clock is not None
        )

    @property
    def any(self) -> bool:
        """Whether a picture is wanted at all: reading it back costs time."""
        return bool(self.all)

    def offer(self, pixels: U8) -> None:
        """The picture that was just drawn, u8 (H, W, 4) RGBA, top row first."""
        whole = pixels if pixels.flags.c_contiguous else pixels.copy()
        for output in self.all:
            output.offer(whole)

    def counts(self) -> dict[str, dict[str, Any]]:
        """By the output's name."""
        return {output.name: output.counts() for output in self.all}

    def close(self) -> None:
        """Close them all."""
        for output in self.all:
            output.close()
