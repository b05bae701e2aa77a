"""The first policy: how far a latent's statistics are from those the student was fitted to.

Mahalanobis distance of `measure.measure`, or of `measure.measure_brief`, under a Gaussian with a shrunk
covariance (Ledoit and Wolf 2004), against a threshold that fit.py set at a stated rate of false holds.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vivant.guardrails.measure import VERSION, length, measure, measure_brief
from vivant.guardrails.sanity import malformed
from vivant.runtime.frames import EMPTY, F32, Array, Controls, Judgement, Latent, Verdict, VivantError

ANEW: Final = "Copy the whole student folder again, or export the student anew."


class GuardFileError(VivantError):
    """What the guard was fitted to cannot be read or is not the file that the student's card names."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fit.py found: `mean` (F,); `whiten` (F, F) with d2 = |whiten (x - mean)|^2; `threshold` of d2;
    `false_hold_rate` at the threshold before `margin` was multiplied on; `count` of latents fitted to;
    `guided` whether those had a guide; `brief` whether few statistics of them were taken, which is enough
    where a network looks at their grain (vivant.guardrails.coherence)."""

    mean: F32
    whiten: F32
    threshold: float
    channels: int
    false_hold_rate: float
    margin: float
    count: int
    guided: bool = True
    brief: bool = False


class Envelope:
    """Holds a latent beyond the threshold. The score is 1 at the centre and 0.5 at the threshold."""

    name = "envelope"
    softens = True

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted
        self._measure = measure_brief if fitted.brief else measure

    @classmethod
    def load(cls, path: Path, sha256: str) -> Envelope:
        """Raises GuardFileError when the file is missing, of another hash, or not a fitted guard."""
        return cls(read(path, sha256))

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = malformed(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        if latent.code.shape[1] != self.fitted.channels:
            return Verdict(
                Judgement.HOLD,
                0.0,
                f"{latent.code.shape[1]} channels; the guard is fitted to {self.fitted.channels}",
            )
        if (latent.guide is not None) != self.fitted.guided:
            return Verdict(
                Judgement.HOLD, 0.0, "a guide where there should be none, or none where one should be"
            )
        return verdict_of(self.distance2(latent) / self.fitted.threshold)

    def distance2(self, latent: Latent) -> float:
        """Squared Mahalanobis distance of a well-formed latent; NaN for one that holds a NaN."""
        with np.errstate(all="ignore"):
            white = np.einsum("ij,j->i", self.fitted.whiten, self._measure(latent) - self.fitted.mean)
            return float(np.einsum("i,i->", white, white))


def verdict_of(excess: float) -> Verdict:
    """The verdict on a squared distance, in thresholds."""
    score = float(0.5**excess)
    if excess <= 1.0:  # false for a NaN
        return Verdict(Judgement.PASS, score, "inside the envelope")
    return Verdict(Judgement.HOLD, score, f"outside the envelope: {excess**0.5:.2f} times as far as its edge")


def write(fitted: Fitted, more: Mapping[str, Array] = EMPTY) -> bytes:
    """The bytes of a guard file; `more` arrays lie beside the envelope's."""
    out = io.BytesIO()
    arrays: dict[str, Array] = {
        "version": np.array(VERSION, np.int64),
        "mean": fitted.mean,
        "whiten": fitted.whiten,
        "threshold": np.array(fitted.threshold, np.float64),
        "channels": np.array(fitted.channels, np.int64),
        "false_hold_rate": np.array(fitted.false_hold_rate, np.float64),
        "margin": np.array(fitted.margin, np.float64),
        "count": np.array(fitted.count, np.int64),
        "guided": np.array(fitted.guided),
        "brief": np.array(fitted.brief),
        **more,
    }
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def read(path: Path, sha256: str) -> Fitted:
    """The envelope in a guard file of this hash. Raises GuardFileError."""
    return fitted_of(read_arrays(path, sha256), path)


def read_arrays(path: Path, sha256: str) -> dict[str, Array]:
    """What a guard file of this hash holds. Raises GuardFileError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GuardFileError(f"guard file {path} cannot be read ({error.strerror}). {ANEW}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise GuardFileError(
            f"guard file {path} has sha256 {found[:12]}..., but the card says {sha256[:12] or 'none'}. {ANEW}"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise GuardFileError(f"guard file {path} is not one: {error}") from error


def fitted_of(kept: Mapping[str, Array], path: Path) -> Fitted:
    """The envelope among the arrays of the guard file `path`. Raises GuardFileError."""
    try:
        version = int(kept["version"])
        numbers = {
            key: kept[key].item() for key in ("threshold", "channels", "false_hold_rate", "margin", "count")
        }
        # files older than the entries have a guide and all statistics
        guided, brief = bool(kept.get("guided", True)), bool(kept.get("brief", False))
        fitted = Fitted(kept["mean"], kept["whiten"], guided=guided, brief=brief, **numbers)
    except (KeyError, ValueError, TypeError) as error:
        raise GuardFileError(f"guard file {path} is not one: {error}") from error
    fault = "fitted to other statistics" if version != VERSION else _fault(fitted)
    if fault:
        raise GuardFileError(f"guard file {path}: {fault}. Fit the guard again, with the student's export.")
    return fitted


def _fault(fitted: Fitted) -> str:
    size = length(fitted.channels, fitted.guided, fitted.brief)
    if fitted.mean.shape != (size,) or fitted.whiten.shape != (size, size):
        return f"{fitted.mean.shape} and {fitted.whiten.shape} are not {size} statistics"
    if fitted.brief and not fitted.guided:
        return "a few statistics are of a code and its guide, and it says that there is none"
    if not (
        np.isfinite(fitted.mean).all() and np.isfinite(fitted.whiten).all() and 0 < fitted.threshold < np.inf
    ):
        return "its numbers are not finite"
    return ""
