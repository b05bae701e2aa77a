"""The guard as torch operations on one device: it chooses what is decoded, and nobody asks the host.

The same statistics, thresholds and words as vivant.guardrails.sanity, .envelope and .coherence, and what
.acts does with a latent that is a little too far out: it is drawn toward the last one that passed and judged
again. What is not admitted is replaced on the device by the last latent that was, so nothing forbidden is
ever decoded. Imports torch.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vivant.guardrails.acts import ASKED, HALF, TRIES
from vivant.guardrails.coherence import KIND, Coherence, coherence_of
from vivant.guardrails.envelope import Fitted, GuardFileError, fitted_of, read_arrays, verdict_of
from vivant.guardrails.guard import BADNESS, LIMIT_MS, NEAR
from vivant.guardrails.measure import FLOOR, GUIDE_FLOOR, SPREAD
from vivant.guardrails.probe import passed_or_held
from vivant.guardrails.sanity import CONSTANT, GUIDE_SLACK, LIMIT, LIMIT_SHARE, fault_of
from vivant.runtime.frames import F32, Judgement, Verdict

log = logging.getLogger(__name__)

NUMBERS: Final = (
    *("admitted", "which", "same", "left_excess", "left_beyond"),
    *("low", "high", "peak", "share", "spread", "excess", "beyond"),
)
"""What `choose` leaves for the host, in this order: whether anything was admitted; which of the latents that
were judged, 0 as it is, else by which pull it was drawn (Acts.asks); whether it is bit by bit the one before;
how far out the one that was taken is; and what was found of it as it is. f32."""
MIDDLE: Final = 0.5  # what is decoded until something was admitted: a code of nothing and a grey guide
FAR: Final = math.log2(1 / NEAR)  # an excess beyond which nothing is softened


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
        coherence: Coherence | None = None,
    ) -> None:
        """`fitted` None, or one of other channels, is a guard that admits nothing; `closed` says why."""
        self.closed = closed or _unfit(fitted, code_shape, guide_shape)
        self.code = torch.zeros(code_shape, device=device)
        self.guide = torch.full(guide_shape, MIDDLE, device=device) if guide_shape else None
        self.numbers = torch.zeros(len(NUMBERS), device=device)
        self.asked = ASKED
        self._open = torch.tensor(not self.closed, device=device)
        size = len(fitted.mean) if fitted else 1
        self._mean = torch.from_numpy(fitted.mean if fitted else np.zeros(1, np.float32)).to(device)
        self._whiten = torch.from_numpy(fitted.whiten if fitted else np.eye(size, dtype=np.float32)).to(
            device
        )
        self._threshold, self._brief = (fitted.threshold, fitted.brief) if fitted else (1.0, False)
        self.near = False
        """Whether what `verdict` spoke of last was held, or softened, for being a little too far out."""
        self._coherence = coherence
        kept = {} if coherence is None else coherence.layers.arrays()
        self._layers = {name: torch.from_numpy(array).to(device) for name, array in kept.items()}
        self._before = [torch.full_like(one, torch.nan) for one in (self.code, self.guide) if one is not None]
        self._anchor = [torch.zeros_like(one) for one in self._before]  # the last that passed as it was
        self._anchored = torch.tensor(False, device=device)

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
        fitted, coherence, closed = None, None, ""
        try:
            kept = read_arrays(path, sha256)
            fitted, coherence = fitted_of(kept, path), coherence_of(kept)
        except (GuardFileError, KeyError, ValueError, TypeError) as error:
            fitted, closed = None, str(error) or type(error).__name__
        made = cls(fitted, code_shape, guide_shape, device, closed, coherence)
        if made.closed:
            log.error("the guard is closed, nothing will be shown: %s", made.closed)
        return made

    @torch.no_grad()
    def choose(self, code: Tensor, guide: Tensor | None, asked: Tensor) -> None:
        """Judge a finished latent, f32 of the shapes given, and what becomes of it when it is drawn by each
        of the pulls in `asked` (f32 (5,), Acts.asks); what is admitted becomes `code` and `guide`."""
        latent = [code] if guide is None else [code, guide]
        pulls, gently, renew = asked[:TRIES], asked[TRIES] > 0.5, asked[TRIES + 1] > 0.5
        drawn = [self._drawn(now, at, pulls) for now, at in zip(latent, self._anchor, strict=True)]
        if guide is not None:
            drawn[1] = drawn[1].clamp(0, 1)
        every = [torch.cat([now, each]) for now, each in zip(latent, drawn, strict=True)]
        found = self._found(every[0], every[1] if guide is not None else None)
        passes, near = self._judged(found)
        allowed = passes[1:] & self._anchored
        let_go = passes[0] & gently & allowed[0]
        softened = ~passes[0] & near & allowed.any()
        first = torch.argmax(allowed.float()) + 1
        which = torch.where(let_go, torch.ones_like(first), torch.where(softened, first, 0 * first))
        admitted = (passes[0] | softened) & self._open
        same = torch.stack([(a == b).all() for a, b in zip(latent, self._before, strict=True)]).all()
        for now, before in zip(latent, self._before, strict=True):
            before.copy_(now)
        renewed = renew & passes[0] & ~gently & self._open
        held = [self.code] if self.guide is None else [self.code, self.guide]
        for now, all_of, kept, anchor in zip(latent, every, held, self._anchor, strict=True):
            kept.copy_(torch.where(admitted, all_of.index_select(0, which.reshape(1)), kept))
            anchor.copy_(torch.where(renewed, now, anchor))
        self._anchored.logical_or_(renewed)
        left = [one.index_select(0, which.reshape(1))[0] for one in found[-2:]]
        told = [admitted.float(), which.float(), same.float(), *left, *(one[0] for one in found)]
        self.numbers.copy_(torch.stack(told))

    def verdict(self, numbers: F32, took_ms: float) -> Verdict:
        """What `numbers`, brought to the host, say of the latent as it is, or SOFTEN where the device drew it
        (Acts.told). Fails closed: a picture is drawn only where the device chose this frame's latent and the
        host finds nothing against it; judging took `took_ms`."""
        self.near = False
        if self.closed:
            return Verdict(Judgement.HOLD, 0.0, self.closed)
        admitted, which, _, *left, low, high, peak, share, spread, excess, beyond = map(float, numbers)
        fault = fault_of(low, high, peak, share, spread)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        verdict = self._said(excess, beyond)
        if not 0.0 <= verdict.score <= 1.0:
            return Verdict(Judgement.HOLD, 0.0, f"envelope gave no sound verdict: {verdict!r}")
        if took_ms > LIMIT_MS:
            return Verdict(Judgement.HOLD, 0.0, f"judging took {took_ms:.1f} ms")
        self.near = not verdict.admits and verdict.score >= NEAR and beyond <= 0.0
        if admitted == 1.0 and which >= 1.0 and (taken := self._said(*left)).admits:
            return Verdict(Judgement.SOFTEN, taken.score, verdict.reason)
        if verdict.admits and (admitted, which) != (1.0, 0.0):
            return Verdict(Judgement.HOLD, 0.0, "the device decoded another latent than this one")
        return verdict

    def _said(self, excess: float, beyond: float) -> Verdict:
        """The worse of what envelope and coherence say, as Guard.judge."""
        said = [verdict_of(excess)]
        if self._coherence is not None:
            said.append(passed_or_held(beyond, KIND))
        return max(said, key=lambda verdict: (BADNESS[verdict.judgement], -verdict.score))

    def _drawn(self, x: Tensor, anchor: Tensor, pulls: Tensor) -> Tensor:
        """As acts.toward, of (1, C, h, w) by each of the pulls (N,)."""
        pulls = pulls[:, None, None, None]
        statistics, values = (pulls / HALF).clamp(max=1), (pulls / HALF - 1).clamp(min=0)
        mean, to = x.mean((2, 3), keepdim=True), anchor.mean((2, 3), keepdim=True)
        like = _deviation(anchor) / _deviation(x).clamp(min=1e-6)
        moved = (x - mean) * (1 + statistics * (like - 1)) + mean + statistics * (to - mean)
        return moved * (1 - values) + values * anchor

    def _found(self, code: Tensor, guide: Tensor | None) -> list[Tensor]:
        """Of latents (N, C, h, w), (N,) each: the guide's range, the code's largest size, the share of it
        beyond LIMIT, its deviation, its excess, and by how much it is beyond what an encoder makes."""
        low, high = code.new_zeros(len(code)), code.new_ones(len(code))
        if guide is not None:
            low, high = guide.amin((1, 2, 3)), guide.amax((1, 2, 3))
        peak = torch.maximum(-code.amin((1, 2, 3)), code.amax((1, 2, 3)))
        share = (code.abs() > LIMIT).float().mean((1, 2, 3))
        spread = code.flatten(1).std(1, correction=0)
        return [low, high, peak, share, spread, self._excess(code, guide), self._beyond(code, guide)]

    def _judged(self, found: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Which of the latents pass (N,), and whether the first is only a little too far out."""
        low, high, peak, share, spread, excess, beyond = found
        sound = (low >= -GUIDE_SLACK) & (high <= 1 + GUIDE_SLACK) & torch.isfinite(peak)
        sound = sound & ~((peak > LIMIT) & (share > LIMIT_SHARE)) & (spread >= CONSTANT) & (beyond <= 0)
        return sound & (excess <= 1), sound[0] & (excess[0] <= FAR)

    def _excess(self, code: Tensor, guide: Tensor | None) -> Tensor:
        if self.closed:
            return code.new_full((len(code),), torch.inf)
        seen = None if guide is None else guide[:, 0]
        found = measure_brief(code, seen) if self._brief and seen is not None else measure(code, seen)
        white = (found - self._mean) @ self._whiten.t()
        return (white * white).sum(1) / self._threshold

    def _beyond(self, code: Tensor, guide: Tensor | None) -> Tensor:
        """What the network of coherence says above its threshold, as Probe.judge; -1 where there is none."""
        if self.closed or self._coherence is None:
            return code.new_full((len(code),), -1.0)
        layer, first = self._layers, self._layers["of_code"]
        x = F.conv2d(code, first, layer["bias"], first.shape[2])
        if guide is not None:
            x = x + F.conv2d(guide, layer["of_guide"], stride=layer["of_guide"].shape[2])
        x = x.relu()
        for index in range(len(self._coherence.layers.blocks)):
            x = F.conv2d(x, layer[f"deep{index}"], padding=1, groups=x.shape[1])
            x = F.conv2d(x, layer[f"point{index}"], layer[f"bias{index}"]).relu()
        pooled = torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
        return F.linear(pooled, layer["head"], layer["head_bias"])[:, 0] - self._coherence.threshold


