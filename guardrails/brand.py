"""The brand box: which colours, how light and how saturated a piece may be, and on how much of the picture.

Judged before anything is decoded: a map that is fitted to decoded pictures says what colour every area of the
latent will come to; its error is kept with it. What is a little outside is a matter of degree.

Off the palette is an area of the picture that is further than `reach` from each of its colours, in the a*
and b* of CIELAB, and no grey. From half of the reach on it counts in part: a map that errs a little then errs
by little.
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

VERSION: Final = 3  # 1 was linear, and of single values; 2 had no layer for each style
AREA: Final = 2  # values on a side of what is judged as one colour: strokes are smaller than that
BINS: Final = 44  # a side of the plane of colours: a* and b* from -REACH to REACH
WORN: Final = 0.1  # share of a style from which on its colours belong to a mixture
REACH: Final = 110.0
GREY: Final = 8.0  # chroma in CIELAB below which a colour belongs to every palette
LAB: Final = 100.0  # what one of the map's numbers is worth in CIELAB


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a picture's areas: mean lightness L* in [0, 100] and mean chroma, from and to; how far from a colour
    of the palette still belongs to it; of each style, how much may be off it, and how much may be more
    saturated than `vivid`."""

    lightness: tuple[float, float]
    chroma: tuple[float, float]
    reach: float
    off_palette: tuple[float, ...]
    vivid: float
    vivid_area: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColourMap:
    """One hidden layer for all styles, f32 (C + 1, H), that starts from `starts` (S, H) of each style, and
    what is above zero of it times `weights` (S, H + 1, 3) of each to L*, a*, b* over LAB; in a mixture of
    styles both are mixed. `errors` of each style: the root mean square on pictures it was not fitted to, in
    CIELAB distance."""

    styles: tuple[str, ...]
    hidden: F32
    starts: F32
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
        """CIELAB f32 (h / AREA, w / AREA, 3) of a well-formed latent, in the mixture of styles that is asked
        for."""
        seen = features(latent)
        return self.of(seen, self.shares(controls)).reshape(*seen.shape[1:], 3)

    def of(self, seen: F32, shares: F32) -> F32:
        """CIELAB (n, 3) of `features` (C + 1, ...), for the share of each style."""
        weights = np.tensordot(shares, self.weights, 1)
        layer = seen.reshape(len(seen), -1).T @ self.hidden
        layer += shares @ self.starts
        np.maximum(layer, 0, out=layer)
        return np.asarray((layer @ weights[:-1] + weights[-1]) * np.float32(LAB), np.float32)

    @property
    def sound(self) -> bool:
        """Whether its parts belong together, and are numbers."""
        styles, (given, width) = max(len(self.styles), 1), self.hidden.shape
        shapes = self.starts.shape == (styles, width) and self.weights.shape == (styles, width + 1, 3)
        return (
            shapes
            and given > 1
            and all(np.isfinite(x).all() for x in (self.hidden, self.starts, self.weights))
        )


