"""What the present loop tells the audit log. A stream is told of when it begins and then once a second.

Every verdict other than PASS is accounted for: a line says how many it stands for (`count`), and those on
pictures that newer ones passed over are told as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from vivant.guardrails.critic import Finding
from vivant.runtime.adapters.dresser import News
from vivant.runtime.audit import Audit, Kept
from vivant.runtime.cues.running import Went
from vivant.runtime.fallbacks import Step as Fallback
from vivant.runtime.frames import U8, Controls, Judgement, Picture, Value
from vivant.runtime.ladder import Step as Rung
from vivant.runtime.triggers.running import Firing

AGAIN_NS: Final = 1_000_000_000
NOT_PEOPLE: Final = ("triggers", "cues", "scene", "command line", "cycle", "return")
STATES: Final = {"waiting": "found", "passed": "auditioned"}
"""What the log calls a state of News; others as they are."""
SHORT: Final = 12  # characters of a hash
HALF: Final = 0.5  # the weight from which a style counts as worn
NUMBERS: Final = re.compile(r"[\d.]+")


@dataclass(slots=True)
class Run:
    """Verdicts of one kind that came one after the other and were not told yet."""

    judgement: Judgement
    kind: str  # the reason without its numbers
    reason: str
    count: int
    lowest: float
    told_ns: int
    unseen: int = 0  # verdicts beside `count`, on pictures that newer ones passed over
    pixels: U8 | None = None  # the newest picture to be kept


class Witness:
    """One thread: the present loop's. `facts` are those of the render process (its student, its adapters)."""

    def __init__(self, audit: Audit, facts: Mapping[str, Any], kept: Kept = "off") -> None:
        self._audit, self._kept = audit, kept
        self._facts = facts
        self._hashes = {name: str(found) for name, found in facts.get("adapters", {}).items()}
        self._files: dict[str, tuple[str, str, str]] = {}  # the last word on each file
        self._first: set[tuple[str, str]] = set()  # adapters that were worn before, and their hashes
        self._critic_told_ns = -AGAIN_NS
        self._run: Run | None = None
        self._total = 0
        self._worn: frozenset[str] | None = None
        self._restarts = 0
        self._rungs = 0
        self._people: dict[tuple[str, str], tuple[Value, int, int]] = {}  # value, count untold, told_ns
        self._now_ns = 0
        self._shown: dict[str, Any] = {}
        audit.note("start", **self._engine(), facts=dict(facts))

    def verdict(self, picture: Picture, now_ns: int) -> None:
        """Every picture that the lane brought, admitted or not."""
        total = int(picture.counts.get("held", 0)) + int(picture.counts.get("softened", 0))
        new = total - self._total if total >= self._total else total
        self._total = total
        verdict = picture.verdict
        passed = verdict.judgement is Judgement.PASS
        unseen = new if passed else new - 1
        if unseen > 0 and self._run is not None and not passed:
            self._run.unseen += unseen
        elif unseen > 0:
            self._audit.note(
                "verdict", judgement="unseen", count=unseen, reason="passed over by newer pictures"
            )
        if passed:
            self._end_run()
            return
        kind = NUMBERS.sub("#", verdict.reason)
        run = self._run
        if run is None or run.judgement is not verdict.judgement or run.kind != kind:
            self._end_run()
            self._run = run = Run(verdict.judgement, kind, verdict.reason, 0, 1.0, now_ns - AGAIN_NS)
        run.count += 1
        run.reason, run.lowest = verdict.reason, min(run.lowest, verdict.score)
        run.pixels = self._picture_of(picture) if self._kept != "off" else None
        if now_ns - run.told_ns >= AGAIN_NS:
            self._tell(run, now_ns)

    def heard(self, address: str, value: Value, source: str) -> None:
        """As Tree.heard: what a person did."""
        if source in NOT_PEOPLE:
            return
        _, count, told_ns = self._people.get((address, source), (value, 0, self._now_ns - AGAIN_NS))
        self._people[address, source] = (value, count + 1, told_ns)

    def refused(self, address: str, text: str, source: str, reason: str) -> None:
        """Words that the prompt guard did not let through."""
        self._audit.note("refused", address=address, text=text[:200], source=source, reason=reason)

    def fired(self, firing: Firing) -> None:
        """A hook of the triggers."""
        self._audit.note(
            "trigger", **{k: v for k, v in firing.record().items() if k not in ("wall_s", "what")}
        )

    def changed(self, name: str, title: str) -> None:
        """The show changed to another scene of its programme."""
        self._end_run()
        self._audit.scene = title
        self._audit.note("scene", name=name)

    def meet(self, facts: Mapping[str, Any]) -> None:
        """Another render process works for the show, with another student perhaps."""
        self._facts = facts

    def went(self, cue: Went) -> None:
        """A hook of the cue list."""
        self._audit.note("cue", cue=cue.name, number=cue.number, source=cue.source)

    def adapter(self, news: News) -> None:
        """A hook of the live adapters: what became of a file, each word once."""
        said = (news.hash, news.state, news.reason)
        if self._files.get(news.path) == said:
            return
        self._files[news.path] = said
        if news.state == "passed":
            self._hashes[news.name] = news.hash
        facts: dict[str, Any] = {"reason": news.reason, "sheet": news.sheet}
        self._audit.note(
            "adapter",
            state=STATES.get(news.state, news.state),
            name=news.name,
            hash=news.hash[:SHORT],
            file=news.path,
            **{key: text for key, text in facts.items() if text},
        )

    def critic(self, pixels: U8, finding: Finding, now_ns: int) -> None:
        """A hook of the critic: a picture that it would not have let pass, at most once a second."""
        if now_ns - self._critic_told_ns < AGAIN_NS:
            return
        self._critic_told_ns = now_ns
        self._audit.note(
            "critic",
            pixels if self._kept != "off" else None,
            label=finding.label,
            score=round(finding.score, 4),
            threshold=finding.threshold,
            **self._shown,
        )

    def fell_back(self, step: Fallback) -> None:
        """A fallback was brought about or let go of."""
        self._audit.note("fallback", fallback=step.word, on=step.on)

    def refresh(
        self, now_ns: int, controls: Controls, restarts: int, trouble: str, rungs: tuple[Rung, ...]
    ) -> Controls:
        """Once a refresh, with what was asked for; the same, and what the log asks for besides."""
        self._now_ns = now_ns
        worn = frozenset(
            [name for name, weight in controls.styles.items() if weight >= HALF]
            + [name for name, scale in controls.adapters.items() if scale > 0.0]
        )
        if worn != self._worn:
            if self._worn is not None:
                self._audit.note(
                    "swap", taken_off=sorted(self._worn - worn), put_on=sorted(worn - self._worn)
                )
            self._tell_of_first(controls)
            self._worn = worn
            self._shown = self._engine(controls)
        if restarts != self._restarts:
            self._restarts = restarts
            self._audit.note("restart", restarts=restarts, reason=trouble, **self._engine())
        for rung in rungs[self._rungs :]:
            self._audit.note("ladder", **asdict(rung))
        self._rungs = len(rungs)
        if self._people:
            self._tell_of_people(now_ns)
        return replace(controls, want_held=True) if self._kept == "input" else controls

    def end(self, report: Mapping[str, Any]) -> None:
        """The show is over; `report` is what became of its frames."""
        self._end_run()
        self._tell_of_people(self._now_ns + AGAIN_NS)
        self._audit.note("end", **report)

    def _engine(self, controls: Controls | None = None) -> dict[str, Any]:
        student = self._facts.get("student", {})
        worn = (
            {}
            if controls is None
            else {n: self._hashes.get(n, "")[:SHORT] for n, s in controls.adapters.items() if s > 0}
        )
        return {
            "student": f"{student.get('name', '')} {str(student.get('hash', ''))[:SHORT]}".strip(),
            "backend": self._facts.get("backend", ""),
            "adapters": worn,
        }

    def _picture_of(self, picture: Picture) -> U8 | None:
        if picture.verdict.admits:
            return picture.pixels
        return picture.source if self._kept == "input" else None

    def _tell_of_first(self, controls: Controls) -> None:
        """Adapters that nobody wore before, in this show and with this content."""
        for name in (name for name, scale in controls.adapters.items() if scale > 0.0):
            one = name, self._hashes.get(name, "")
            if one not in self._first:
                self._first.add(one)
                self._audit.note("adapter", state="first worn", name=name, hash=one[1][:SHORT])

    def _tell(self, run: Run, now_ns: int) -> None:
        self._audit.note(
            "verdict",
            run.pixels,
            judgement=run.judgement.name.lower(),
            count=run.count,
            **({"unseen": run.unseen} if run.unseen else {}),
            score=round(run.lowest, 4),
            reason=run.reason,
            **self._shown,
        )
        run.count, run.unseen, run.lowest, run.told_ns = 0, 0, 1.0, now_ns
        run.pixels = None

    def _end_run(self) -> None:
        if self._run is not None and (self._run.count or self._run.unseen):
            self._tell(self._run, 0)
        self._run = None

    def _tell_of_people(self, now_ns: int) -> None:
        for key, (value, count, told_ns) in tuple(self._people.items()):
            if now_ns - told_ns < AGAIN_NS:
                continue
            if count:
                self._audit.note("operator", address=key[0], source=key[1], value=value, count=count)
                self._people[key] = (value, 0, now_ns)
            else:
                del self._people[key]
