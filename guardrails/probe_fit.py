"""Fits a probe from folders of pictures, away from the show: encode, train, cross-validate, set thresholds.

Imports torch, through vivant.guardrails.probe_net.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.engines.contract import LoadedStudent
from vivant.guardrails.fresh_views import CutOut, FreshViews, cut_outs, is_own_luma
from vivant.guardrails.guard_file import write_guard_file
from vivant.guardrails.pictures import SMALLEST_PASTE, PicturesError, Still, Views
from vivant.guardrails.probe import VERSION
from vivant.guardrails.spoil import spoiled
from vivant.runtime.frames import F32, U8, Array, Controls, Latent

TAIL: Final = 0.05  # of approved views: the worst of them say how the rest of the tail goes on
DEGENERATE: Final = "degenerate"
DECOYS: Final = 0.35  # of approved views with a cut-out among the forbidden: a harmless piece pasted in
WORN: Final = 0.4  # of views with one of the adapters
NEAREST: Final = 6  # views of a kind, on either side of its threshold, that are kept to be looked at
THUMB_PX: Final = 160
Z95: Final = 1.96
FEWEST_VIEWS: Final = 100
KEPT_APART: Final = 5  # one of so many parts, where there is no time to cross-validate

Tell = Callable[[str, float], None]
"""Told what is being done and the share of it that is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`views` of approved pictures and as many of all forbidden kinds together; how often all are gone
    through; in how many parts they are cross-validated, 1 to keep a fifth apart and fit once; the share of
    approved views that may be held; how small cut-outs are shown, as a share of the side."""

    views: int = 3000
    epochs: int = 10
    folds: int = 1
    false_hold_rate: float = 1e-3
    seed: int = 0
    smallest: float = SMALLEST_PASTE
    smallest_of: Mapping[str, float] = field(default_factory=dict)
    """For single kinds, in the place of `smallest`: text must be larger than a symbol to be read."""
    degenerate: bool = True
    """Whether spoiled latents of approved pictures are a forbidden kind beside those that are given."""


@dataclass(frozen=True, slots=True)
class Near:
    """A view near the threshold of `kind`: what it is, how far beyond, and the picture u8."""

    kind: str
    forbidden: bool
    beyond: float
    pixels: U8


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found. Logits are of views that the network had not seen: approved (N, K), and by kind the
    forbidden (n,) of that kind's own logit."""

    kinds: tuple[str, ...]
    thresholds: F32
    approved: F32
    forbidden: Mapping[str, F32]
    card: Mapping[str, Any]
    near: tuple[Near, ...] = ()
    sha256: str = ""


@dataclass(slots=True)
class Latents:
    """Latents of views on disk, as f16, with the pictures that they are of (`thumbs`), `labels` (N, K) and
    the picture each was made from (`origins`), so that no picture is on both sides of a cross-validation;
    whether their guides are the pictures' own luma, so that a cut-out can be pasted into them."""

    codes: Array
    guides: Array | None
    labels: Array
    origins: Array
    thumbs: list[U8] = field(default_factory=list)
    own_luma: bool = False

    def of(self, rows: Array) -> Latents:
        """Those alone; their values are where they were."""
        thumbs = [self.thumbs[row] for row in rows]
        return Latents(self.codes, self.guides, self.labels[rows], self.origins[rows], thumbs, self.own_luma)


def fit_probe(
    student: LoadedStudent,
    approved: Mapping[str, Sequence[Still]],
    forbidden: Mapping[str, Sequence[Still]],
    out: Path,
    plan: Plan | None = None,
    tell: Tell = lambda what, share: None,
) -> Fit:
    """Fits to a loaded student and writes `out`. Raises PicturesError for pictures that give no probe."""
    plan = plan or Plan()
    if plan.views < FEWEST_VIEWS:
        raise PicturesError(f"{plan.views} views are too few to fit a probe to: give at least {FEWEST_VIEWS}")
    if plan.degenerate:
        forbidden = {**forbidden, DEGENERATE: grounds_of(approved)}
    if not forbidden:
        raise PicturesError("nothing is forbidden: there is nothing to fit a probe to")
    with tempfile.TemporaryDirectory(prefix="vivant-guard-") as folder:
        latents = encoded(student, approved, forbidden, plan, Path(folder), tell)
        return fit_latents(student, approved, forbidden, latents, out, plan, tell)


def fit_latents(
    student: LoadedStudent,
    approved: Mapping[str, Sequence[Still]],
    forbidden: Mapping[str, Sequence[Still]],
    latents: Latents,
    out: Path,
    plan: Plan,
    tell: Tell = lambda what, share: None,
) -> Fit:
    """As `fit_probe`, of pictures whose views are encoded already."""
    from vivant.guardrails.probe_net import graph_of

    kinds = tuple(forbidden)
    pieces = cut_outs(forbidden, plan.smallest, plan.smallest_of) if latents.own_luma else []
    latents, logits, net = cross_validated(latents, len(kinds), plan, tell, pieces)
    thresholds = thresholds_of(logits[~latents.labels.any(1)], plan.false_hold_rate)
    found = Fit(
        kinds,
        thresholds,
        logits[~latents.labels.any(1)],
        {kind: logits[latents.labels[:, k], k] for k, kind in enumerate(kinds)},
        card_of(student, approved, forbidden, plan, logits, latents.labels, kinds, thresholds),
        tuple(nearest(kinds, thresholds, logits, latents)),
    )
    arrays = {
        "version": np.array(VERSION),
        "graph": np.frombuffer(graph_of(net), np.uint8),
        "kinds": np.array(json.dumps(kinds)),
        "thresholds": thresholds,
        "guided": np.array(latents.guides is not None),
        "card": np.array(json.dumps(found.card)),
    }
    return replace(found, sha256=write_guard_file(out, "probe", student.hash, arrays))


