"""The guard as torch operations on one device: it chooses what is decoded, and nobody asks the host.

The same statistics, thresholds and words as vivant.guardrails.sanity and .envelope. What is not admitted is
replaced on the device by the last latent that was, so nothing forbidden is ever decoded. Imports torch.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vivant.guardrails.envelope import Fitted, GuardFileError, read, verdict_of
from vivant.guardrails.guard import LIMIT_MS
from vivant.guardrails.measure import FLOOR, GUIDE_FLOOR, SPREAD
from vivant.guardrails.sanity import CONSTANT, GUIDE_SLACK, LIMIT, LIMIT_SHARE, fault_of
from vivant.runtime.frames import F32, Judgement, Verdict

log = logging.getLogger(__name__)

NUMBERS: Final = ("admitted", "low", "high", "peak", "share", "spread", "excess")
"""What `choose` leaves for the host, in this order: f32 (7,)."""
MIDDLE: Final = 0.5  # what is decoded until something was admitted: a code of nothing and a grey guide


class DeviceGuard:
    """For one size of latent, on one device. `code` and `guide` (None where the student has none) are what is
    to be decoded: the last latent that was admitted. They and `numbers` stay where they are, so that `choose`
    can be part of a captured graph. One thread."""

    def __init__(
        self,
        fitted: Fitted | None,
        code_shape: tuple[int, ...],
        guide_shape: tuple[int, ...] | None,
        device: torch.device,
        closed: str = "",
    ) -> None:
        """`fitted` None, or one of other channels, is a guard that admits nothing; `closed` says why."""
        self.closed = closed or _unfit(fitted, code_shape, guide_shape)
        self._code_shape, self._guide_shape = code_shape, guide_shape
        self.code = torch.zeros(code_shape, device=device)
        self.guide = torch.full(guide_shape, MIDDLE, device=device) if guide_shape else None
        self.numbers = torch.zeros(len(NUMBERS), device=device)
        self._open = torch.tensor(not self.closed, device=device)
        size = len(fitted.mean) if fitted else 1
        self._mean = torch.from_numpy(fitted.mean if fitted else np.zeros(1, np.float32)).to(device)
        self._whiten = torch.from_numpy(fitted.whiten if fitted else np.eye(size, dtype=np.float32)).to(
            device
        )
        self._threshold = fitted.threshold if fitted else 1.0

    @classmethod
    def load(
        cls,
        path: Path,
        sha256: str,
        code_shape: tuple[int, ...],
        guide_shape: tuple[int, ...] | None,
        device: torch.device,
    ) -> DeviceGuard:
        """As Guard.load: never raises; a file that cannot be read makes a guard that is `closed`."""
        try:
            fitted, closed = read(path, sha256), ""
        except GuardFileError as error:
            fitted, closed = None, str(error)
        made = cls(fitted, code_shape, guide_shape, device, closed)
        if made.closed:
            log.error("the guard is closed, nothing will be shown: %s", made.closed)
        return made

    @torch.no_grad()
    def choose(self, code: Tensor, guide: Tensor | None) -> None:
        """Judge a finished latent, f32 of the shapes given; what it admits becomes `code` and `guide`."""
        low, high = (code.new_zeros(()), code.new_ones(())) if guide is None else torch.aminmax(guide)
        least, most = torch.aminmax(code)
        peak = torch.maximum(-least, most)
        share = (code.abs() > LIMIT).float().mean()
        spread = code.std(correction=0)
        excess = self._excess(code, guide)
        sound = (low >= -GUIDE_SLACK) & (high <= 1 + GUIDE_SLACK) & torch.isfinite(peak)
        sound = sound & ~((peak > LIMIT) & (share > LIMIT_SHARE)) & (spread >= CONSTANT)
        admitted = sound & (excess <= 1.0) & self._open
        self.code.copy_(torch.where(admitted, code, self.code))
        if guide is not None and self.guide is not None:
            self.guide.copy_(torch.where(admitted, guide, self.guide))
        self.numbers.copy_(torch.stack([admitted.float(), low, high, peak, share, spread, excess]))

    def verdict(self, numbers: F32, took_ms: float) -> Verdict:
        """What `numbers`, brought to the host, say. Fails closed: a picture is drawn only where the device
        chose this frame's latent and the host finds nothing against it; judging took `took_ms`."""
        if self.closed:
            return Verdict(Judgement.HOLD, 0.0, self.closed)
        admitted, low, high, peak, share, spread, excess = (float(number) for number in numbers)
        fault = fault_of(low, high, peak, share, spread)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        verdict = verdict_of(excess)
        if not 0.0 <= verdict.score <= 1.0:
            return Verdict(Judgement.HOLD, 0.0, f"envelope gave no sound verdict: {verdict!r}")
        if took_ms > LIMIT_MS:
            return Verdict(Judgement.HOLD, 0.0, f"judging took {took_ms:.1f} ms")
        if verdict.admits and admitted != 1.0:
            return Verdict(Judgement.HOLD, 0.0, "the device decoded another latent than this one")
        return verdict

    def _excess(self, code: Tensor, guide: Tensor | None) -> Tensor:
        if self.closed:
            return code.new_full((), torch.inf)
        found = measure(code[0], None if guide is None else guide[0, 0])
        white = self._whiten @ (found - self._mean)
        return (white * white).sum() / self._threshold


