"""What a loaded student offers for whole frames on a device (vivant.engines.device_frame), by its kind."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

import numpy as np

from vivant.engines.adapter import ADAPTED, dressed
from vivant.engines.contract import Part
from vivant.engines.diffusion.on_device import DiffusionOnDevice
from vivant.engines.student import Student
from vivant.engines.walk import Wish, house_walk
from vivant.runtime.frames import F32, U8, Array, Controls

if TYPE_CHECKING:
    import torch

    from vivant.engines.device_contract import DeviceStudent, TensorPart

log = logging.getLogger(__name__)


class HouseOnDevice:
    """A house student as a DeviceStudent; the same arithmetic as Student.denoise and Student.dress."""

    steps: tuple[int, ...] = (1, 2, 3, 4)
    noises = 1
    kept: Mapping[tuple[Part, str], torch.Tensor] = MappingProxyType({})
    sees: Literal["edges", "frame"] | None = None
    leaves_out = False

    def __init__(self, student: Student, device: torch.device) -> None:
        self.parts = cast("Mapping[Part, TensorPart]", student.engines)
        self.device = device
        self._card, self._wardrobe = student.card, student.wardrobe
        self._shape = student.engines["denoise"].outputs[0].shape
        self._seed: int | None = None
        self._noise: F32 = np.empty(0, np.float32)

    @staticmethod
    def refusal(student: Student) -> str:
        """Every house student can."""
        return ""

    def asks(self, controls: Controls, pixels: U8) -> Wish:
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
        return Wish(walk, (self._noise,), given, recipes)


class Offer(Protocol):
    """How a kind of student comes to whole frames. `refusal` says why one does not, empty where it does."""

    def __call__(self, student: Any, device: torch.device) -> DeviceStudent: ...
    def refusal(self, student: Any) -> str: ...


KINDS: Final[Mapping[str, Offer]] = MappingProxyType({"house": HouseOnDevice, "diffusion": DiffusionOnDevice})
"""By a card's kind."""


def on_device(student: Any) -> DeviceStudent | None:  # any LoadedStudent
    """A student whose parts all lie on one GPU, for whole frames there; None for any other."""
    device = gpu_of(student)
    if device is None or refusal(student):
        return None
    return KINDS[student.card.kind](student, device)


def refusal(student: Any) -> str:
    """Why a student whose parts lie on a GPU runs them one by one all the same, by the policy part_by_part;
    empty for one that need not, and for one that lies elsewhere."""
    if gpu_of(student) is None:
        apart = any(getattr(engine, "device", "") is None for engine in _engines(student).values())
        return "torch for CUDA, which joins the parts of a frame, is not here" if apart else ""
    offer = KINDS.get(student.card.kind)
    if offer is None:
        return f"nothing paints whole frames with students of kind {student.card.kind}"
    return offer.refusal(student)


def gpu_of(student: Any) -> torch.device | None:
    """The GPU on which all parts of a student lie; None where they do not."""
    found = {getattr(engine, "device", None) for engine in _engines(student).values()}
    device = found.pop() if len(found) == 1 else None
    return None if device is None or device.type == "cpu" else device


def _engines(student: Any) -> Mapping[Part, Any]:
    found: Mapping[Part, Any] = getattr(student, "engines", {})
    return found
