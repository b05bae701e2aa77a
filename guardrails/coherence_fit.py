"""Fits the coherence of a student's latents, away from the show: the latents as they are, against the same
ones spoiled anew each time they are seen. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from torch.nn import functional

from vivant.guardrails.coherence import Coherence
from vivant.guardrails.coherence_net import LocalNet, graph_of, layers_of, logits_of
from vivant.guardrails.probe_fit import thresholds_of
from vivant.guardrails.probe_net import batch, brisk
from vivant.guardrails.spoil import spoiled_code
from vivant.runtime.frames import Array

HELD_OUT: Final = 5  # the last fifth of each size says where the threshold lies
PAIRS: Final = 24  # of latents and what was made of them, in a batch

Stored = tuple[Array, Array | None]
"""Codes (N, C, h, w) and guides (N, 1, 4h, 4w), or none: latents of one size. Neighbours may be alike."""


def fit_coherence(
    stored: Sequence[Stored],
    steps: int,
    false_hold_rate: float = 5e-4,
    seed: int = 0,
    tell: Callable[[float], None] = lambda share: None,
) -> Coherence:
    """Fit to latents of every size that the show uses, by `steps` batches of one size each. The threshold is
    set for `false_hold_rate` of the HELD_OUT latents, which the network does not see."""
    torch.manual_seed(seed)
    codes, guides = stored[0]
    net = LocalNet(codes.shape[1], guides is not None)
    ends = [len(codes) * (HELD_OUT - 1) // HELD_OUT for codes, _ in stored]
    _train(net, stored, ends, steps, seed, tell)
    apart = [logits_of(net, *one, np.arange(end, len(one[0]))) for one, end in zip(stored, ends, strict=True)]
    threshold = float(thresholds_of(np.concatenate(apart), false_hold_rate)[0])
    count = sum(len(codes) for codes, _ in stored)
    return Coherence(graph_of(net), threshold, layers_of(net), net.guided, count, false_hold_rate)


def _train(
    net: LocalNet,
    stored: Sequence[Stored],
    ends: Sequence[int],
    steps: int,
    seed: int,
    tell: Callable[[float], None],
) -> None:
    rng = np.random.default_rng(seed)
    share = np.array(ends) / sum(ends)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=max(steps, 2), pct_start=0.2)
    wanted = torch.cat([torch.zeros(PAIRS, 1), torch.ones(PAIRS, 1)])
    net.train()
    for step in range(steps):
        which = int(rng.choice(len(stored), p=share))
        codes, guides = stored[which]
        chosen = np.sort(rng.integers(ends[which], size=PAIRS))
        code, guide = batch(codes, guides, chosen)
        spoiled = [spoiled_code(one[None], rng) for one in code.numpy()]
        both = torch.cat([code, torch.from_numpy(np.concatenate(spoiled))])
        with brisk():
            logits = net(both, None if guide is None else guide.repeat(2, 1, 1, 1))
        loss = functional.binary_cross_entropy_with_logits(logits.float(), wanted)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        tell((step + 1) / steps)
    net.eval()
