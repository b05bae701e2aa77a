"""The present loop: at every refresh draw the newest admitted picture. No refresh waits for the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from vivant.runtime.adapters.live import LiveAdapters
from vivant.runtime.canvas import Canvas, Look
from vivant.runtime.changing import Changes
from vivant.runtime.critic import Criticism
from vivant.runtime.cues.running import Cues
from vivant.runtime.cycle import Cycle
from vivant.runtime.doors import Doors
from vivant.runtime.drives import Drives
from vivant.runtime.exchange import (
    LaneReader,
    Lanes,
    LaneWriter,
    read_picture,
    refuse_unless_admitted,
    write_controls,
)
from vivant.runtime.fallbacks import Fallbacks
from vivant.runtime.frames import Clock, Judgement, Picture, Value
from vivant.runtime.holding import Holding
from vivant.runtime.isf.effects import Effects
from vivant.runtime.ladder import Ladder, Step
from vivant.runtime.look import look_of
from vivant.runtime.meters import Window
from vivant.runtime.moments import Moments
from vivant.runtime.outputs.registry import Outputs
from vivant.runtime.parameters import BACK, CHOOSE, GO, PANIC, PANIC_RELEASE, ROOT
from vivant.runtime.parts import Parts
from vivant.runtime.patience import Patience
from vivant.runtime.record import Recorder
from vivant.runtime.report import Meters
from vivant.runtime.returning import Returning
from vivant.runtime.signals import Signals
from vivant.runtime.supervise import RenderProcess
from vivant.runtime.surface import Surface
from vivant.runtime.tempo.lookahead import Lead
from vivant.runtime.tempo.parameters import TAP
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.running import Triggers
from vivant.runtime.witness import Witness

LOG = logging.getLogger("vivant.present")
PRESSED: Final[Mapping[str, str]] = MappingProxyType(
    {"p": PANIC, "f9": PANIC_RELEASE, "space": GO, "right": GO, "left": BACK, "t": TAP}
)
"""Keys and the actions that they press. Nobody ends a panic by leaning on a key."""
BLANK: Final = ROOT + "present/blank"
CROSSFADE: Final = ROOT + "present/crossfade"
GRAIN_AFTER_S: Final = 0.1  # until then the next picture brings the next grain
LIVING_AFTER_S: Final = 0.5  # without a new picture for so long, the shader keeps the last one alive
MODEL_STAGES: Final = ("encode", "denoise", "guard", "planes", "decode")
SIDE_PX: Final = 32  # a student's sides are multiples of it
CLIMB_EVERY: Final = 30  # refreshes
LADDER_SAMPLES: Final = 90  # three seconds of pictures at thirty a second
SETTLE_NS: Final = 2_000_000_000  # after the first picture: caches fill, a source finds its phase
WHOLE: Final = 0.95  # of a crossfade: nobody sees the rest, and it would cost a draw of its own
RECORD_EVERY_NS: Final = 30_000_000  # a little less than a thirtieth of a second, so that jitter drops none


@dataclass(slots=True)
class Shown:
    """The picture on the screen and when it came."""

    picture: Picture | None = None
    arrived_ns: int = 0
    interval_ms: float = 33.0  # between the last two, smoothed: what a crossfade spans
    drawing: tuple[Look, bool, tuple[int, int]] | None = None  # what stands on the screen, its fade over


@dataclass(frozen=True, slots=True)
class Terms:
    """`budget_ms` from capture to present; `size_px` (width, height) of the student's first picture;
    `began_ns` when the program was started, for `first_picture_ms`."""

    budget_ms: float
    size_px: tuple[int, int]
    began_ns: int


@dataclass(frozen=True, slots=True)
class Company:
    """The parts of a show that a picture can do without."""

    doors: Doors = field(default_factory=Doors)
    signals: Signals = field(default_factory=Signals)
    triggers: Triggers | None = None
    cues: Cues | None = None
    fallbacks: Fallbacks | None = None
    witness: Witness | None = None
    adapters: LiveAdapters | None = None
    ladder: Ladder | None = None
    recorder: Recorder | None = None
    moments: Moments | None = None
    critic: Criticism | None = None
    effects: Effects | None = None
    drives: Drives | None = None
    outputs: Outputs = field(default_factory=Outputs)
    changes: Changes | None = None
    returning: Returning | None = None


class Present:
    """Everything that happens at a refresh, in its order. One thread: the main one."""

    def __init__(
        self,
        surface: Surface,
        canvas: Canvas,
        tree: Tree,
        render: RenderProcess,
        lanes: Lanes,
        clock: Clock,
        terms: Terms,
        company: Company | None = None,
    ) -> None:
        self._surface, self._canvas, self._tree = surface, canvas, tree
        self._render, self._clock = render, clock
        self._reader, self._writer = LaneReader(lanes.pictures), LaneWriter(lanes.controls)
        self._budget_ms, self._size_px, self._began_ns = terms.budget_ms, terms.size_px, terms.began_ns
        self._with = company or Company()
        self._cycle = Cycle(tree)
        self._latency, self._model = Window(LADDER_SAMPLES), Window(LADDER_SAMPLES)
        self._shown, self._patience = Shown(), Patience(clock)
        self._holding = Holding()
        self._serial = 0
        self._refresh_ns = round(1e9 / surface.refresh_hz)
        self._judgement = Judgement.HOLD
        self._presented_ns = 0
        self._record_ns = 0
        self._lead = Lead(self._refresh_ns, self._refresh_ns)
        self._settled_ns = 0
        self.meters = Meters()

    def run(self, until_ns: int | None, stopped: Callable[[], bool]) -> None:
        """Refresh until `until_ns`, until `stopped()` or until the window is closed."""
        while not self._surface.closed and not stopped():
            if until_ns is not None and self._clock.now_ns() >= until_ns:
                return
            self.refresh()

    def refresh(self) -> None:
        """One refresh: supervise, hear the doors, hand on the controls, take a picture, draw, swap. What is
        drawn is on the screen as the refresh ends, so there is time to wait for a picture until then."""
        now_ns = self._clock.now_ns()
        self._render.poll()
        self._press(now_ns)
        ends_ns = (self._presented_ns or now_ns) + self._refresh_ns
        self._act(now_ns)
        self._ask(now_ns, ends_ns - self._patience.draw_ns)
        fresh = self._take()
        if fresh is None:
            self._canvas.judge()
            self._patience.wait(lambda: self._reader.waiting, ends_ns)
            fresh = self._take()
        redrawn = self._draw(fresh)
        self._swap(redrawn, fresh)
        self._canvas.settle()
        self._climb(self._clock.now_ns())
        self._with.doors.feed(self._tree, self.status, self._clock.now_ns())

    def _act(self, now_ns: int) -> None:
        """What was heard, and what follows from it, takes effect on the parameters."""
        beside = self._with
        if beside.changes is not None:
            beside = self._change(beside.changes.step(now_ns))
        if beside.adapters is not None:
            beside.adapters.step(now_ns)
        beside.doors.drain(self._tree, now_ns)
        signals = beside.signals.step(now_ns)
        if beside.triggers is not None:
            beside.triggers.step(now_ns, signals, self._lead, self._refresh_ns)
        if beside.cues is not None:
            beside.cues.step(now_ns, self._lead, self._refresh_ns)
        if beside.returning is not None:
            beside.returning.step(now_ns, beside.cues, beside.changes, self._shown.arrived_ns)
        self._cycle.step(now_ns)
        self._tree.tick(now_ns)
        if beside.drives is not None:
            self._tree.over = beside.drives.step(now_ns, signals, self._lead)
        if beside.effects is not None:
            beside.effects.step(now_ns)

    def _ask(self, now_ns: int, draw_by_ns: int) -> None:
        """Hand the controls on, as the fallbacks change them, and let the log see them."""
        beside = self._with
        self._serial += 1
        if self._shown.picture is not None:  # also a gap that is still open at the end of the show
            gap_ms = (now_ns - self._shown.arrived_ns) / 1e6
            self.meters.longest_gap_ms = max(self.meters.longest_gap_ms, gap_ms)
        want_source = beside.moments is not None and beside.moments.due(now_ns)
        controls = self._tree.controls(now_ns, self._serial, self._size_px, want_source)
        if beside.fallbacks is not None:
            controls = beside.fallbacks.apply(controls, now_ns)
        if beside.witness is not None:
            controls = beside.witness.refresh(
                now_ns, controls, self._render.restarts, self._render.trouble, self.steps
            )
        controls = replace(controls, refresh_ns=self._refresh_ns, draw_by_ns=draw_by_ns)
        write_controls(self._writer, controls)

    def _change(self, parts: Parts | None) -> Company:
        """Go on with the parts of another scene, where there are any; the company from now on."""
        if parts is None:
            return self._with
        scene, left = parts.scene, self._with.effects
        self._with = replace(
            self._with,
            triggers=parts.triggers,
            cues=parts.cues,
            fallbacks=parts.fallbacks,
            ladder=parts.ladder,
            effects=parts.effects,
            drives=parts.drives,
        )
        self._canvas.change(parts.effects)
        if left is not None:
            left.close()
        self._cycle = Cycle(self._tree)
        self._budget_ms, self._size_px = scene.budget_ms, scene.size
        self._latency.clear()
        self._model.clear()
        now_ns = self._clock.now_ns()
        self._settled_ns = now_ns + SETTLE_NS
        self._with.signals.begin(now_ns)
        return self._with

    def _press(self, now_ns: int) -> None:
        """Keys: 1, 2, 3 ... choose a style, B blanks, P is the panic and F9 its release, space and right call
        the next cue, left the one before, T taps the beat; the window itself sees to F and Esc."""
        styles = self._tree.media
        for key in self._surface.pressed():
            if key.isdecimal() and 0 < int(key) <= len(styles):
                self._tree.set(CHOOSE, (styles[int(key) - 1],), now_ns, "keys")
            elif PRESSED.get(key) in self._tree.parameters:
                self._tree.set(PRESSED[key], (), now_ns, "keys")
            elif key == "b":
                self._tree.set(BLANK, (not self._tree.value(BLANK),), now_ns, "keys")

    def _take(self) -> Picture | None:
        """The newest picture when it may be drawn. The boundary fails closed: what cannot be read is held."""
        try:
            picture = read_picture(self._reader)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self.meters.refused += 1
            LOG.warning("what the render process sent is not a picture, so it is held: %s", error)
            return None
        if self._with.critic is not None:
            picture = self._with.critic.judged(picture, self._clock.now_ns())
            if self._with.critic.took_back:
                self._canvas.forget()
        if picture is None:
            return None
        self.meters.took(picture)
        self._with.signals.hear(picture.signals, self._clock.now_ns())
        self._judgement = picture.verdict.judgement
        self._judged(picture, self._clock.now_ns())
        allowed = refuse_unless_admitted(picture)
        if not allowed.verdict.admits:
            self.meters.refused += picture.verdict.admits  # it said it was admitted and was no picture
            return None
        now_ns = self._clock.now_ns()
        self.meters.stages["exchange"].add((now_ns - allowed.rendered_ns) / 1e6)
        gap_ms = (now_ns - self._shown.arrived_ns) / 1e6
        if self._shown.picture is not None:
            self._shown.interval_ms += 0.1 * (min(gap_ms, 200.0) - self._shown.interval_ms)
        self._canvas.show(allowed.pixels)
        self._shown.picture, self._shown.arrived_ns = allowed, now_ns
        return allowed

    def _judged(self, picture: Picture, now_ns: int) -> None:
        """A verdict came: the log hears of it, and the fallbacks, where there was a frame to be judged."""
        if self._with.witness is not None:
            self._with.witness.verdict(picture, now_ns)
        self._holding.hear(picture.verdict, now_ns)
        if self._with.fallbacks is None or not picture.captured_ns:
            return
        step = self._with.fallbacks.hear(picture.verdict, now_ns)
        if step is None:
            return
        LOG.warning("the guard's fallback '%s' %s", step.word, "is tried" if step.on else "is let go of")
        if self._with.witness is not None:
            self._with.witness.fell_back(step)

    def _draw(self, fresh: Picture | None) -> bool:
        """Draw when something changed; says whether it did."""
        now_ns = self._clock.now_ns()
        shown, values = self._shown, self._tree.driven()
        age_s = (now_ns - shown.arrived_ns) / 1e9 if shown.picture is not None else 0.0
        span_ms = float(values[CROSSFADE]) * shown.interval_ms
        refresh_ms = 1000.0 / self._surface.refresh_hz
        reached = 1.0 if span_ms <= 0 else (age_s * 1000.0 + refresh_ms) / span_ms
        fade = reached if reached < WHOLE else 1.0
        look, blank = look_of(values), bool(values[BLANK]) or self._tree.panic
        drawing = (look, blank, self._surface.size_px)
        living = self._canvas.moves or age_s > LIVING_AFTER_S or (look.grain > 0.0 and age_s > GRAIN_AFTER_S)
        if fresh is None and shown.drawing == drawing and not living:
            return False
        self._canvas.draw(
            self._surface.target(),
            self._surface.size_px,
            look,
            fade=fade,
            held_s=age_s,
            time_s=(now_ns - self._began_ns) / 1e9,
            blank=blank,
        )
        self._surface.context.finish()
        shown.drawing = drawing if fade >= 1.0 else None
        return True

    def _swap(self, redrawn: bool, fresh: Picture | None) -> None:
        drawn_ns = self._clock.now_ns()
        if fresh is not None:
            self._first_shown(fresh, drawn_ns)
        if redrawn and self._with.outputs.any:
            self._with.outputs.offer(self._canvas.read())
        if redrawn and self._with.recorder is not None and drawn_ns >= self._record_ns:
            self._record_ns = drawn_ns + RECORD_EVERY_NS
            self._with.recorder.offer(self._canvas.read(), drawn_ns)
        if redrawn:
            self._surface.swap()
        else:
            self._surface.idle()
        now_ns = self._clock.now_ns()
        if self._presented_ns:
            self.meters.present_interval.add((now_ns - self._presented_ns) / 1e6)
        self._presented_ns = now_ns
        if fresh is None:
            self.meters.repeated += 1
            return
        self.meters.presented += 1
        self.meters.capture_to_refresh.add((now_ns - fresh.captured_ns) / 1e6)

    def _first_shown(self, picture: Picture, drawn_ns: int) -> None:
        """The draw that first shows a picture is over: this is its latency."""
        meters = self.meters
        latency_ms = (drawn_ns - picture.captured_ns) / 1e6
        meters.stages["present"].add((drawn_ns - self._shown.arrived_ns) / 1e6)
        self._patience.drew(drawn_ns - self._shown.arrived_ns)
        meters.latency(latency_ms, drawn_ns)
        meters.late += latency_ms > self._budget_ms
        if meters.first_picture_ms is None:
            meters.first_picture_ms = (drawn_ns - self._began_ns) / 1e6
            self._settled_ns = drawn_ns + SETTLE_NS
        # The ladder judges a size by its own pictures, once the start is over.
        if picture.pixels.shape[1] == self._size_px[0] and drawn_ns > self._settled_ns:
            self._latency.add(latency_ms)
            self._model.add(sum(picture.timings_ms.get(stage, 0.0) for stage in MODEL_STAGES))
        if self._with.moments is not None and picture.source is not None:
            self._with.moments.add(picture.source, self._canvas.read(), drawn_ns)

    def _climb(self, now_ns: int) -> None:
        """Ask the ladder for another size when the latency left the budget, or leaves room."""
        if self._serial % CLIMB_EVERY:
            return
        self._learn_lead()
        if self._with.ladder is None:
            return
        latency_ms, model_ms = self._latency.percentile(95), self._model.percentile(95)
        if latency_ms is None or model_ms is None:
            return
        step = self._with.ladder.step(now_ns, self._latency.count, latency_ms, model_ms)
        if step is not None:
            LOG.info("quality ladder: %d to %d (%s)", step.size_from, step.size_to, step.reason)
            width, height = self._size_px
            self._size_px = (
                step.size_to,
                max(SIDE_PX, round(step.size_to * height / width / SIDE_PX) * SIDE_PX),
            )
            self._latency.clear()
            self._model.clear()

    def _learn_lead(self) -> None:
        """How long values take to the screen: a refresh those that are drawn with; those of the student as
        long as a picture, and half the time until the next one is begun."""
        latency_ms = self._latency.percentile(50)
        if latency_ms is not None:
            painted_ms = latency_ms + self._shown.interval_ms / 2
            self._lead = Lead(self._refresh_ns, round(painted_ms * 1e6))

    @property
    def size_px(self) -> tuple[int, int]:
        """The size of the picture on the screen; before the first, the one that is asked for."""
        picture = self._shown.picture
        return self._size_px if picture is None else (picture.pixels.shape[1], picture.pixels.shape[0])

    @property
    def lane(self) -> dict[str, int]:
        """Pictures `passed_over` for newer ones, and copies `torn` by the writer and made again."""
        return {"passed_over": self._reader.skipped, "torn": self._reader.torn}

    @property
    def flash(self) -> dict[str, float] | None:
        """What the flash guard did; None where it was left out."""
        return None if self._canvas.flash is None else self._canvas.flash.counts()

    @property
    def triggers(self) -> dict[str, Any] | None:
        """How often each trigger fired, and what stands; None for a show without."""
        return None if self._with.triggers is None else self._with.triggers.counts()

    def parts_counts(self) -> dict[str, Any]:
        """For the report: what the parts of the scene did that is shown now."""
        cues, effects = self._with.cues, self._with.effects
        return {
            "cues": None if cues is None else cues.counts(),
            "effects": None if effects is None else effects.counts(),
        }

    @property
    def steps(self) -> tuple[Step, ...]:
        """What the quality ladder did."""
        return () if self._with.ladder is None else tuple(self._with.ladder.steps)

    def status(self) -> dict[str, Value]:
        """What subscribers are told once a second, by name below /vivant/status/."""
        frames, interval = self.meters.frames(), self.meters.present_interval
        measured = {
            "capture_to_present_ms": self._latency.percentile(95),
            "render_ms": self._model.percentile(95),
            "present_interval_ms": interval.percentile(99),
        }
        return {
            "uptime_s": (self._clock.now_ns() - self._began_ns) / 1e9,
            **{name: value for name, value in measured.items() if value is not None},
            "verdict": self._judgement.name.lower(),
            "panic": int(self._tree.panic),
            "size_px": self.size_px[0],
            "presented": frames["presented"],
            "held": frames["held"],
            "late": frames["late"],
            "restarts": self._render.restarts,
            "flash_damped": 0.0 if self._canvas.flash is None else self._canvas.flash.damping.share,
            "flash_engaged": 0 if self._canvas.flash is None else self._canvas.flash.damping.engaged,
            "intensity": self._with.signals.intensity.value,
            "triggered": 0 if self._with.triggers is None else self._with.triggers.firings,
            "fallback": 0 if self._with.fallbacks is None else self._with.fallbacks.reached,
            **({} if self._with.critic is None else self._with.critic.status()),
            **({} if self._with.cues is None else self._with.cues.status(self._clock.now_ns())),
            "adapters": 0 if self._with.adapters is None else len(self._with.adapters.worn),
            "adapters_refused": 0 if self._with.adapters is None else self._with.adapters.failed,
            "refused": self._with.doors.refused,
        }
