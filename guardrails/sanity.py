"""The policy that needs no fitting: shapes, numbers that are numbers, and a code that is alive.

A dark room, a white wall and a saturated camera pass: their guide may be constant and their code flat.
"""

from __future__ import annotations

import math

import numpy as np

from vivant.runtime.frames import Controls, Judgement, Latent, Verdict

LIMIT = 12.0  # of a code about unit variance
LIMIT_SHARE = 1e-3  # more than one element in a thousand beyond LIMIT is a saturated code
LEAST = 4  # places on a side: below that there is nothing to measure
CONSTANT = 1e-3  # standard deviation over all channels and places; no student encodes a room as one number
GUIDE_SLACK = 0.05  # int8 engines round


class Sanity:
    """Holds what no encoder can have made of a frame."""

    name = "sanity"

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = malformed(latent) or _implausible(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        return Verdict(Judgement.PASS, 1.0, "numbers in order")


def malformed(latent: Latent) -> str:
    """What is wrong with the latent's form, or "": batch 1, f32, a guide four times as fine as the code."""
    code, guide = latent.code, latent.guide
    if code.ndim != 4 or code.dtype != np.float32 or code.shape[0] != 1 or not code.size:
        return f"code {code.dtype} {code.shape} is no latent's"
    if guide is not None and guide.dtype != np.float32:
        return f"guide {guide.dtype} {guide.shape} is no latent's"
    height, width = code.shape[2:]
    if min(height, width) < LEAST:
        return f"a code of {width}x{height} places is too small to be judged"
    if guide is not None and guide.shape != (1, 1, 4 * height, 4 * width):
        return f"code {code.shape} and guide {guide.shape} do not belong together"
    if latent.sigma != 0.0 or not latent.scaled:
        return f"the latent is not finished: sigma {latent.sigma}, scaled {latent.scaled}"
    return ""


def _implausible(latent: Latent) -> str:
    code, guide = latent.code, latent.guide
    low, high = (0.0, 1.0) if guide is None else (float(guide.min()), float(guide.max()))
    lowest, highest = float(code.min()), float(code.max())
    peak = max(-lowest, highest)
    share = float((np.abs(code) > LIMIT).mean()) if peak > LIMIT else 0.0
    # of n values, two that lie this far apart deviate by as much at least: most codes need no closer look
    spread = (highest - lowest) / math.sqrt(2 * code.size)
    if spread < CONSTANT:
        spread = float(code.std())
    return fault_of(low, high, peak, share, spread)


def fault_of(low: float, high: float, peak: float, share: float, spread: float) -> str:
    """What is wrong with these numbers of a latent, or "": the guide's range, the code's largest size, the
    share of it beyond LIMIT, and its standard deviation."""
    if not (low >= -GUIDE_SLACK and high <= 1 + GUIDE_SLACK):  # a NaN fails every comparison
        return f"guide from {low:.3g} to {high:.3g}, must lie in [0, 1]"
    if not math.isfinite(peak):
        return "NaN or infinity in the code"
    if peak > LIMIT and share > LIMIT_SHARE:
        return f"saturated code: up to {peak:.3g}"
    if not spread >= CONSTANT:
        return "the code is constant"
    return ""
