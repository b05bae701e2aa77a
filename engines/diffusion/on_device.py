"""A diffusion student for whole frames on a device (vivant.engines.device_frame)."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from vivant.engines.contract import Part
from vivant.engines.diffusion.bank import Layout
from vivant.engines.diffusion.steps import FRESH
from vivant.engines.diffusion.student import MOST_STEPS, DiffusionStudent
from vivant.engines.walk import Wish
from vivant.runtime.frames import F32, U8, Controls

if TYPE_CHECKING:
    import torch

    from vivant.engines.device_contract import TensorPart


class DiffusionOnDevice:
    """A diffusion student as a DeviceStudent. From here on its adapters hang on the device."""

    steps: tuple[int, ...] = tuple(range(MOST_STEPS + 1))  # at a strength below every timestep there are none
    leaves_out = True

    def __init__(self, student: DiffusionStudent, device: torch.device) -> None:
        self.parts = cast("Mapping[Part, TensorPart]", student.engines)
        self.device = device
        self._student = student
        facts = student.diffusion
        self.noises = MOST_STEPS if facts.sampler.kind in FRESH else 1
        self.sees: Literal["edges", "frame"] | None = None if facts.control == "none" else facts.sees
        self.kept: Mapping[tuple[Part, str], torch.Tensor] = {}
        if facts.adapters is not None:
            bank = DeviceBank(facts.adapters.layout, device, kept_in(student.engines["denoise"]))
            for lora in student.wardrobe.loras.values():
                bank.ready(lora.row)
            student.wardrobe.hang_in(bank)
            self.kept = {("denoise", "adapters"): bank.rows}

    @staticmethod
    def refusal(student: DiffusionStudent) -> str:
        """Why its stages run one by one; empty where they need not."""
        facts = student.diffusion
        if facts.batch > 1:
            return f"{facts.batch} frames are denoised at once (stream batching)"
        if facts.image is not None:
            return "it has an image prompt, whose scale its layers ask the host for"
        return ""

    def asks(self, controls: Controls, pixels: U8) -> Wish:
        """As DeviceStudent."""
        return self._student.wish(controls, pixels)


class DeviceBank:
    """Adapter slots on a device, as vivant.engines.diffusion.bank.Bank. A row comes to the device when it is
    first hung and stays there as long as somebody has it: every later swap is one copy within the device."""

    def __init__(self, layout: Layout, device: torch.device, dtype: torch.dtype) -> None:
        import torch

        self.rows = torch.zeros(layout.slots, layout.width, device=device, dtype=dtype)
        self.scale: F32 = np.zeros((1, layout.slots), np.float32)
        self._there: dict[int, torch.Tensor] = {}

    def hang(self, slot: int, row: F32) -> None:
        """As Bank.hang."""
        self.rows[slot].copy_(self.ready(row))

    def ready(self, row: F32) -> torch.Tensor:
        """A packed row on the device."""
        import torch

        if id(row) not in self._there:
            self._there[id(row)] = torch.tensor(row, dtype=self.rows.dtype, device=self.rows.device)
            weakref.finalize(row, self._there.pop, id(row), None)
        return self._there[id(row)]

    def inputs(self) -> dict[str, F32]:
        """What of it lies on the host."""
        return {"adapter_scale": self.scale}


def kept_in(engine: Any) -> torch.dtype:
    """The precision that an engine wants adapters in on its device (TorchEngine.dtypes)."""
    import torch

    found: torch.dtype = getattr(engine, "dtypes", {}).get("adapters", torch.float32)
    return found
