"""The brand box: which colours, how light and how saturated a piece may be, and on how much of the picture.

Judged before anything is decoded: a map for each style, fitted to decoded pictures, says what colour every
area of the latent will come to; its error is kept with it. What is a little outside is a matter of degree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np

from vivant.guardrails.sanity import malformed
from vivant.runtime.frames import F32, Array, Controls, Judgement, Latent, Verdict

VERSION: Final = 2  # 1 was linear, and of single values
AREA: Final = 2  # values on a side of what is judged as one colour: strokes are smaller than that
BINS: Final = 24  # a side of the plane of colours: a* and b* from -REACH to REACH
WORN: Final = 0.1  # share of a style from which on its colours belong to a mixture
REACH: Final = 110.0
GREY: Final = 8.0  # chroma in CIELAB below which a colour belongs to every palette


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a picture's cells: mean lightness L* in [0, 100] and mean chroma, from and to; the share of them
    that may be off the palette, and that may be more saturated than `vivid`."""

    lightness: tuple[float, float]
    chroma: tuple[float, float]
    off_palette: float
    vivid: float
    vivid_area: float


@dataclass(frozen=True, slots=True)
class ColourMap:
    """`hidden` f32 (C + 2, H): random directions in the features, of which what is above zero is a feature
    too (Rahimi and Recht, "Weighted Sums of Random Kitchen Sinks", 2008); `weights` f32 (S, C + 2 + H, 3): of
    each style, to R, G, B in [0, 1]; `errors` of each, the root mean square on pictures it was not fitted to,
    in CIELAB distance."""

    styles: tuple[str, ...]
    hidden: F32
    weights: F32
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """Over all styles."""
        return float(np.sqrt(np.mean(np.square(self.errors))))

    def shares(self, controls: Controls) -> F32:
        """Of each style, f32 (S,), in the mixture that is asked for; of the first where none is."""
        shares = np.array([max(controls.styles.get(style, 0.0), 0.0) for style in self.styles], np.float32)
        total = float(shares.sum())
        return shares / total if total > 0.0 else np.eye(max(len(self.styles), 1), dtype=np.float32)[0]

    def colours(self, latent: Latent, controls: Controls) -> F32:
        """sRGB f32 (h / AREA, w / AREA, 3) in [0, 1] of a well-formed latent, in the mixture of styles that
        is asked for."""
        weights = np.einsum("s,sfc->fc", self.shares(controls), self.weights)
        seen = features(latent)
        found = raised(seen.reshape(len(seen), -1), self.hidden).T @ weights
        return np.asarray(np.clip(found, 0.0, 1.0), np.float32).reshape(*seen.shape[1:], 3)


