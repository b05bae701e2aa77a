"""Cues in a show: which one stands, which one is on its way, and when the next one goes by itself.

A cue that goes sends every value that the list names to where that cue has it (tracking.py). A value that is
there already, or on its way there, is left alone: an earlier cue's fade runs on until a later cue wants the
value elsewhere. What a hand changed meanwhile goes where the cue says as well; what no cue names is the
hand's for the whole show. Fades are functions of the time at which the cue was due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vivant.engines.diffusion.wishes import PROMPT
from vivant.runtime.cues.listing import START, Cue
from vivant.runtime.cues.tracking import AUTO, CUE, CUES, END, aims_of, states
from vivant.runtime.frames import Value
from vivant.runtime.parameters import BACK, CHOOSE, GO, GOTO, RESET
from vivant.runtime.tempo.contract import Tempo
from vivant.runtime.tempo.lookahead import DRAWN, Awaited, Lead
from vivant.runtime.tree import Tree
from vivant.runtime.triggers.almanac import Almanac, zone_of
from vivant.runtime.triggers.rules import Calendar

LOG: Final = logging.getLogger("vivant.cues")
SOURCE: Final = "cues"
CURRENT: Final = CUES + "current"
NEXT: Final = CUES + "next"


@dataclass(frozen=True, slots=True)
class Went:
    """A cue went: its number (0 is the start), its name, and through which door."""

    number: int
    name: str
    source: str
    now_ns: int


@dataclass(frozen=True, slots=True)
class Called:
    """A cue that was called and has not gone yet, and what it waits for. `timing` is the number of the cue
    whose times count."""

    number: int
    timing: int
    source: str
    waits: Awaited


Hook = Callable[[Went], None]
Tell = Callable[[str, Sequence[Value]], None]


def log_line(went: Went) -> None:
    """A hook: one line for each cue."""
    LOG.info("cue %d %s (%s)", went.number, went.name, went.source)


class Cues:
    """The cue list of one show. One thread: the present loop's. `step` never waits.

    `tell` sends /vivant/cues/current and /next, each with number, name and note, when a cue goes. `hooks` are
    called with every cue that went; they must not wait either.
    """

    def __init__(
        self,
        cues: Sequence[Cue],
        tree: Tree,
        calendar: Calendar,
        *,
        tempo: Tempo | None = None,
        tell: Tell | None = None,
        hooks: Sequence[Hook] = (),
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.list = (Cue(START, "what the show began with"), *cues)
        self._numbers = {cue.name: number for number, cue in enumerate(self.list)}
        self._tree, self.tempo = tree, tempo
        self._tell, self._hooks, self._wall_s = tell, tuple(hooks), wall_s
        self._zone = Almanac(zone_of(calendar.zone))
        self._begun = dict(tree.begun)
        self._timed = any(cue.at for cue in cues)
        self._minute = self._minute_now()
        self._learn()
        self.standing = 0
        self._called: Called | None = None
        self._lead = Lead()
        self._follow_ns: int | None = None
        self._fade_ns = (0, 0)  # of the cue that stands: when its fades began, and when the last one ends
        self._stepped_ns = 0
        self._went = self._past_end = self._no_beat = 0

    def step(self, now_ns: int, lead: Lead, refresh_ns: int = 0) -> None:
        """Once a refresh, before the controls are handed on. A cue on a beat goes at the refresh that is
        nearest to it, `lead` before."""
        self._lead = lead
        if self._tree.grown != self._grown:
            self._learn()
        if self._tree.actions(RESET):
            self.standing, self._called, self._follow_ns, self._fade_ns = 0, None, None, (0, 0)
            self._stand(now_ns)
        for action in self._tree.actions(CUES) + self._tree.actions(CUE):
            if action.source != SOURCE:
                self._hear(action.address, action.source, now_ns)
        self._by_itself(now_ns)
        self._stepped_ns = now_ns
        if self._called is not None:
            self._bring(self._called, now_ns, refresh_ns)

    def resume(self, name: str, now_ns: int) -> None:
        """Stand at a cue whose values are there already, as after a restart: what follows it is waited for
        anew. A name that the list does not have changes nothing."""
        if name not in self._numbers:
            return
        self._called, self.standing = None, self._numbers[name]
        cue = self.list[self.standing]
        self._follow_ns = None if cue.follow_s is None else now_ns + round(cue.follow_s * 1e9)
        self._stand(now_ns)

    @property
    def next(self) -> int | None:
        """The cue that `go` calls now; None at the end of the list."""
        number = 1 + (self.standing if self._called is None else self._called.number)
        return number if number < len(self.list) else None

    def status(self, now_ns: int) -> dict[str, Value]:
        """For /vivant/status/: the cue that stands and the one that `go` calls, how far its fades are in
        [0, 1], and the seconds until another follows by itself (0: none)."""
        begun_ns, ends_ns = self._fade_ns
        done = 1.0 if now_ns >= ends_ns else max(now_ns - begun_ns, 0) / (ends_ns - begun_ns)
        left_s = 0.0 if self._follow_ns is None else max(self._follow_ns - now_ns, 0) / 1e9
        return {
            "cue": self.list[self.standing].name,
            "cue_next": END if self.next is None else self.list[self.next].name,
            "cue_progress": done,
            "cue_follow_s": left_s,
        }

    def counts(self) -> dict[str, Any]:
        """For the report: cues that went, calls past the end of the list, and beats that nobody knew."""
        return {
            "went": self._went,
            "past_end": self._past_end,
            "without_beat": self._no_beat,
            "standing": self.list[self.standing].name,
        }

    def _learn(self) -> None:
        """The cues' values as the tree has them now: a medium that came while the show runs counts."""
        self._grown = self._tree.grown
        self._aims = tuple(aims_of(cue, self._tree) for cue in self.list)
        self._states = states(self._aims[1:], {**self._tree.values(), **self._begun})

    def _hear(self, address: str, source: str, now_ns: int) -> None:
        if address == GO:
            self._go(source, now_ns)
        elif address == BACK:
            self._back(source, now_ns)
        elif address == GOTO:
            self._call(self._numbers[str(self._tree.value(GOTO))], source, now_ns)
        elif address.startswith(CUE):
            self._call(self._numbers[address.removeprefix(CUE).removesuffix("/go")], source, now_ns)

    def _go(self, source: str, now_ns: int) -> None:
        if self.next is None:
            self._past_end += 1
        else:
            self._call(self.next, source, now_ns)

    def _back(self, source: str, now_ns: int) -> None:
        """A cue that was called and has not gone is called off; else the one that stands is taken back."""
        called = self._called
        if called is not None and not called.waits.painted:
            self._called = None
            self._stand(now_ns)
            return
        number = self.standing if called is None else called.number
        if number > 0:
            self._call(number - 1, source, now_ns, timing=number)

    def _call(self, number: int, source: str, now_ns: int, timing: int | None = None) -> None:
        """`timing` is the cue whose times count, where it is not the one that is called."""
        cue = self.list[number if timing is None else timing]
        wait_s = cue.wait_s if timing is None else 0.0
        waits = Awaited(now_ns + round(wait_s * 1e9))
        if cue.on is not None:
            paints = any(self._elsewhere(number, False))
            waits = Awaited.on(cue.on, self.tempo, waits.due_ns, self._lead, paints)
            self._no_beat += waits.beat is None
        self._called = Called(number, self._numbers[cue.name], source, waits)
        if waits.beat is not None or waits.due_ns > now_ns:
            self._stand(now_ns)

    def _by_itself(self, now_ns: int) -> None:
        """Cues that follow, and cues that have a time of day; none while somebody holds them."""
        auto, minute = bool(self._tree.value(AUTO)), self._minute
        if self._timed:
            self._minute = self._minute_now()
        if not auto:
            if self._follow_ns is not None:
                self._follow_ns += now_ns - self._stepped_ns
            return
        if self._follow_ns is not None and now_ns >= self._follow_ns:
            due_ns, self._follow_ns = self._follow_ns, None
            cue = self.list[self.standing]
            self._call(
                self.standing + 1 if cue.follow is None else self._numbers[cue.follow], "follow", due_ns
            )
        if self._minute != minute:
            for number, cue in enumerate(self.list):
                if self._minute in cue.at:
                    self._call(number, "time", now_ns)

    def _bring(self, called: Called, now_ns: int, refresh_ns: int) -> None:
        """Let what was called go when its time has come."""
        for drawn, start_ns in called.waits.shares(self.tempo, now_ns, self._lead, refresh_ns):
            self._send(called, start_ns, drawn)
            if drawn is not False:
                self._arrive(called, start_ns, now_ns)

    def _send(self, called: Called, start_ns: int, drawn: bool | None) -> None:
        """Send what the cue has elsewhere on its way; `drawn` None is all of it."""
        cue, aims, longest_s = self.list[called.timing], self._aims[called.timing], 0.0
        for address in self._elsewhere(called.number, drawn):
            aim, value = aims.get(address), self._states[called.number][address]
            fade_s = cue.fade_s if aim is None or aim.fade_s is None else aim.fade_s
            curve = cue.curve if aim is None or aim.curve is None else aim.curve
            self._tree.set(address, (value,), start_ns, SOURCE, fade_s, curve)
            longest_s = max(longest_s, fade_s)
        begun_ns, ends_ns = self._fade_ns if drawn else (start_ns, start_ns)
        self._fade_ns = (begun_ns, max(ends_ns, start_ns + round(longest_s * 1e9)))

    def _elsewhere(self, number: int, drawn: bool | None) -> Iterator[str]:
        """The addresses of what a cue has elsewhere than it is, or is going; what chooses a medium first."""
        state = self._states[number]
        for address in sorted(state, key=lambda one: one != CHOOSE):
            if drawn in (None, address.startswith(DRAWN)) and (
                address == PROMPT or self._tree.goal(address) != state[address]
            ):
                yield address

    def _arrive(self, called: Called, start_ns: int, now_ns: int) -> None:
        """It went: it stands from now on, and what follows it is waited for."""
        self._called, self.standing = None, called.number
        cue = self.list[called.number]
        self._follow_ns = None if cue.follow_s is None else start_ns + round(cue.follow_s * 1e9)
        self._went += 1
        self._stand(now_ns)
        went = Went(called.number, cue.name, called.source, now_ns)
        for hook in self._hooks:
            hook(went)

    def _stand(self, now_ns: int) -> None:
        """Show and tell which cue stands, and which one `go` calls; also when one was called that waits."""
        self._tree.set(GOTO, (self.list[self.standing].name,), now_ns, SOURCE)
        if self._tell is None:
            return
        for address, number in ((CURRENT, self.standing), (NEXT, self.next)):
            cue = Cue(END) if number is None else self.list[number]
            self._tell(address, (-1 if number is None else number, cue.name, cue.note))

    def _minute_now(self) -> int:
        local = self._zone.local(self._wall_s())
        return local.hour * 60 + local.minute
