"""Draws the performer: soft rounded limbs, a pleated skirt, a face, hair, a ribbon and a shadow.

Outlines are made for many moments together (`prepare`), then filled one moment at a time (`draw`):
numpy is slow on small arrays, and filling a polygon takes microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vivant.runtime.frames import U8
from vivant.runtime.senses.acts import F64
from vivant.runtime.senses.costume import HEAD_PLACES, HEAD_R, LIMBS, SPOTS, Costume, ramps, spot_colours
from vivant.runtime.senses.dance import AT, Poses, turned
from vivant.runtime.senses.shapes import (
    I32,
    RIBBON_S,
    SUBPIXELS,
    Pleats,
    Strip,
    View,
    capsules,
    fixed,
    ribbon,
    skirt,
)

LATE_S: Final = 0.16  # how far the skirt is behind the body
MEMORY_S: Final = RIBBON_S + 0.1  # drawing a moment needs the poses of this long before it
SHIFT: Final = 4  # the bits of SUBPIXELS
SHADOW_TOP: Final = 0.74  # the shadow falls below this share of the height
SHADOW: Final = np.clip(255 - 0.60 * np.arange(256), 0, 255).astype(np.uint8)
SHADOW_LINES: Final = (
    ("pelvis", "chest", 0.13),
    ("chest", "head", 0.09),
    *(("pelvis", f"knee_{side}", 0.22) for side in "lr"),
    *((f"knee_{side}", f"ankle_{side}", 0.06) for side in "lr"),
    *((f"ankle_{side}", f"toe_{side}", 0.05) for side in "lr"),
    *((f"shoulder_{side}", f"elbow_{side}", 0.05) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 0.04) for side in "lr"),
)
PARTS: Final = ("legs", "torso", "head", "tail", "arm_l", "arm_r")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some moments, ready to be filled. Outlines are in 1/16 px."""

    limbs: dict[str, I32]  # by group: (T, limbs, layers, points, 2)
    order: NDArray[np.int64]  # (T, 6) PARTS from far to near
    pleats: Pleats
    cloth: F64  # (T, n, 3) colours
    strip: Strip
    satin: F64  # (T, n, 3) colours
    in_front: NDArray[np.bool_]  # (T, n) pieces of the ribbon before the body
    spots: I32  # (T, spots, 4): x, y, half width, half height
    seen: NDArray[np.bool_]  # (T, spots)
    away: NDArray[np.bool_]  # (T,) the face is turned away
    thrown: I32  # (T, joints, 2) on the shadow's picture, a quarter of the size
    touching: NDArray[np.bool_]  # (T, 2) a foot is near the floor
    box_px: NDArray[np.int64]  # (T, 4) left, top, right, bottom of all limbs


