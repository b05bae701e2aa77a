"""What the envelope knows of a latent: about a hundred pooled statistics, the same at every size.

Between a denoiser and a decoder no cache is warm, and then it is the number of different operations that
costs: hence few kinds of them, and one logarithm for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from vivant.runtime.frames import F32, Latent

VERSION = 1  # raise it when the statistics change: a guard that was fitted to others is refused
FLOOR = 0.03  # variance of a code that counts as none; a flat wall is then no outlier
GUIDE_FLOOR = 1e-4  # the same for luma: a standard deviation of 0.01
SPREAD = (0.5, 0.9, 1.0)  # quantiles over places


def length(channels: int, guided: bool = True, brief: bool = False) -> int:
    """How many statistics `measure` (`measure_brief`) gives for a code of so many channels, with a guide or
    without."""
    if brief:
        return 4 * channels + 3
    return 7 * channels + 11 if guided else 5 * channels + channels * (channels - 1) // 2 + 3


def channels_of(size: int, guided: bool = True, brief: bool = False) -> int:
    """The inverse of `length`."""
    return next(channels for channels in range(1, size) if length(channels, guided, brief) >= size)


def measure(latent: Latent) -> F32:
    """Statistics f32 (F,) of a well-formed latent; without a guide those of measure_code. Where they come
    from:

    of each code channel: mean; log variance of the code and of its 2x2 and 4x4 means; log of its largest
    deviation; correlation with the guide; log of its variance that the guide explains. Of the guide: mean,
    and log variance at scales 1, 2, 4 and 8. Quantiles over blocks of 4x4 places: log variance of the code
    within a block, and how far it exceeds that of the guide (detail that the guide knows nothing of).
    """
    if latent.guide is None:
        return measure_code(latent.code[0])
    guide = latent.guide[0, 0]
    scales, height = _scales(latent.code[0]), latent.code.shape[2]
    code, _, blocks = scales
    mean, variances, peak = _of_each(scales)
    luma2, luma4, luma8, luma16 = _halvings(guide, 4)
    level = np.einsum("ij->", luma16) / luma16.size
    powers = [np.einsum("ij,ij->", x, x) / x.size for x in (guide, luma2, luma4, luma8)]
    lumas = np.maximum(np.array(powers) - level * level, 0)
    # einsum, not @: a product this small is not worth waking BLAS's threads beside the engines
    lit = (luma4 - level).reshape(-1)
    lit_variance = np.einsum("i,i->", lit, lit) / lit.size + GUIDE_FLOOR
    covariance = np.einsum("ci,i->c", code, lit) / lit.size
    deviations, explained, luma_logs, detail, lit_detail = _logs(
        (np.concatenate([*variances, peak * peak]), FLOOR),
        (covariance * covariance / lit_variance, FLOOR),
        (lumas, GUIDE_FLOOR),
        (_within(code, blocks, height), FLOOR),
        (_within(luma4.reshape(1, -1), luma16.reshape(1, -1), height), GUIDE_FLOOR),
    )
    together = covariance / np.sqrt((variances[0] + FLOOR) * lit_variance)
    spread = _quantiles(detail) + _quantiles(detail - lit_detail)
    found = (mean, deviations, together, explained, [level], luma_logs, spread)
    return np.concatenate(found, dtype=np.float32)


def measure_brief(latent: Latent) -> F32:
    """Statistics f32 (F,) of a well-formed latent with a guide, a few, for a guard that has a network for its
    grain (vivant.guardrails.coherence): of each channel mean, log variance of the code and of its 4x4 means,
    and their correlation with those of the guide; of the guide mean, and log variance as it is and of its
    16x16 means."""
    code, guide = latent.code[0], latent.guide
    assert guide is not None
    blocks = _scales(code)[2]
    together = np.concatenate([blocks, _halvings(guide[0, 0], 4)[3].reshape(1, -1)])
    mean = np.einsum("ci->c", together) / together.shape[1]
    together -= mean[:, None]
    products = np.einsum("ci,di->cd", together, together) / together.shape[1]
    flat, fine = code.reshape(len(code), -1), guide.reshape(1, -1)
    powers = [np.einsum("ci,ci->c", x, x) / x.shape[1] for x in (flat, fine)]
    coarse = np.einsum("cc->c", products)
    variances = np.concatenate([*powers, coarse])
    variances[: len(mean)] -= mean * mean
    raised = np.maximum(variances, 0) + _floors(len(code))
    spread = raised[len(mean) :]
    correlation = products[:-1, -1] / np.sqrt(spread[:-1] * spread[-1])
    return np.concatenate((mean, np.log(raised), correlation), dtype=np.float32)


def measure_code(code: F32) -> F32:
    """Statistics f32 (F,) of a code (C, h, w) without a guide, whose edges beyond multiples of 4 count for
    nothing: of each channel mean, log variance of the code and of its 2x2 and 4x4 means, log of its largest
    deviation; the correlation of every two channels, which is what colour and light are in a diffusion
    model's latent; and quantiles over blocks of 4x4 places of the log variance within."""
    height, width = code.shape[1] // 4 * 4, code.shape[2] // 4 * 4
    scales = _scales(np.ascontiguousarray(code[:, :height, :width]))
    flat, _, blocks = scales
    mean, variances, peak = _of_each(scales)
    deviations, detail = _logs(
        (np.concatenate([*variances, peak * peak]), FLOOR), (_within(flat, blocks, height), FLOOR)
    )
    apart = blocks - mean[:, None]
    spread = np.sqrt(variances[2] + FLOOR)
    together = np.einsum("ci,di->cd", apart, apart) / apart.shape[1] / spread[:, None] / spread
    pairs_of_channels = together[np.triu_indices(len(code), 1)]
    return np.concatenate((mean, deviations, pairs_of_channels, _quantiles(detail)), dtype=np.float32)