def encoded(
    student: LoadedStudent,
    approved: Mapping[str, Sequence[Still]],
    forbidden: Mapping[str, Sequence[Still]],
    plan: Plan,
    folder: Path,
    tell: Tell,
) -> Latents:
    """The latents of every view, as the guard will see them: denoised, in styles by chance."""
    made: Latents | None = None
    kinds = tuple(forbidden)
    count = plan.views + plan.views // len(forbidden) * len(forbidden)
    for index, (pixels, label, origin) in enumerate(views(student.size_px, approved, forbidden, plan)):
        rng = np.random.default_rng((plan.seed, 1, index))
        latent = shown(student, pixels, rng)
        if label >= 0 and kinds[label] == DEGENERATE:
            latent = spoiled(latent, rng)
        made = made or _room_for(latent, count, len(forbidden), folder)
        made.own_luma = is_own_luma(latent.guide, pixels) and (made.own_luma or index == 0)
        made.codes[index] = latent.code[0]
        if made.guides is not None and latent.guide is not None:
            made.guides[index] = latent.guide[0]
        if label >= 0:
            made.labels[index, label] = True
        made.origins[index] = origin
        made.thumbs.append(_thumb(pixels))
        tell("looking at the pictures", (index + 1) / count)
    assert made is not None
    return made