class Figure:
    """One dancer on pictures of one size."""

    def __init__(self, size_px: tuple[int, int], costume: Costume) -> None:
        self._view = View(size_px)
        self._costume = costume
        self._ramps = ramps(costume)
        self._spots = [spot_colours(costume)[colour] for _, _, colour in SPOTS]
        self._shadow_top = round(SHADOW_TOP * size_px[1])

    def prepare(self, poses: Poses, first: int, fps: float) -> Drawn:
        """The outlines of the moments from `first` on; there are MEMORY_S of poses before it."""
        places = {name: place[first:] for name, place in _places(poses, fps).items()}
        spin = np.gradient(poses.yaw) * fps
        spin = np.clip(np.convolve(spin, np.full(5, 0.2), "same"), -9, 9)[first:]
        pleats = skirt(poses, self._view, first, spin, round(LATE_S * fps))
        strip = ribbon(poses, self._view, first, fps)
        spots, seen, away = self._face(poses, first)
        limbs = self._limbs(places)
        return Drawn(
            limbs=limbs,
            order=_order(places),
            pleats=pleats,
            cloth=self._cloth(pleats),
            strip=strip,
            satin=self._satin(strip),
            in_front=strip.depth >= places["chest"][:, 2:],
            spots=spots,
            seen=seen,
            away=away,
            thrown=self._thrown(poses.joints[first:]),
            touching=np.stack([places[f"ankle_{side}"][:, 1] < 0.12 for side in "lr"], -1),
            box_px=self._box(limbs, pleats),
        )

    def _limbs(self, places: dict[str, F64]) -> dict[str, I32]:
        starts, ends = (np.stack([places[name] for name in names], 1) for names in _ends())
        start_r = np.array([limb.start_r for limb in LIMBS]) * self._view.unit_px(starts)
        end_r = np.array([limb.end_r for limb in LIMBS]) * self._view.unit_px(ends)
        piles = capsules(self._view.project(starts), self._view.project(ends), start_r, end_r)
        groups: dict[str, list[int]] = {}
        for index, limb in enumerate(LIMBS):
            groups.setdefault(limb.group, []).append(index)
        return {group: piles[:, indexes] for group, indexes in groups.items()}

    def _face(self, poses: Poses, first: int) -> tuple[I32, NDArray[np.bool_], NDArray[np.bool_]]:
        yaw, nod, head = poses.head_yaw[first:, None], poses.nod[first:, None], poses.at("head")[first:, None]
        way = turned(np.array([place for place, _, _ in SPOTS])[None], yaw, nod)
        pixels = self._view.project(head + HEAD_R * way)
        unit = HEAD_R * self._view.unit_px(head)
        wide = np.array([size[0] for _, size, _ in SPOTS]) * (0.35 + 0.65 * way[..., 2].clip(0, 1)) * unit
        high = np.array([size[1] for _, size, _ in SPOTS]) * unit
        spots = np.concatenate([pixels, wide[..., None], high[..., None]], -1)
        return fixed(spots), way[..., 2] > 0.25, np.cos(yaw[:, 0]) < 0

    def _cloth(self, pleats: Pleats) -> F64:
        outside = pleats.depth >= -0.05
        light = np.where(outside, 0.56 + 0.52 * pleats.shade, 0.34 + 0.12 * pleats.shade)[..., None]
        base = np.where(pleats.stripe[:, None], np.array(self._costume.pleat), np.array(self._costume.skirt))
        sheen = np.clip(pleats.shade - 0.6, 0, 1) * outside
        lit: F64 = base * light + sheen[..., None] * np.array([80.0, 75.0, 60.0])
        return lit.clip(0, 255)

    def _satin(self, strip: Strip) -> F64:
        lit = 0.80 + 0.26 * strip.twist[..., None] + np.maximum(0.0, strip.twist[..., None] - 0.7) * 0.5
        return np.clip(np.array(self._costume.ribbon) * lit, 0, 255)

    def _thrown(self, joints: F64) -> I32:
        flat = joints + joints[..., 1:2] * np.array([0.55, -1.0, -0.62])
        flat[..., 1] = 0.0
        return fixed((self._view.project(flat) - np.array([0, self._shadow_top])) / 4)

    def _box(self, limbs: dict[str, I32], pleats: Pleats) -> NDArray[np.int64]:
        count = len(pleats.shade)
        rims = [pile[:, :, 0] for pile in limbs.values()]
        edges = [each.reshape(count, -1, 2) for each in (*rims, pleats.trim)]
        every = np.concatenate(edges, 1) // SUBPIXELS
        limit = np.array(self._view.size_px)
        low, high = np.clip(every.min(1) - 2, 0, limit), np.clip(every.max(1) + 3, 0, limit)
        return np.concatenate([low, high], -1).astype(np.int64)

    def draw(self, picture: U8, drawn: Drawn, now: int) -> None:
        """Draw moment `now` of `drawn` into `picture` u8 (H, W, 3)."""
        import cv2

        self._shadow(picture, drawn, now)
        self._ribbon(picture, drawn, now, False)
        for part in drawn.order[now].tolist():
            if PARTS[part] == "legs":
                self._lower_body(picture, drawn, now)
            elif PARTS[part] == "torso":
                self._pile(picture, drawn, now, "top", "neck", "belt")
            elif PARTS[part] == "head":
                self._head(picture, drawn, now)
            else:
                self._pile(picture, drawn, now, PARTS[part].replace("arm", "hand"), PARTS[part])
        self._ribbon(picture, drawn, now, True)
        left, top, right, bottom = drawn.box_px[now].tolist()
        body = picture[top:bottom, left:right]
        if body.size:
            cv2.GaussianBlur(body, (3, 3), 0, body)  # the layers of a limb melt into one

    def _pile(self, picture: U8, drawn: Drawn, now: int, *groups: str) -> None:
        import cv2

        for group in groups:
            outlines = drawn.limbs[group][now]
            for layer, colour in enumerate(self._ramps[group]):
                for outline in outlines[:, layer]:
                    cv2.fillConvexPoly(picture, outline, colour, cv2.LINE_AA, SHIFT)

    def _lower_body(self, picture: U8, drawn: Drawn, now: int) -> None:
        """The far half of the skirt, the legs, the near half."""
        depth = drawn.pleats.depth[now]
        order = np.argsort(depth)
        far = int((depth < 0).sum())
        self._sections(picture, drawn, now, order[:far].tolist())
        left, right = (drawn.thrown[now, AT[f"knee_{side}"], 1] for side in "lr")
        for side in "rl" if left > right else "lr":
            self._pile(picture, drawn, now, f"leg_{side}", f"shoe_{side}")
        self._sections(picture, drawn, now, order[far:].tolist())

    def _sections(self, picture: U8, drawn: Drawn, now: int, sections: list[int]) -> None:
        import cv2

        cloth, trim, colours = drawn.pleats.cloth[now], drawn.pleats.trim[now], drawn.cloth[now].tolist()
        gold = np.array(self._costume.ribbon) * (0.66 + 0.34 * drawn.pleats.shade[now, :, None])
        for index in sections:
            cv2.fillConvexPoly(picture, cloth[index], colours[index], cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(picture, trim[index], gold[index].tolist(), cv2.LINE_AA, SHIFT)

    def _head(self, picture: U8, drawn: Drawn, now: int) -> None:
        """Hair and face in the order that the way the head faces asks for."""
        import cv2

        if drawn.away[now]:
            self._pile(picture, drawn, now, "face", "skull", "bun")
            return
        self._pile(picture, drawn, now, "bun", "skull", "face")
        for index in np.flatnonzero(drawn.seen[now]).tolist():
            x, y, wide, high = drawn.spots[now, index].tolist()
            colour = self._spots[index]
            cv2.ellipse(picture, (x, y), (wide, high), 0, 0, 360, colour, -1, cv2.LINE_AA, SHIFT)
        self._pile(picture, drawn, now, "fringe")

    def _ribbon(self, picture: U8, drawn: Drawn, now: int, in_front: bool) -> None:
        import cv2

        colours = drawn.satin[now].tolist()
        for index in np.flatnonzero(drawn.in_front[now] == in_front).tolist():
            outline = drawn.strip.outline[now, index]
            cv2.fillConvexPoly(picture, outline, colours[index], cv2.LINE_AA, SHIFT)

    def _shadow(self, picture: U8, drawn: Drawn, now: int) -> None:
        """What the window's light throws on the floor; drawn small, so that it is soft."""
        import cv2

        floor = picture[self._shadow_top :]
        small: Any = np.zeros((floor.shape[0] // 4, floor.shape[1] // 4), np.uint8)
        unit = self._view.size_px[1] * 0.75 / 4
        thrown = drawn.thrown[now].tolist()
        for first, second, wide in SHADOW_LINES:
            thick = max(1, round(wide * unit))
            cv2.line(small, thrown[AT[first]], thrown[AT[second]], 255, thick, cv2.LINE_8, SHIFT)
        small = cv2.GaussianBlur(small, (0, 0), 1.8)
        for foot, side in enumerate("lr"):
            if drawn.touching[now, foot]:
                x, y = (each // SUBPIXELS for each in thrown[AT[f"toe_{side}"]])
                cv2.ellipse(small, (x, y), (6, 2), 0, 0, 360, 255, -1)
        small = cv2.LUT(cv2.GaussianBlur(small, (0, 0), 1.2), SHADOW)
        soft = cv2.resize(small, (floor.shape[1], floor.shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(floor, cv2.merge([soft, soft, soft]), floor, 1 / 255)


def _ends() -> tuple[list[str], list[str]]:
    return [limb.start for limb in LIMBS], [limb.end for limb in LIMBS]


def _order(places: dict[str, F64]) -> NDArray[np.int64]:
    arms = [(places[f"elbow_{side}"][:, 2] + places[f"hand_{side}"][:, 2]) / 2 for side in "lr"]
    legs, torso = places["pelvis"][:, 2], places["chest"][:, 2] + 0.01
    head, tail = places["head"][:, 2] + 0.012, places["tail_1"][:, 2]
    return np.argsort(np.stack([legs, torso, head, tail, *arms], -1), -1)


def _places(poses: Poses, fps: float) -> dict[str, F64]:
    """All places that limbs run between, (T, 3) each."""
    places = {name: poses.at(name) for name in AT}
    pelvis, waist, chest, head = (places[name] for name in ("pelvis", "waist", "chest", "head"))
    belly, rib = 0.8 * waist + 0.2 * pelvis, waist + 0.60 * (chest - waist)
    places |= {
        "bust": chest - 0.14 * (chest - waist),
        "belly": belly,
        "throat": chest + 0.52 * (head - chest),
    }
    for side in "lr":
        hand, out = places[f"hand_{side}"], places[f"shoulder_{side}"] - chest
        knee = places[f"knee_{side}"]
        places |= {
            f"tip_{side}": hand + 0.30 * (hand - places[f"elbow_{side}"]),
            f"calf_{side}": knee + 0.3 * (places[f"ankle_{side}"] - knee),
            f"rib_{side}": rib + 0.42 * out,
            f"strap_{side}": chest + 0.55 * out + 0.06 * (chest - waist),
            f"belt_{side}": belly + 0.42 * out,
        }
    for name, place in HEAD_PLACES.items():
        places[name] = head + HEAD_R * turned(np.array([place]), poses.head_yaw, poses.nod)
    for index in range(4):  # the pony tail follows the head, each piece a little later
        then = np.maximum(0, np.arange(len(head)) - round(index * 0.07 * fps))
        far = index / 3
        away = turned(np.array([[0.0, 0.03 - 0.17 * far**1.3, -0.07 - 0.05 * far]]), poses.head_yaw[then])
        places[f"tail_{index}"] = head[then] + away
    return places
