"""What a whole frame on one device (vivant.engines.device_frame) is put together from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from vivant.engines.contract import Part, TensorSpec
from vivant.engines.walk import Wish
from vivant.runtime.frames import U8, Array, Controls


class TensorPart(Protocol):
    """A part of a student whose tensors lie on a device, on torch's current stream."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def put_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """One run from and into tensors by name; neither waits nor asks the host."""


class DeviceStudent(Protocol):
    """A student for whole frames. One thread, between two frames.

    `steps` are the numbers of steps that its walks may have and `noises` how many noises: one, and one more
    for each step that adds fresh noise. `kept` are inputs that it keeps on the device itself, by part and
    name, in a precision of its choice. `sees` is what a ControlNet is shown. `leaves_out` says that a wish
    may leave a frame out."""

    parts: Mapping[Part, TensorPart]
    device: torch.device
    steps: tuple[int, ...]
    noises: int
    kept: Mapping[tuple[Part, str], Tensor]
    sees: Literal["edges", "frame"] | None
    leaves_out: bool

    def asks(self, controls: Controls, pixels: U8) -> Wish: ...


class Chooser(Protocol):
    """The guard on a device (vivant.guardrails.device): what it admits of a finished latent becomes `code`
    and `guide`, what it found `numbers`, the first of which is 1 for an admitted latent; all three stay where
    they are. `asked` are as many numbers that it is told before each frame."""

    code: Tensor
    guide: Tensor | None
    numbers: Tensor
    asked: int

    def choose(self, code: Tensor, guide: Tensor | None, asked: Tensor) -> None: ...


class Planes(Protocol):
    """Planes on a device (vivant.engines.field_torch)."""

    planes: Tensor
    shift: Tensor

    def put(self, guide: Tensor, asked: Tensor) -> None: ...


class Keeper(Protocol):
    """What keeps pictures still on a device (vivant.runtime.still_device); `picture` stays where it is."""

    picture: Tensor

    def keep(self, picture: Tensor, chosen: Chooser, planes: Tensor | None, share: Tensor) -> None: ...


class Mirror:
    """An array on the host and the same on the device, which both stay where they are. `array` is numpy's."""

    def __init__(self, shape: tuple[int, ...], dtype: str, device: torch.device) -> None:
        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        self._host = torch.zeros(shape, dtype=kind, pin_memory=device.type == "cuda")
        self.array: Array = self._host.numpy()
        self.tensor = torch.zeros(shape, dtype=kind, device=device)

    @classmethod
    def of(cls, spec: TensorSpec, device: torch.device) -> Mirror:
        return cls(spec.shape, spec.dtype, device)

    def up(self) -> None:
        """Put the copy to the device on the current stream."""
        self.tensor.copy_(self._host, non_blocking=True)

    def down(self, source: Tensor) -> None:
        """Put the copy of a device's tensor to the host on the current stream."""
        self._host.copy_(source, non_blocking=True)
