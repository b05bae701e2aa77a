"""Processes that train one network together on one machine, averaging gradients after each step (gloo)."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True, slots=True)
class Together:
    """This process's place among `count` that train together."""

    rank: int
    count: int

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes; all must call this alike."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.reshape(tensor.shape))

    def mean(self, value: float) -> float:
        """The mean of a number over all processes; all must call this alike."""
        held = torch.tensor([value], dtype=torch.float64)
        self.average([held])
        return float(held)


def alone() -> Together:
    """One process."""
    return Together(0, 1)


def run_together(count: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Run `work(together, *arguments)` in `count` processes, or here when it is one. Raises what they do."""
    if count == 1:
        work(alone(), *arguments)
        return
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    spawn(_member, (count, port, work, arguments), nprocs=count)  # type: ignore[no-untyped-call]


def _member(rank: int, count: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=count)
    try:
        work(Together(rank, count), *arguments)
    finally:
        torch.distributed.destroy_process_group()


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone, however it went: an orphan would train on and
    write over its successor's checkpoints."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