class BrandBox:
    """Holds pictures outside the box, and where they are near it lets them be softened."""

    name = "brand"
    softens = True

    def __init__(self, colour_map: ColourMap, limits: Limits, palette: Array) -> None:
        """`palette` bool (S, BINS, BINS) over a* and b*, of each style. Raises ValueError when they are not
        sound."""
        styles = max(len(colour_map.styles), 1)
        if palette.shape != (styles, BINS, BINS) or colour_map.hidden.ndim != 2 or not colour_map.sound:
            raise ValueError("its palette or its colour map is not sound")
        areas = np.array([limits.off_palette, limits.vivid_area], np.float32)  # ragged: a ValueError
        if areas.shape != (2, styles) or not limits.reach > 0:
            raise ValueError("its limits are for other styles than its colour map")
        self.colour_map, self.limits, self.palette = colour_map, limits, palette.astype(bool)
        self._away = np.stack([away_from(one) for one in self.palette])
        self._most = areas

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = malformed(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        if latent.code.shape[1] + 1 != len(self.colour_map.hidden):
            return Verdict(Judgement.HOLD, 0.0, "the brand box was fitted to latents of another shape")
        excess, what = self.outside(features(latent), self.colour_map.shares(controls))
        if excess <= 1.0:  # false for a NaN
            return Verdict(Judgement.PASS, float(0.5**excess), "inside the brand box")
        return Verdict(Judgement.HOLD, float(0.5**excess), what)

    def outside(self, seen: F32, shares: F32) -> tuple[float, str]:
        """How far outside the box the `features` of a latent are, 1 at its edge, and by what, for the share
        of each style."""
        lab = self.colour_map.of(seen, shares)
        if not np.isfinite(lab).all():
            return float("inf"), "colours that are no numbers"
        found = measured(lab, self.away_in(shares), self.limits)
        most_off, most_vivid = self._most[:, shares >= WORN].max(1)
        return self.excess(found, float(most_off), float(most_vivid))

    def away_in(self, shares: F32) -> F32:
        """How far each colour is from the palettes of the styles that are worn, as away_from."""
        return np.asarray(self._away[shares >= WORN].min(0))

    def excess(self, found: Mapping[str, float], most_off: float, most_vivid: float) -> tuple[float, str]:
        """How far outside the box, 1 at its edge, and by what, where so much may be off the palette and so
        much vivid."""
        limits = self.limits
        parts = {
            "lightness": _beyond(found["lightness"], *limits.lightness),
            "saturation": _beyond(found["chroma"], *limits.chroma),
            "colours off the palette": _share(found["off_palette"], most_off),
            "vivid colours": _share(found["vivid_area"], most_vivid),
        }
        worst = max(parts, key=lambda part: np.inf if np.isnan(parts[part]) else parts[part])
        return parts[worst], f"outside the brand box: {worst}"


def features(latent: Latent) -> F32:
    """f32 (C + 1, h / AREA, w / AREA): means over each area of the code and of the guide (0 without)."""
    code = latent.code[0]
    height, width = code.shape[1] // AREA, code.shape[2] // AREA
    found = np.zeros((len(code) + 1, height, width), np.float32)
    below = code[:, : height * AREA].reshape(-1, code.shape[2])  # channels below each other are one picture
    cv2.resize(
        below[:, : width * AREA],
        (width, len(code) * height),
        dst=found[:-1].reshape(-1, width),
        interpolation=cv2.INTER_AREA,
    )
    if latent.guide is not None:
        cv2.resize(latent.guide[0, 0], (width, height), dst=found[-1], interpolation=cv2.INTER_AREA)
    return found


def away_from(palette: Array) -> F32:
    """How far each colour is from the palette, in a* and b*: f32 (BINS, BINS); 0 in it."""
    apart = cv2.distanceTransform((~palette).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(apart * (2 * REACH / BINS), np.float32)


def away_of(lab: F32, away: F32) -> F32:
    """That of colours (n, 3) in CIELAB, f32 (n,); 0 of greys."""
    places = (lab[:, 1:] + REACH) * np.float32(BINS / (2 * REACH)) - np.float32(0.5)
    down, across = np.ascontiguousarray(places.T)[:, None]
    apart = cv2.remap(away, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.where(np.hypot(lab[:, 1], lab[:, 2]) > GREY, apart, np.float32(0))


def measured(lab: F32, away: F32, limits: Limits) -> dict[str, float]:
    """What the limits are about, of CIELAB colours f32 (n, 3); `away` as away_from of the palette."""
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    half = limits.reach / 2
    off = np.clip((away_of(lab, away) - half) / half, 0, 1)
    return {
        "lightness": float(lab[:, 0].mean()),
        "chroma": float(chroma.mean()),
        "off_palette": float(off.mean()),
        "vivid_area": float((chroma > limits.vivid).mean()),
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
        "starts": box.colour_map.starts,
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
    off, vivid = (tuple(float(one) for one in given[name]) for name in ("off_palette", "vivid_area"))
    limits = Limits((dark, light), (pale, strong), given["reach"], off, given["vivid"], vivid)
    styles, errors = tuple(json.loads(str(kept["styles"]))), tuple(float(one) for one in kept["errors"])
    colour_map = ColourMap(styles, kept["hidden"], kept["starts"], kept["weights"], errors)
    return BrandBox(colour_map, limits, kept["palette"])