class BrandBox:
    """Holds pictures outside the box, and where they are near it lets them be softened."""

    name = "brand"
    softens = True

    def __init__(self, colour_map: ColourMap, limits: Limits, palette: Array) -> None:
        """`palette` bool (S, BINS, BINS) over a* and b*, of each style. Raises ValueError when they are not
        sound."""
        self.colour_map, self.limits, self.palette = colour_map, limits, palette.astype(bool)
        hidden, weights = colour_map.hidden, colour_map.weights
        planes = (max(len(colour_map.styles), 1), BINS, BINS)
        if palette.shape != planes or not (np.isfinite(weights).all() and np.isfinite(hidden).all()):
            raise ValueError("its palette or its colour map is not sound")
        if weights.shape != (max(len(colour_map.styles), 1), sum(hidden.shape), 3):
            raise ValueError("its colour map is for other styles than it names, or not of one piece")

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = malformed(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        if latent.code.shape[1] + 2 != len(self.colour_map.hidden):
            return Verdict(Judgement.HOLD, 0.0, "the brand box was fitted to latents of another shape")
        colours = self.colour_map.colours(latent, controls)
        if not np.isfinite(colours).all():  # before they are converted, which may hide a NaN
            return Verdict(Judgement.HOLD, 0.0, "colours that are no numbers")
        palette: Array = np.asarray(self.palette[self.colour_map.shares(controls) >= WORN].any(0))
        excess, what = self.excess(measured(colours, palette, self.limits.vivid))
        if excess <= 1.0:  # false for a NaN
            return Verdict(Judgement.PASS, float(0.5**excess), "inside the brand box")
        return Verdict(Judgement.HOLD, float(0.5**excess), what)

    def excess(self, found: Mapping[str, float]) -> tuple[float, str]:
        """How far outside the box, 1 at its edge, and by what."""
        limits = self.limits
        parts = {
            "lightness": _beyond(found["lightness"], *limits.lightness),
            "saturation": _beyond(found["chroma"], *limits.chroma),
            "colours off the palette": _share(found["off_palette"], limits.off_palette),
            "vivid colours": _share(found["vivid_area"], limits.vivid_area),
        }
        worst = max(parts, key=lambda part: np.inf if np.isnan(parts[part]) else parts[part])
        return parts[worst], f"outside the brand box: {worst}"


def features(latent: Latent) -> F32:
    """f32 (C + 2, h / AREA, w / AREA): means over each area of the code and of the guide (0 without); one."""
    code = latent.code[0]
    height, width = code.shape[1] // AREA, code.shape[2] // AREA
    found = np.ones((len(code) + 2, height, width), np.float32)
    planes = [*code, *([] if latent.guide is None else [latent.guide[0, 0]])]
    for place, plane in enumerate(planes):
        cv2.resize(plane, (width, height), dst=found[place], interpolation=cv2.INTER_AREA)
    if latent.guide is None:
        found[-2] = 0.0
    return found


def raised(x: F32, hidden: F32) -> F32:
    """Features (F, n), and what of them is above zero in each of the `hidden` directions: (F + H, n)."""
    return np.concatenate([x, np.maximum(hidden.T @ x, 0)], dtype=np.float32)


def measured(colours: F32, palette: Array, vivid: float) -> dict[str, float]:
    """What the limits are about, of sRGB colours f32 (h, w, 3)."""
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    off = ~palette[bins_of(lab[..., 1]), bins_of(lab[..., 2])] & (chroma > GREY)
    return {
        "lightness": float(lab[..., 0].mean()),
        "chroma": float(chroma.mean()),
        "off_palette": float(off.mean()),
        "vivid_area": float((chroma > vivid).mean()),
    }


def bins_of(values: F32) -> Array:
    """The place of a* or b* in the plane of colours."""
    return np.asarray(np.clip((values + REACH) / (2 * REACH) * BINS, 0, BINS - 1), np.intp)


def _beyond(value: float, low: float, high: float) -> float:
    """How far from the middle of a range, 1 at its ends."""
    return abs(value - (low + high) / 2) / max((high - low) / 2, 1e-6)


def _share(value: float, most: float) -> float:
    return value / max(most, 1e-3)


def arrays_of(box: BrandBox, card: Mapping[str, Any]) -> dict[str, Array]:
    """What a guard file holds of a box."""
    return {
        "version": np.array(VERSION),
        "styles": np.array(json.dumps(box.colour_map.styles)),
        "hidden": box.colour_map.hidden,
        "weights": box.colour_map.weights,
        "errors": np.array(box.colour_map.errors),
        "limits": np.array(json.dumps(asdict(box.limits))),
        "palette": box.palette,
        "card": np.array(json.dumps(dict(card))),
    }


def policy_of(kept: Mapping[str, Array]) -> BrandBox:
    """As vivant.guardrails.guard_file.PolicyKind."""
    if int(kept["version"]) != VERSION:
        raise ValueError(f"version {int(kept['version'])}, and this is version {VERSION}. Fit it again")
    given = json.loads(str(kept["limits"]))
    (dark, light), (pale, strong) = given["lightness"], given["chroma"]
    limits = Limits((dark, light), (pale, strong), given["off_palette"], given["vivid"], given["vivid_area"])
    styles, errors = tuple(json.loads(str(kept["styles"]))), tuple(float(one) for one in kept["errors"])
    colour_map = ColourMap(styles, kept["hidden"], kept["weights"], errors)
    return BrandBox(colour_map, limits, kept["palette"])
