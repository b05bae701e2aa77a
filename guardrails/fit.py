"""Fits the envelope to the latents that a student may show, away from the show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivant.engines.manifest import write_atomically
from vivant.guardrails.envelope import Fitted, write
from vivant.guardrails.measure import channels_of, measure
from vivant.guardrails.sanity import malformed
from vivant.runtime.frames import EMPTY, F32, U8, Array, Latent, VivantError

FOLDS = 5
F64 = NDArray[np.float64]


class FitError(VivantError):
    """These latents give no envelope."""


def fit_envelope(
    latents: Iterable[Latent], path: Path, false_hold_rate: float = 1e-3, margin: float = 1.5
) -> Fitted:
    """Fits to finished latents (as the guard will see them, after denoising) and writes `path` atomically.

    Give latents of every size, style and strength that the show uses, of real pictures and of
    `plain_structures`. What counts is how many different frames there are: 2,000 admit and hold clearly
    better than 200 frames in ten versions each. Whatever noise the denoiser leaves is admitted as normal.
    Neighbours in the sequence may be alike: the threshold is the `1 - false_hold_rate` quantile of
    distances to fits without the tested fifth of the sequence, times `margin`.
    Latents are measured as they come: a generator may hand on buffers that it fills again.
    Raises FitError for too few latents, malformed ones and such that differ in their channels.
    """
    kinds, statistics = set[tuple[int, bool]](), []
    for latent in latents:
        statistics.append(_measured(latent))
        kinds.add((latent.code.shape[1], latent.guide is not None))
    if len(kinds) != 1:
        raise FitError(f"latents of one kind are needed to fit to, and these are of {len(kinds)}")
    guided = kinds.pop()[1]
    return fit_statistics(np.stack(statistics), path, false_hold_rate, margin, guided)


def fit_statistics(
    statistics: F32,
    path: Path,
    false_hold_rate: float = 1e-3,
    margin: float = 1.5,
    guided: bool = True,
    more: Mapping[str, Array] = EMPTY,
    brief: bool = False,
) -> Fitted:
    """As `fit_envelope`, for those who measure as they go: `statistics` (N, F) by measure.measure, or by
    measure.measure_brief. `more` arrays are written into the same file."""
    count, size = statistics.shape
    if count < 4 * size:
        raise FitError(f"{count} latents are too few for {size} statistics: give at least {4 * size}")
    if not np.isfinite(statistics).all():
        raise FitError("some latents hold NaN or infinity: an envelope round them would admit anything")
    x = statistics.astype(np.float64)
    outside = np.concatenate(
        [_distances(x[fold], *_gaussian(np.delete(x, fold, 0))) for fold in _folds(count)]
    )
    threshold = float(np.quantile(outside, 1 - false_hold_rate)) * margin
    mean, whiten = _gaussian(x)
    fitted = Fitted(
        mean=mean.astype(np.float32),
        whiten=whiten.astype(np.float32),
        threshold=threshold,
        channels=channels_of(size, guided, brief),
        false_hold_rate=false_hold_rate,
        margin=margin,
        count=count,
        guided=guided,
        brief=brief,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write(fitted, more))
    return fitted


def shrunk_covariance(x: F64) -> F64:
    """Covariance of centred rows (N, F), shrunk towards a multiple of the identity by the amount of Ledoit
    and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004)."""
    count, size = x.shape
    sample = x.T @ x / count
    scale = np.trace(sample) / size
    spread = ((sample - scale * np.eye(size)) ** 2).sum() / size
    noise = (((x**2).T @ (x**2)) / count - sample**2).sum() / size / count
    share = min(noise, spread) / spread if spread > 0 else 1.0
    shrunk: F64 = (1 - share) * sample + share * scale * np.eye(size)
    return shrunk


def plain_structures(size_px: tuple[int, int], seed: int) -> list[U8]:
    """Frames u8 (H, W, 3) that are normal in a room and rare in a photo album: flat greys from black to
    white, tinted light, gradients, a wall above a floor, and darkness with a camera's noise in it."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    width, height = size_px
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    down, across = down / height, across / width
    tints = np.array([(1, 1, 1), (1, 0.9, 0.75), (0.8, 0.9, 1), (1, 0.6, 0.5), (0.6, 1, 0.7)], np.float32)
    levels = [np.full((height, width), level, np.float32) for level in np.linspace(0, 1, 9)]
    angles = rng.uniform(0, 2 * np.pi, 8)
    slopes = [np.cos(a) * (across - 0.5) + np.sin(a) * (down - 0.5) for a in angles]
    ramps = [rng.uniform(0.2, 0.8) + rng.uniform(0.1, 1) * slope for slope in slopes]
    rooms = [np.where(down < line, *rng.uniform(0.05, 0.95, 2)) for line in rng.uniform(0.4, 0.9, 4)]
    frames = []
    for luma in (*levels, *ramps, *rooms):
        tint = tints[rng.integers(len(tints))]
        noise = rng.normal(0, rng.choice([0.0, 0.004, 0.02]), (height, width, 3))
        frames.append(_u8(luma[:, :, None] * tint + noise))
    for level in (0.0, 0.01, 0.03, 0.06):
        dark = level * (0.5 + slopes[0])[:, :, None] * tints[1]
        frames += [_u8(dark + rng.normal(0, grain, (height, width, 3))) for grain in (0.003, 0.012, 0.03)]
    return frames


def _measured(latent: Latent) -> F32:
    fault = malformed(latent)
    if fault:
        raise FitError(f"a latent to fit to is malformed: {fault}")
    return measure(latent)


def _folds(count: int) -> list[NDArray[np.intp]]:
    return np.array_split(np.arange(count), FOLDS)


def _gaussian(x: F64) -> tuple[F64, F64]:
    """Mean and whitening matrix. Statistics are scaled to unit deviation before the covariance is shrunk,
    so that shrinking treats them alike."""
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    factor = np.linalg.cholesky(shrunk_covariance((x - mean) / deviation))
    return mean, np.linalg.inv(factor) / deviation


def _distances(x: F64, mean: F64, whiten: F64) -> F64:
    distances: F64 = (((x - mean) @ whiten.T) ** 2).sum(1)
    return distances


def _u8(x: F64) -> U8:
    frame: U8 = (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
    return frame