def views(
    size_px: tuple[int, int],
    approved: Mapping[str, Sequence[Still]],
    forbidden: Mapping[str, Sequence[Still]],
    plan: Plan,
) -> Iterator[tuple[U8, int, int]]:
    """Views with the number of their kind, -1 for approved ones, and of the picture they are of."""
    grounds = grounds_of(approved)
    pasting = any(still.alpha is not None for stills in forbidden.values() for still in stills)
    own = Views(grounds, grounds, size_px, plan.smallest)
    for index in range(plan.views):
        rng = np.random.default_rng((plan.seed, 0, index))
        decoy = pasting and rng.uniform() < DECOYS
        yield own.decoy(index, rng) if decoy else own.view(index, rng), -1, index % len(grounds)
    origin = len(grounds)
    for kind, (name, stills) in enumerate(forbidden.items()):
        seen = Views(stills, grounds, size_px, plan.smallest_of.get(name, plan.smallest))
        for index in range(plan.views // len(forbidden)):
            rng = np.random.default_rng((plan.seed, 2 + kind, index))
            # a cut-out is one thing in many places: its views stand for themselves
            own_origin = index if stills[index % len(stills)].alpha is not None else index % len(stills)
            yield seen.view(index, rng), kind, origin + own_origin
        origin += max(len(stills), plan.views)


def grounds_of(approved: Mapping[str, Sequence[Still]]) -> list[Still]:
    """The approved pictures that are no cut-outs. Raises PicturesError when there are none."""
    grounds = [still for stills in approved.values() for still in stills if still.alpha is None]
    if not grounds:
        raise PicturesError(
            "approved pictures without transparency are needed: they are what the piece shows"
        )
    return grounds


def shown(student: LoadedStudent, pixels: U8, rng: np.random.Generator) -> Latent:
    """The finished latent of a picture as a show may make it: in a style, a mixture, with an adapter or
    without, at any strength, in one step or two, by chance; valid until the next."""
    styles, adapters = tuple(student.card.styles), tuple(student.adapters)
    weights: dict[str, float] = {}
    if styles:
        alone = rng.uniform() < 0.7
        shares = (
            np.eye(len(styles))[rng.integers(len(styles))] if alone else rng.dirichlet([0.4] * len(styles))
        )
        weights = dict(zip(styles, map(float, shares), strict=True))
    worn = bool(adapters) and rng.uniform() < WORN
    controls = Controls(
        strength=float(rng.uniform(0.0, 1.0)),
        steps=int(rng.integers(1, 3)),
        seed=int(rng.integers(9999)),
        styles=weights,
        adapters={str(rng.choice(adapters)): float(rng.uniform(0.3, 1.0))} if worn else {},
        size_px=student.size_px,
    )
    return student.denoise(student.encode(pixels), controls)


def cross_validated(
    latents: Latents, kinds: int, plan: Plan, tell: Tell, pieces: Sequence[CutOut] = ()
) -> tuple[Latents, F32, Any]:
    """Views, their logits (N, K) by a network that saw nothing of their pictures, and the network to judge
    with: all views and one fitted to all, or, for one fold, the views kept apart and the one that was not
    shown them."""
    import torch

    from vivant.guardrails.probe_net import ProbeNet, logits_of, train

    alone = plan.folds == 1
    parts = KEPT_APART if alone else plan.folds
    fold_of = np.random.default_rng(plan.seed).integers(parts, size=int(latents.origins.max()) + 1)
    part = fold_of[latents.origins]
    logits = np.zeros((len(latents.codes), kinds), np.float32)
    turns = 1 if alone else plan.folds + 1
    for fold in range(turns):
        torch.manual_seed(plan.seed)
        net = ProbeNet(latents.codes.shape[1], latents.guides is not None, kinds)
        mine, rest = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
        told = partial(tell, f"fitting, part {fold + 1} of {turns}")
        given = latents.codes, latents.guides
        seed = plan.seed + fold
        train(
            net, *given, latents.labels, mine, plan.epochs, seed, told, fresh_of(latents, mine, pieces, seed)
        )
        if len(rest):
            logits[rest] = logits_of(net, *given, rest)
    judged = np.flatnonzero(part == 0) if alone else np.arange(len(logits))
    return latents.of(judged), logits[judged], net


def fresh_of(latents: Latents, rows: Array, pieces: Sequence[CutOut], seed: int) -> FreshViews | None:
    """What is pasted anew into the approved latents among `rows`; nothing where there are no `pieces`."""
    if latents.guides is None or not pieces:
        return None
    grounds = rows[~latents.labels[rows].any(1)]
    return FreshViews(latents.guides, grounds, pieces, latents.labels.shape[1], seed)


def thresholds_of(approved: F32, false_hold_rate: float) -> F32:
    """Of each kind's logit, f32 (K,), so that all kinds together hold `false_hold_rate` of approved views:
    the tail beyond the TAIL quantile is taken for exponential (peaks over threshold: Pickands 1975, shape
    0)."""
    share = false_hold_rate / approved.shape[1]
    base = np.quantile(approved, 1 - TAIL, axis=0)
    beyond = np.maximum(approved - base, 0)
    mean = beyond.sum(0) / np.maximum((beyond > 0).sum(0), 1)
    by_tail = base + mean * np.log(TAIL / share)
    return np.asarray(np.maximum(by_tail, np.quantile(approved, 1 - share, axis=0)), np.float32)


def interval(hits: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    rate, z2 = hits / count, Z95 * Z95
    middle = (rate + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * np.sqrt(rate * (1 - rate) / count + z2 / (4 * count * count))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def card_of(
    student: LoadedStudent,
    approved: Mapping[str, Sequence[Still]],
    forbidden: Mapping[str, Sequence[Still]],
    plan: Plan,
    logits: F32,
    labels: Array,
    kinds: tuple[str, ...],
    thresholds: F32,
) -> dict[str, Any]:
    """The model card: to whom and what it was fitted, and what cross-validation found."""
    held: Array = np.any(logits > thresholds, axis=1)
    ok: Array = np.logical_not(labels.any(1))

    def rate(which: Array) -> dict[str, Any]:
        hits, count = int(held[which].sum()), int(which.sum())
        return {"held": hits, "of": count, "rate": hits / max(count, 1), "interval_95": interval(hits, count)}

    return {
        "student": {"name": student.card.name, "hash": student.hash, "precision": student.precision},
        "size_px": list(student.size_px),
        "plan": asdict(plan),
        "pictures": {
            "approved": {name: len(stills) for name, stills in approved.items()},
            "forbidden": {name: len(stills) for name, stills in forbidden.items()},
        },
        "thresholds": {kind: float(t) for kind, t in zip(kinds, thresholds, strict=True)},
        "cross_validated": {
            "false_hold": rate(ok),
            "true_hold": {kind: rate(labels[:, k]) for k, kind in enumerate(kinds)},
        },
    }


def nearest(kinds: tuple[str, ...], thresholds: F32, logits: F32, latents: Latents) -> Iterator[Near]:
    """The approved views that came nearest to being held, and the forbidden ones that came nearest to
    passing."""
    beyond = logits - thresholds
    for k, kind in enumerate(kinds):
        for forbidden, rows in ((False, ~latents.labels.any(1)), (True, latents.labels[:, k])):
            where = np.flatnonzero(rows)
            order = where[np.argsort(beyond[where, k])]
            for index in order[:NEAREST] if forbidden else order[::-1][:NEAREST]:
                yield Near(kind, forbidden, float(beyond[index, k]), latents.thumbs[index])


def _room_for(latent: Latent, count: int, kinds: int, folder: Path) -> Latents:
    def room(name: str, shape: tuple[int, ...]) -> Array:
        return np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.float16, shape=(count, *shape))

    guide = latent.guide
    return Latents(
        room("codes.npy", latent.code.shape[1:]),
        None if guide is None else room("guides.npy", guide.shape[1:]),
        np.zeros((count, kinds), bool),
        np.zeros(count, np.int64),
    )


def _thumb(pixels: U8) -> U8:
    import cv2

    height, width = pixels.shape[:2]
    size = (THUMB_PX, max(1, round(THUMB_PX * height / width)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
