"""What a loaded student offers for whole frames on a device (vivant.engines.device_frame), by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np

from vivant.engines.adapter import ADAPTED, dressed
from vivant.engines.contract import Part
from vivant.engines.student import Student
from vivant.engines.walk import Walk, house_walk
from vivant.runtime.frames import F32, Array, Controls

if TYPE_CHECKING:
    import torch

    from vivant.engines.device_frame import TensorPart


class DeviceStudent(Protocol):
    """A student as DeviceFrame wants it. One thread, between two frames.

    `noises` is how many noises its walks may use. `asks` gives the walk of a frame, the recipes that its
    planes are made for, its noises (an array that is the same object is not put to the device again), and the
    inputs of its parts that the frame does not make itself."""

    parts: Mapping[Part, TensorPart]
    device: torch.device
    noises: int

    def asks(
        self, controls: Controls
    ) -> tuple[Walk, Mapping[str, float], tuple[F32, ...], Mapping[tuple[Part, str], Array]]: ...


class HouseOnDevice:
    """A house student; the same arithmetic as Student.denoise and Student.dress."""

    noises = 1

    def __init__(self, student: Student, device: torch.device) -> None:
        self.parts = cast("Mapping[Part, TensorPart]", student.engines)
        self.device = device
        self._card, self._wardrobe = student.card, student.wardrobe
        self._shape = student.engines["denoise"].outputs[0].shape
        self._seed: int | None = None
        self._noise: F32 = np.empty(0, np.float32)

    def asks(
        self, controls: Controls
    ) -> tuple[Walk, Mapping[str, float], tuple[F32, ...], Mapping[tuple[Part, str], Array]]:
        """As DeviceStudent. Strength is clipped to the card's sigma_range."""
        low, high = self._card.sigma_range
        walk = house_walk(min(max(controls.strength, low), high), controls.steps)
        recipes, style = dressed(self._card, self._wardrobe, controls)
        given: dict[tuple[Part, str], Array] = {(part, "style"): style for part in ADAPTED}
        for part, slots in self._wardrobe.parts.items():
            given |= {(part, name): array for name, array in slots.inputs().items()}
        if controls.seed != self._seed:
            generator = np.random.Generator(np.random.Philox(key=controls.seed))
            self._noise, self._seed = generator.standard_normal(self._shape, np.float32), controls.seed
        return walk, recipes, (self._noise,), given


KINDS: Final[Mapping[str, Callable[[Any, Any], DeviceStudent]]] = MappingProxyType({"house": HouseOnDevice})
"""By a card's kind; a kind that is not here runs its stages one by one."""


def on_device(student: Any) -> DeviceStudent | None:  # any LoadedStudent
    """A student whose parts all lie on one GPU, for whole frames there; None for any other."""
    make = KINDS.get(student.card.kind)
    engines = getattr(student, "engines", {})
    found = {getattr(engine, "device", None) for engine in engines.values()}
    device = found.pop() if len(found) == 1 else None
    if make is None or device is None or device.type == "cpu":
        return None
    return make(student, device)
