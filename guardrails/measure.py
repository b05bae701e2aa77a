"""What the envelope knows of a latent: about a hundred pooled statistics, the same at every size."""

from __future__ import annotations

import numpy as np

from vivant.runtime.frames import F32, Latent

VERSION = 1  # raise it when the statistics change: a guard that was fitted to others is refused
FLOOR = 0.03  # variance of a code that counts as none; a flat wall is then no outlier
GUIDE_FLOOR = 1e-4  # the same for luma: a standard deviation of 0.01
SPREAD = (0.5, 0.9, 1.0)  # quantiles over places


def length(channels: int, guided: bool = True) -> int:
    """How many statistics `measure` gives for a code of so many channels, with a guide or without."""
    return 7 * channels + 11 if guided else 5 * channels + channels * (channels - 1) // 2 + 3


def channels_of(size: int, guided: bool = True) -> int:
    """The inverse of `length`."""
    return next(channels for channels in range(1, size) if length(channels, guided) >= size)


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
    code, guide = latent.code[0], latent.guide[0, 0]
    pairs, luma2 = _halved(code), _halved(guide)
    blocks, luma4 = _halved(pairs), _halved(luma2)
    mean = code.mean((1, 2))
    variances = [_variance(x, mean) for x in (code, pairs, blocks)]
    peak = np.maximum(code.max((1, 2)) - mean, mean - code.min((1, 2)))

    level = guide.mean()
    lit = (luma4 - level).reshape(-1)
    # einsum, not @: a product this small is not worth waking BLAS's threads beside the engines
    covariance = np.einsum("ci,i->c", code.reshape(len(code), -1), lit) / lit.size
    lit_variance = float(np.einsum("i,i->", lit, lit)) / lit.size
    together = covariance / np.sqrt((variances[0] + FLOOR) * (lit_variance + GUIDE_FLOOR))
    explained = covariance * covariance / (lit_variance + GUIDE_FLOOR)

    luma8 = _halved(luma4)
    lumas = [float(_variance(x[None], level[None])[0]) for x in (guide, luma2, luma4, luma8)]
    detail = np.log(_within(code, blocks) + FLOOR)
    unlit = detail - np.log(_within(luma4[None], _halved(luma8)[None]) + GUIDE_FLOOR)
    return np.concatenate(
        [
            mean,
            *(np.log(v + FLOOR) for v in variances),
            np.log(np.square(peak) + FLOOR),
            together,
            np.log(explained + FLOOR),
            [level],
            np.log(np.array(lumas) + GUIDE_FLOOR),
            np.quantile(detail, SPREAD),
            np.quantile(unlit, SPREAD),
        ]
    ).astype(np.float32)


def measure_code(code: F32) -> F32:
    """Statistics f32 (F,) of a code (C, h, w) without a guide, whose edges beyond multiples of 4 count for
    nothing: of each channel mean, log variance of the code and of its 2x2 and 4x4 means, log of its largest
    deviation; the correlation of every two channels, which is what colour and light are in a diffusion
    model's latent; and quantiles over blocks of 4x4 places of the log variance within."""
    code = np.ascontiguousarray(code[:, : code.shape[1] // 4 * 4, : code.shape[2] // 4 * 4])
    pairs = _halved(code)
    blocks = _halved(pairs)
    mean = code.mean((1, 2))
    variances = [_variance(x, mean) for x in (code, pairs, blocks)]
    peak = np.maximum(code.max((1, 2)) - mean, mean - code.min((1, 2)))
    flat = (blocks - mean[:, None, None]).reshape(len(code), -1)
    spread = np.sqrt(variances[2] + FLOOR)
    together = np.einsum("ci,di->cd", flat, flat) / flat.shape[1] / spread[:, None] / spread
    return np.concatenate(
        [
            mean,
            *(np.log(v + FLOOR) for v in variances),
            np.log(np.square(peak) + FLOOR),
            together[np.triu_indices(len(code), 1)],
            np.quantile(np.log(_within(code, blocks) + FLOOR), SPREAD),
        ]
    ).astype(np.float32)


def _halved(x: F32) -> F32:
    """2x2 means of the last two axes."""
    rows = x[..., 0::2, :] + x[..., 1::2, :]
    halved: F32 = (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)
    return halved


def _within(x: F32, blocks: F32) -> F32:
    """Variance of (C, h, w) within each 4x4 block, over channels, given the blocks' means."""
    power = np.einsum("chw,chw->hw", x, x) / len(x)
    within: F32 = np.maximum(_halved(_halved(power)) - np.einsum("chw,chw->hw", blocks, blocks) / len(x), 0)
    return within


def _variance(x: F32, mean: F32) -> F32:
    flat = x.reshape(len(x), -1)
    variance: F32 = np.einsum("ci,ci->c", flat, flat) / flat.shape[1] - mean * mean
    return np.maximum(variance, 0)