def measure(code: Tensor, guide: Tensor | None) -> Tensor:
    """As vivant.guardrails.measure.measure, of a code (C, h, w) and a guide (4h, 4w) or none."""
    if guide is None:
        code = code[:, : code.shape[1] // 4 * 4, : code.shape[2] // 4 * 4]
    pairs = _halved(code)
    blocks = _halved(pairs)
    mean = code.mean((1, 2))
    variances = [_variance(x, mean) for x in (code, pairs, blocks)]
    peak = torch.maximum(code.amax((1, 2)) - mean, mean - code.amin((1, 2)))
    logs = [*((v + FLOOR).log() for v in variances), (peak * peak + FLOOR).log()]
    detail = (_within(code, blocks) + FLOOR).log()
    if guide is None:
        flat = (blocks - mean[:, None, None]).flatten(1)
        spread = (variances[2] + FLOOR).sqrt()
        together = (flat @ flat.t()) / flat.shape[1] / spread[:, None] / spread
        rows, columns = np.triu_indices(len(code), 1)
        pairs_of = [together[row, column] for row, column in zip(rows, columns, strict=True)]
        return torch.cat([mean, *logs, torch.stack(pairs_of), _quantiles(detail)])
    return torch.cat([mean, *logs, *_with_guide(code, guide, variances[0], detail)])


def _with_guide(code: Tensor, guide: Tensor, variance: Tensor, detail: Tensor) -> list[Tensor]:
    luma2 = _halved(guide)
    luma4 = _halved(luma2)
    luma8 = _halved(luma4)
    level = guide.mean()
    lit = (luma4 - level).flatten()
    covariance = code.flatten(1) @ lit / lit.numel()
    lit_variance = lit @ lit / lit.numel()
    together = covariance / ((variance + FLOOR) * (lit_variance + GUIDE_FLOOR)).sqrt()
    explained = (covariance * covariance / (lit_variance + GUIDE_FLOOR) + FLOOR).log()
    lumas = torch.cat([_variance(x[None], level[None]) for x in (guide, luma2, luma4, luma8)])
    unlit = detail - (_within(luma4[None], _halved(luma8)[None]) + GUIDE_FLOOR).log()
    scales = (lumas + GUIDE_FLOOR).log()
    return [together, explained, level[None], scales, _quantiles(detail), _quantiles(unlit)]


def _halved(x: Tensor) -> Tensor:
    rows = x[..., 0::2, :] + x[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def _within(x: Tensor, blocks: Tensor) -> Tensor:
    power = (x * x).mean(0)
    return (_halved(_halved(power)) - (blocks * blocks).mean(0)).clamp(min=0)


def _variance(x: Tensor, mean: Tensor) -> Tensor:
    return ((x * x).mean((1, 2)) - mean * mean).clamp(min=0)


def _quantiles(x: Tensor) -> Tensor:
    """As numpy's, of SPREAD. torch.quantile would ask the host whether its arguments are in range."""
    ordered = x.flatten().sort().values
    places = [q * (ordered.numel() - 1) for q in SPREAD]
    found = []
    for place in places:
        below = int(place)
        above = min(below + 1, ordered.numel() - 1)
        found.append(ordered[below] + (ordered[above] - ordered[below]) * (place - below))
    return torch.stack(found)


def _unfit(fitted: Fitted | None, code: tuple[int, ...], guide: tuple[int, ...] | None) -> str:
    if fitted is None:
        return "the guard has no policy"
    if fitted.channels != code[1]:
        return f"{code[1]} channels, not {fitted.channels}"
    if fitted.guided != (guide is not None):
        return "a guide where there should be none, or none where one should be"
    return ""
