"""The MIDI door: controllers move parameters, are told what changed elsewhere, and their clock may lead."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from vivant.runtime.frames import Clock, Value, VivantError
from vivant.runtime.midi.controls import Control, Moved, Reader, message_of
from vivant.runtime.midi.hands import SOURCE, Hand
from vivant.runtime.midi.mapping import MidiMap, binding_problems, with_learned, write_map
from vivant.runtime.midi.ports import MidiError, Ports, Waiting
from vivant.runtime.midi.section import LEARN, SAVE, map_at
from vivant.runtime.tempo.contract import BeatFeed
from vivant.runtime.tree import Tree

if TYPE_CHECKING:
    from vivant.runtime.scene import Scene

LOG: Final = logging.getLogger("vivant.midi")
FEED_NS: Final = 33_000_000
TELL_A_FEED: Final = 32  # messages; the rest follows at the next
MOST_A_DRAIN: Final = 2_048
BUDGET_NS: Final = 1_000_000
PRESSED: Final = ("note", "touch", "program")


class MidiDoor:
    """A Door; `beats` hears the controllers' clock. Raises VivantError when a port or the map cannot be."""

    name = SOURCE

    def __init__(
        self, ports: Ports, waiting: Waiting, clock: Clock, found: MidiMap, path: Path | None = None,
        beats: BeatFeed | None = None, feedback: bool = True,
    ) -> None:  # fmt: skip
        self._ports, self._waiting, self._clock = ports, waiting, clock
        self._map, self._path, self._beats, self._feedback = found, path, beats, feedback
        self._readers: dict[str, Reader] = {}
        self._hands: dict[Control, list[Hand]] = {}
        self._homes: dict[Control, str] = {}  # the port that a control was last moved on
        self._tree: Tree | None = None
        self._grown = -1
        self._fed_ns = 0
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    @classmethod
    def of(cls, scene: Scene, clock: Clock, beats: BeatFeed | None) -> Self | None:
        """The door that a scene asks for; None when it asks for none."""
        section = scene.midi
        if not section.on:
            return None
        path = Path(section.map) if section.map else None
        waiting = Waiting(clock)
        ports = Ports(section.inputs, waiting, section.feedback)
        return cls(
            ports, waiting, clock, map_at(path), path, beats if section.clock else None, section.feedback
        )

    def describe(self) -> str:
        """Who may play, for the first lines of a show."""
        names = ", ".join(self._ports.names) or "no controller yet; one may come at any time"
        return f"MIDI: {names}, {len(self._map.controls)} controls mapped"

    def drain(self, tree: Tree, now_ns: int) -> None:
        """Take what was played. Of a fader's many positions only the newest is taken; every press is."""
        self._learn_tree(tree)
        self._obey(tree)
        moved: dict[Control, Moved] = {}
        deadline_ns = self._clock.now_ns() + BUDGET_NS
        for count in range(MOST_A_DRAIN):
            heard = self._waiting.take()
            if heard is None or (count % 64 == 63 and self._clock.now_ns() > deadline_ns):
                if heard is not None:
                    self._hear(*heard, tree, moved, now_ns)
                break
            self._hear(*heard, tree, moved, now_ns)
        for one in moved.values():
            self._move(one, tree, now_ns)

    def feed(self, tree: Tree, status: Callable[[], Mapping[str, Value]], now_ns: int) -> None:
        """Tell the controllers what changed elsewhere, thirty times a second."""
        if not self._feedback or now_ns - self._fed_ns < FEED_NS:
            return
        self._fed_ns = now_ns
        left = TELL_A_FEED
        for control, hands in self._hands.items():
            if left <= 0:
                return
            position = hands[0].shown(tree)
            if position is None:
                continue
            ports = (self._homes[control],) if control in self._homes else self._ports.names
            for port in ports:
                for message in message_of(control, position):
                    self._ports.send(port, message)
            self._counts["told"] += 1
            left -= 1

    def tell(self, address: str, args: Sequence[Value]) -> None:
        """Controllers have no words."""

    @property
    def refused(self) -> int:
        """How many moves the tree did not take, and what was no message at all."""
        return self._refused.total() + self._ports.refused.total()

    def counts(self) -> dict[str, Any]:
        """What became of every message."""
        return {
            "ports": list(self._ports.names),
            "received": self._waiting.received,
            "overflow": self._waiting.overflow,
            "waiting": len(self._waiting),
            "lost": self._ports.lost,
            "failed": self._ports.failed,
            **{name: self._counts[name] for name in ("applied", "unmapped", "ignored", "told", "learned")},
            "not_picked_up": self._counts["not_picked_up"],
            "refused_by_reason": dict(+(self._refused + self._ports.refused)),
        }

    def close(self) -> None:
        self._ports.close()

    def _learn_tree(self, tree: Tree) -> None:
        if tree is self._tree and tree.grown == self._grown:
            return
        self._tree, self._grown = tree, tree.grown
        self._hands = {}
        for binding in self._map.controls:
            if list(binding_problems(binding, tree)):
                self._counts["not_here"] += 1  # another scene's parameter: the map may serve several
                continue
            hand = Hand(binding, tree.parameters[binding.address])
            self._hands.setdefault(hand.control, []).append(hand)

    def _hear(
        self, port: str, message: tuple[int, ...], at_ns: int, tree: Tree, moved: dict[Control, Moved],
        now_ns: int,
    ) -> None:  # fmt: skip
        if message and message[0] >= 0xF0:
            self._beat(message, at_ns)
            return
        moves = self._readers.setdefault(port, Reader()).moves(message)
        if not moves:
            self._counts["ignored"] += 1
        for one in moves:
            self._homes[one.control] = port
            whole = one.control.kind in PRESSED or any(
                hand.way in ("relative", "press", "toggle", "hold")
                for hand in self._hands.get(one.control, ())
            )
            if whole:
                self._move(one, tree, now_ns)
            else:
                moved[one.control] = one

    def _beat(self, message: tuple[int, ...], at_ns: int) -> None:
        if self._beats is None:
            return
        word = message[0]
        if word == 0xF8:
            self._beats.clock_tick(at_ns)
        elif word == 0xFA:
            self._beats.start(at_ns)
        elif word == 0xFB:
            self._beats.resume(at_ns)
        elif word == 0xFC:
            self._beats.stop(at_ns)
        elif word == 0xF2 and len(message) == 3:
            self._beats.song_position(message[1] + message[2] * 128, at_ns)

    def _move(self, one: Moved, tree: Tree, now_ns: int) -> None:
        wanted = str(tree.current.get(LEARN, ""))
        if wanted and self._learns(one, wanted, tree, now_ns):
            return
        hands = self._hands.get(one.control)
        if hands is None:
            self._counts["unmapped"] += 1
            return
        for hand in hands:
            word = hand.move(tree, one.position, now_ns)
            if word is None:
                continue
            if word in ("applied", "not_picked_up"):
                self._counts[word] += 1
            else:
                self._refused[word] += 1

    def _learns(self, one: Moved, wanted: str, tree: Tree, now_ns: int) -> bool:
        """Bind what was moved to the address that waits for it; whether that used the move up."""
        if one.control.kind in PRESSED and one.position == 0:
            return True  # let go of: the press was meant
        learned = with_learned(self._map, one.control, wanted)
        trouble = next(binding_problems(learned.controls[-1], tree), None)
        tree.set(LEARN, ("",), now_ns, SOURCE)
        if trouble is not None:
            self._refused["unknown_address"] += 1
            LOG.warning("MIDI: %s cannot be learned: %s", wanted, trouble)
            return True
        self._map, self._grown = learned, -1
        self._counts["learned"] += 1
        LOG.info("MIDI: %s moves %s now", one.control, wanted)
        self._learn_tree(tree)
        return True

    def save(self) -> None:
        """Write the map into its file. Raises VivantError when there is none, or it cannot be written."""
        if self._path is None:
            raise MidiError('the scene names no map file to save into. Write into it: [midi] map = "my.toml"')
        write_map(self._map, self._path)
        LOG.info("MIDI: %s, %d controls", self._path, len(self._map.controls))

    def _obey(self, tree: Tree) -> None:
        """Save, when somebody fired the action; on a thread of its own, for it writes a file."""
        if tree.actions(SAVE):
            threading.Thread(target=self._saved, name="midi save", daemon=True).start()

    def _saved(self) -> None:
        try:
            self.save()
        except VivantError as error:
            self._refused["not_saved"] += 1
            LOG.warning("MIDI: %s", error)
