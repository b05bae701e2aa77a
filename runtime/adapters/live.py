"""In the present process: adapters that passed are handed to the render process and become parameters."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vivant.engines.adapter import SHIPPED
from vivant.engines.adapter_file import sha256_of
from vivant.engines.card import Card
from vivant.engines.student import find
from vivant.runtime.adapters.dresser import News, dress
from vivant.runtime.adapters.fitting import Fit, Hung
from vivant.runtime.adapters.found import folders, worn_by
from vivant.runtime.adapters.job import DressJob, auditioning_backend, guard_hash
from vivant.runtime.adapters.registry import Registry
from vivant.runtime.frames import EMPTY, Clock, Controls, Value
from vivant.runtime.parameters import ADAPTER, AdapterSketch, adapter_parameter
from vivant.runtime.supervise import RenderProcess
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

LOG: Final = logging.getLogger("vivant.adapters")
STATE: Final = "/vivant/adapters/state"  # OSC out: name, state, reason
LOOK_NS: Final = 40_000_000  # between two looks at the dresser's line
ANOTHER_NS: Final = 10_000_000_000  # a dresser that ended is started again so much later
STOP_WAIT_S: Final = 2.0
LONGEST_REASON: Final = 300  # characters that go out over OSC

Tell = Callable[[str, Sequence[Value]], None]
Note = Callable[[News], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a show begins with: kept files of the adapters that passed before, and their hashes, by name."""

    files: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    hashes: Mapping[str, str] = field(default_factory=lambda: EMPTY)


def opening(scene: Scene, registry: Registry, locked: frozenset[str] | None = None) -> Opening:
    """The scene's own adapters that passed an audition by its student and guard; the others wait for theirs.
    `locked` are the hashes that the scene's lock allows. Raises VivantError."""
    card, worn, _ = worn_by(scene.student, scene.adapters)
    guard = guard_hash(card, scene.guard.named())
    files, hashes = {}, {}
    for name, one in worn.items():
        if one.path.parent == SHIPPED:
            continue
        digest = sha256_of(one.path)
        record = registry.record(digest, card.hash, guard)
        if record is None or not record.passed or (locked is not None and digest not in locked):
            LOG.info("adapter %s is not worn yet: it waits for its audition", name)
            continue
        files[name] = str(registry.keep(one.path))
        hashes[name] = digest
    return Opening(files, hashes)