@cache
def _floors(channels: int) -> F32:
    """Of the variances of so many channels and a guide, twice."""
    return np.tile(np.append(np.full(channels, FLOOR, np.float32), np.float32(GUIDE_FLOOR)), 2)


def _scales(code: F32) -> tuple[F32, F32, F32]:
    """A code (C, h, w), its 2x2 and its 4x4 means, each as (C, places)."""
    channels, _, width = code.shape
    # a channel's height is even at both scales: channels below each other are one picture to halve
    pairs, blocks = _halvings(code.reshape(-1, width), 2)
    return code.reshape(channels, -1), pairs.reshape(channels, -1), blocks.reshape(channels, -1)


def _halvings(x: F32, times: int) -> list[F32]:
    """2x2 means of (h, w), the 2x2 means of those, and so on."""
    found: list[F32] = []
    for _ in range(times):
        half = (x.shape[1] // 2, x.shape[0] // 2)
        x = np.asarray(cv2.resize(x, half, interpolation=cv2.INTER_AREA), np.float32)
        found.append(x)
    return found


def _of_each(scales: Sequence[F32]) -> tuple[F32, F32, F32]:
    """Of each channel: mean (C,), variances (3, C) at the three scales, largest deviation (C,)."""
    code, _, blocks = scales
    mean = np.einsum("ci->c", blocks) / blocks.shape[1]
    powers = [np.einsum("ci,ci->c", x, x) / x.shape[1] for x in scales]
    variances: F32 = np.maximum(np.array(powers) - mean * mean, 0)
    return mean, variances, np.maximum(code.max(1) - mean, mean - code.min(1))


def _within(x: F32, blocks: F32, height: int) -> F32:
    """Variance of (C, h * w) within each 4x4 block of places, over channels, given the blocks' means."""
    power = np.einsum("ci,ci->i", x, x).reshape(height, -1)
    of_blocks = _halvings(power, 2)[1].reshape(-1)
    within: F32 = np.maximum((of_blocks - np.einsum("ci,ci->i", blocks, blocks)) / len(x), 0)
    return within


def _logs(*parts: tuple[F32, float]) -> list[F32]:
    """The logarithm of each part's values above its floor, taken of all in one run."""
    raised = np.concatenate([values + np.float32(floor) for values, floor in parts])
    np.log(raised, out=raised)
    logs, start = [], 0
    for values, _ in parts:
        logs.append(raised[start : start + len(values)])
        start += len(values)
    return logs


def _quantiles(x: F32) -> list[float]:
    """Those of SPREAD, linear between neighbours; numpy's own costs more here than all the rest."""
    rising, found = np.sort(x), []
    for share in SPREAD:
        place, beyond = divmod(share * (len(x) - 1), 1)
        low, high = rising[int(place)], rising[min(int(place) + 1, len(x) - 1)]
        found.append(float(low + beyond * (high - low)))
    return found