def measure(code: Tensor, guide: Tensor | None) -> Tensor:
    """As vivant.guardrails.measure.measure, (N, F) of codes (N, C, h, w) and guides (N, 4h, 4w) or none."""
    if guide is None:
        code = code[:, :, : code.shape[2] // 4 * 4, : code.shape[3] // 4 * 4]
    pairs = _halved(code)
    blocks = _halved(pairs)
    mean = code.mean((2, 3))
    variances = [_variance(x, mean) for x in (code, pairs, blocks)]
    peak = torch.maximum(code.amax((2, 3)) - mean, mean - code.amin((2, 3)))
    logs = [*((v + FLOOR).log() for v in variances), (peak * peak + FLOOR).log()]
    detail = (_within(code, blocks) + FLOOR).log()
    if guide is None:
        flat = (blocks - mean[..., None, None]).flatten(2)
        spread = (variances[2] + FLOOR).sqrt()
        together = flat @ flat.mT / flat.shape[2] / spread[:, :, None] / spread[:, None]
        rows, columns = np.triu_indices(code.shape[1], 1)
        pairs_of = [together[:, row, column] for row, column in zip(rows, columns, strict=True)]
        return torch.cat([mean, *logs, torch.stack(pairs_of, 1), _quantiles(detail)], 1)
    return torch.cat([mean, *logs, *_with_guide(code, guide, variances[0], detail)], 1)


def measure_brief(code: Tensor, guide: Tensor) -> Tensor:
    """As vivant.guardrails.measure.measure_brief, (N, F) of codes (N, C, h, w) and guides (N, 4h, 4w)."""
    channels, blocks = code.shape[1], _halved(_halved(code)).flatten(2)
    coarse = _halved(_halved(_halved(_halved(guide)))).flatten(1)[:, None]
    together = torch.cat([blocks, coarse], 1)
    mean = together.mean(2)
    together = together - mean[:, :, None]
    products = together @ together.mT / together.shape[2]
    powers = torch.cat([(code * code).mean((2, 3)), (guide * guide).mean((1, 2))[:, None]], 1)
    floors = torch.cat([code.new_full((channels,), FLOOR), code.new_full((1,), GUIDE_FLOOR)])
    fine = (powers - mean * mean).clamp(min=0) + floors
    spread = products.diagonal(dim1=1, dim2=2).clamp(min=0) + floors
    correlation = products[:, :-1, -1] / (spread[:, :-1] * spread[:, -1:]).sqrt()
    return torch.cat([mean, fine.log(), spread.log(), correlation], 1)


def _with_guide(code: Tensor, guide: Tensor, variance: Tensor, detail: Tensor) -> list[Tensor]:
    luma2 = _halved(guide)
    luma4 = _halved(luma2)
    luma8 = _halved(luma4)
    level = guide.mean((1, 2))[:, None]
    lit = (luma4 - level[..., None]).flatten(1)
    places = lit.shape[1]
    covariance = (code.flatten(2) @ lit[..., None])[..., 0] / places
    lit_variance = (lit * lit).sum(1, keepdim=True) / places
    together = covariance / ((variance + FLOOR) * (lit_variance + GUIDE_FLOOR)).sqrt()
    explained = (covariance * covariance / (lit_variance + GUIDE_FLOOR) + FLOOR).log()
    lumas = torch.cat([_variance(x[:, None], level) for x in (guide, luma2, luma4, luma8)], 1)
    unlit = detail - (_within(luma4[:, None], _halved(luma8)[:, None]) + GUIDE_FLOOR).log()
    scales = (lumas + GUIDE_FLOOR).log()
    return [together, explained, level, scales, _quantiles(detail), _quantiles(unlit)]


def _halved(x: Tensor) -> Tensor:
    rows = x[..., 0::2, :] + x[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def _within(x: Tensor, blocks: Tensor) -> Tensor:
    power = (x * x).mean(1)
    return (_halved(_halved(power)) - (blocks * blocks).mean(1)).clamp(min=0)


def _variance(x: Tensor, mean: Tensor) -> Tensor:
    return ((x * x).mean((2, 3)) - mean * mean).clamp(min=0)


def _deviation(x: Tensor) -> Tensor:
    deviation: Tensor = x.std((2, 3), correction=0, keepdim=True)
    return deviation


def _quantiles(x: Tensor) -> Tensor:
    """As numpy's, of SPREAD, (N, 3). torch.quantile would ask the host whether its arguments are in range."""
    ordered = x.flatten(1).sort(1).values
    last = ordered.shape[1] - 1
    found = []
    for place in [q * last for q in SPREAD]:
        below = int(place)
        above = min(below + 1, last)
        found.append(ordered[:, below] + (ordered[:, above] - ordered[:, below]) * (place - below))
    return torch.stack(found, 1)


def _unfit(fitted: Fitted | None, code: tuple[int, ...], guide: tuple[int, ...] | None) -> str:
    if fitted is None:
        return "the guard has no policy"
    if fitted.channels != code[1]:
        return f"{code[1]} channels, not {fitted.channels}"
    if fitted.guided != (guide is not None):
        return "a guide where there should be none, or none where one should be"
    return ""
