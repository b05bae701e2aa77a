"""What a show tries by itself when the guard goes on holding: the scene's fallbacks, one after the other.

They change what the render process is asked for, never the parameters: what the operator set stands, and
comes back over FADE_S once pictures are admitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from vivant.runtime.fades import Fade
from vivant.runtime.frames import Controls, Verdict
from vivant.runtime.parameters import ADAPTER, ROOT, STYLE

STYLE_WORD: Final = "style:"
GENTLE: Final = 0.1  # img2img strength: hardly repainted
SEED_STEP: Final = 4099  # to another seed, whatever the first one was
SEEDS: Final = 10_000
FADE_S: Final = 2.0
CALM_S: Final = 10.0  # admitted for so long, the last fallback is let go of
LONGEST_CALM_S: Final = 600.0  # each relapse doubles the wait, up to this

Change = Callable[[Controls, float], Controls]
"""Controls changed by a share in [0, 1]: 1 is the whole fallback, 0 leaves them as they are."""


def _other_seed(controls: Controls, share: float) -> Controls:
    """A seed has no half way; it changes back when the fade is over."""
    seed = (controls.seed + SEED_STEP) % SEEDS if share > 0.0 else controls.seed
    return replace(controls, seed=seed, numbers={**controls.numbers, ROOT + "student/seed": seed})


def _bare(controls: Controls, share: float) -> Controls:
    scales = {name: scale * (1.0 - share) for name, scale in controls.adapters.items()}
    numbers = {ADAPTER + name: scale for name, scale in scales.items()}
    return replace(controls, adapters=scales, numbers={**controls.numbers, **numbers})


def _gentle(controls: Controls, share: float) -> Controls:
    strength = controls.strength + share * (min(controls.strength, GENTLE) - controls.strength)
    numbers = {**controls.numbers, ROOT + "student/strength": strength}
    return replace(controls, strength=strength, numbers=numbers)


WORDS: Final[Mapping[str, Change]] = MappingProxyType(
    {"seed": _other_seed, "adapters off": _bare, "strength down": _gentle}
)
"""What a scene may name, beside style:NAME."""


def fallback_of(word: str, styles: Sequence[str]) -> Change:
    """The change that a word means for a student of these styles. Raises ValueError saying what there is."""
    if word in WORDS:
        return WORDS[word]
    name = word.removeprefix(STYLE_WORD)
    if word.startswith(STYLE_WORD) and name in styles:
        return lambda controls, share: _in_style(controls, name, share)
    known = [f"'{one}'" for one in (*WORDS, *(STYLE_WORD + style for style in styles))]
    raise ValueError(f"should be one of {', '.join(known)}")


def _in_style(controls: Controls, name: str, share: float) -> Controls:
    """One style alone, without the adapters that stand in for it."""
    weights = {one: weight + share * (float(one == name) - weight) for one, weight in controls.styles.items()}
    numbers = {STYLE + one: weight for one, weight in weights.items()}
    return _bare(replace(controls, styles=weights, numbers={**controls.numbers, **numbers}), share)


@dataclass(frozen=True, slots=True)
class Step:
    """A fallback that was brought about (`on`) or let go of, at `now_ns`."""

    word: str
    on: bool
    now_ns: int


class Fallbacks:
    """One thread: the present loop's. Each fallback comes on top of those before it, `after_s` into a hold
    and then again every `after_s`; the last one is let go of first."""

    def __init__(self, words: Sequence[str], styles: Sequence[str], after_s: float) -> None:
        """Raises ValueError as `fallback_of`."""
        self._words = tuple(words)
        self._changes = [fallback_of(word, styles) for word in words]
        self._after_ns = round(after_s * 1e9)
        self._fades: dict[int, Fade] = {}  # of what is in force, by place
        self._reached = 0
        self._holding_ns: int | None = None
        self._calm_ns: int | None = None
        self._calm_s = CALM_S
        self._released_ns: int | None = None

    @property
    def reached(self) -> int:
        """How many fallbacks are in force."""
        return self._reached

    def hear(self, verdict: Verdict, now_ns: int) -> Step | None:
        """A verdict on a frame; what was brought about or let go of because of it."""
        if not verdict.admits:
            self._calm_ns = None
            self._holding_ns = now_ns if self._holding_ns is None else self._holding_ns
            if now_ns - self._holding_ns >= self._after_ns and self._reached < len(self._words):
                return self._bring(now_ns)
            return None
        self._holding_ns = None
        self._calm_ns = now_ns if self._calm_ns is None else self._calm_ns
        if self._reached and now_ns - self._calm_ns >= self._calm_s * 1e9:
            return self._release(now_ns)
        return None

    def apply(self, controls: Controls, now_ns: int) -> Controls:
        """What the render process is asked for. The same object while no fallback is in force."""
        for place, fade in tuple(self._fades.items()):
            share = fade.at(now_ns)
            if fade.done(now_ns) and fade.end == 0.0:
                del self._fades[place]
            else:
                controls = self._changes[place](controls, share)
        return controls

    def _bring(self, now_ns: int) -> Step:
        place, self._holding_ns = self._reached, now_ns
        if self._released_ns is not None and now_ns - self._released_ns < 2 * self._calm_s * 1e9:
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)  # let go of too soon
        self._released_ns = None
        self._fades[place] = Fade(1.0, 1.0, now_ns, 0)  # at once: nothing new is on the screen anyway
        self._reached += 1
        return Step(self._words[place], True, now_ns)

    def _release(self, now_ns: int) -> Step:
        self._reached -= 1
        self._calm_ns = self._released_ns = now_ns
        self._fades[self._reached] = Fade(1.0, 0.0, now_ns, round(FADE_S * 1e9))
        return Step(self._words[self._reached], False, now_ns)