class DresserProcess:
    """One dresser after another. Only the present loop's thread calls it."""

    def __init__(self, context: SpawnContext, job: DressJob, clock: Clock) -> None:
        self._context, self._job, self._clock = context, job, clock
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._again_ns = 0

    def heard(self) -> list[News]:
        """What it told since the last call; one that ended is started again after a while."""
        if self._line is None:
            if self._clock.now_ns() >= self._again_ns:
                self._start()
            return []
        found: list[News] = []
        try:
            while self._line.poll(0):
                said = self._line.recv()
                if isinstance(said, News):
                    found.append(said)
        except (EOFError, OSError):
            LOG.warning("the dresser ended; another one follows")
            self.stop()
            self._again_ns = self._clock.now_ns() + ANOTHER_NS
        return found

    def stop(self) -> None:
        """End it: ask by closing the line, then kill."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.join(STOP_WAIT_S)
            if self._process.is_alive():
                self._process.kill()
            self._process.join(STOP_WAIT_S)
            self._process = None

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=dress, args=(self._job, theirs), name="vivant-dresser"
        )  # no daemon: it has a process of its own, and ends when the line closes
        self._process.start()
        theirs.close()
        self._line = ours


class LiveAdapters:
    """Once a refresh `step`. An adapter's parameter is there from the moment on that it can be worn.

    `tell` sends /vivant/adapters/state NAME STATE REASON for every change of state.
    """

    def __init__(
        self,
        dresser: DresserProcess,
        process: RenderProcess,
        tree: Tree,
        begun: Opening,
        tell: Tell | None = None,
    ) -> None:
        self._dresser, self._process, self._tree, self._tell = dresser, process, tree, tell
        self._files = dict(begun.files)
        self.worn = dict(begun.hashes)
        """The hash of each adapter of the scene's own that can be worn, by name."""
        self.news: dict[str, News] = {}
        """The newest word on every file, by its path."""
        self.note: Note | None = None
        """Told of every word on a file; it must not wait."""
        self._asked: dict[str, News] = {}  # by kept file
        self._in_vain: set[str] = set()  # put on, and cannot be worn
        self._hello: object = process.hello
        self._looked_ns = -LOOK_NS

    @classmethod
    def of(
        cls,
        scene: Scene,
        base: Controls,
        context: SpawnContext,
        process: RenderProcess,
        tree: Tree,
        begun: Opening,
        clock: Clock,
        registry: Registry,
        locked: frozenset[str] | None = None,
        tell: Tell | None = None,
    ) -> LiveAdapters | None:
        """For a scene with adapters of its own; None for one without. Raises VivantError."""
        if not scene.adapters:
            return None
        backend, precision = auditioning_backend(scene.backend, scene.precision)
        job = DressJob(
            scene.student,
            backend,
            precision,
            scene.size,
            replace(base, adapters={}),
            scene.adapters,
            str(registry.folder),
            locked,
            eager=bool(folders(scene.adapters)) and Card.read(find(scene.student)).kind == "house",
            guards=scene.guard.named(),
        )
        return cls(DresserProcess(context, job, clock), process, tree, begun, tell)

    def step(self, now_ns: int) -> None:
        """Hear the dresser and the render process; never waits."""
        if now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        for news in self._dresser.heard():
            self._take(news)
        if self._process.hello is not self._hello:  # another process: what it was not told is told again
            self._hello = self._process.hello
            for kept in self._asked if self._hello is not None else ():
                self._process.tell(Fit(kept))
        for word in self._process.said():
            if isinstance(word, Hung):
                self._hung(word)
        self._answer()

    def counts(self) -> dict[str, Any]:
        """For the report: the hash of each that can be worn, and every file's newest word."""
        return {"worn": dict(self.worn), "files": [asdict(news) for news in self.news.values()]}

    @property
    def failed(self) -> int:
        """How many files were refused or quarantined."""
        return sum(news.state in ("refused", "quarantined") for news in self.news.values())

    def close(self) -> None:
        """End the dresser."""
        self._dresser.stop()

    def _answer(self) -> None:
        """Who puts on what cannot be worn is told why, once each time."""
        for news in self.news.values():
            asked = bool(news.name) and float(self._tree.current.get(ADAPTER + news.name, 0.0)) > 0.0
            if asked and news.name not in self.worn and news.name not in self._in_vain:
                LOG.warning(
                    "adapter %s is put on and cannot be worn: %s", news.name, news.reason or news.state
                )
                self._say(news.name, "waiting" if news.state == "passed" else news.state, news.reason)
            (self._in_vain.add if asked else self._in_vain.discard)(news.name)

    def _take(self, news: News) -> None:
        self._know(news)
        if news.state != "passed":
            self._say(news.name or Path(news.path).name, news.state, news.reason)
        elif self.worn.get(news.name) != news.hash:
            self._asked[news.kept] = news
            self._process.tell(Fit(news.kept))

    def _know(self, news: News) -> None:
        self.news[news.path] = news
        address = ADAPTER + news.name
        if news.name and address not in self._tree.parameters:
            self._tree.absent[address] = "waiting" if news.state == "passed" else news.state
        if self.note is not None:
            self.note(news)

    def _hung(self, word: Hung) -> None:
        news = self._asked.pop(word.path, None)
        if news is None:
            return
        if word.problem:
            self._know(replace(news, state="refused", reason=word.problem))
            self._say(news.name, "refused", word.problem)
            return
        self.worn[news.name] = news.hash
        self._files[news.name] = word.path
        self._process.job = replace(self._process.job, adapters=tuple(self._files.values()))
        if ADAPTER + news.name not in self._tree.parameters:
            sketch = AdapterSketch(news.summary, news.alone)
            self._tree.add(adapter_parameter(news.name, sketch), news.name if news.alone else None)
            self._tree.absent.pop(ADAPTER + news.name, None)
        LOG.info("adapter %s can be worn", news.name)
        self._say(news.name, "ready", "")

    def _say(self, name: str, state: str, reason: str) -> None:
        if self._tell is not None:
            with contextlib.suppress(OSError):
                self._tell(STATE, (name, state, " ".join(reason.split())[:LONGEST_REASON]))
