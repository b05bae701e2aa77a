"""From the raw packet to the tree: what is taken, what waits, and that everything is accounted for."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest

from vivant.runtime.aliases import Alias
from vivant.runtime.frames import ManualClock
from vivant.runtime.inbox import Inbox
from vivant.runtime.packets import BUNDLE, message, time_tag
from vivant.runtime.parameters import PANIC, parameters_for
from vivant.runtime.tree import Tree
from vivant.tools.osc_send import hostile

EXPOSURE = "/vivant/look/exposure"
WALL_S = 1_800_000_000.0
SECOND_NS = 1_000_000_000


class Door:
    """Packets by name of their sender, and what was refused."""

    def __init__(self, **more: Any) -> None:
        self.tree, self.clock = Tree(parameters_for()), ManualClock()
        self.packets: deque[tuple[bytes, str]] = deque()
        self.told: list[tuple[str, str, str]] = []
        self.asked: list[tuple[str, list[object]]] = []
        self.inbox: Inbox[str] = Inbox(
            "test",
            self.clock,
            lambda sender, address, reason, now_ns: self.told.append((sender, address, reason)),
            {"/own": self._own},
            wall_s=lambda: WALL_S + self.clock.now_ns() / 1e9,
            **more,
        )

    def _own(self, sender: str, args: Any, now_ns: int) -> str | None:
        self.asked.append((sender, list(args)))
        return "wrong_arity" if args else None

    def take(self) -> tuple[bytes, str] | None:
        return self.packets.popleft() if self.packets else None

    def hear(self, *packets: tuple[bytes, str], at_s: float = 0.0) -> None:
        self.packets.extend(packets)
        self.clock.advance_s(at_s - self.clock.now_ns() / 1e9)
        self.inbox.drain(self.tree, self.take, self.clock.now_ns())

    def adds_up(self) -> bool:
        counts = self.inbox.counts()
        became = counts["applied"] + counts["clamped"] + counts["superseded"] + counts["waiting"]
        return bool(counts["received"] == became + sum(counts["refused_by_reason"].values()))


def later(at_s: float, *messages: bytes) -> bytes:
    tag = time_tag(WALL_S + at_s).to_bytes(8, "big")
    return BUNDLE + tag + b"".join(len(one).to_bytes(4, "big") + one for one in messages)


def test_of_two_senders_to_one_address_the_last_wins_but_both_get_their_own_answer() -> None:
    door = Door()
    door.hear(
        (message(EXPOSURE, (1.0,)), "a"),
        (message(EXPOSURE, (0.5,)), "b"),
        (message("/own", ()), "a"),
        (message("/own", (1,)), "b"),
        (message("/own", ()), "a"),
    )
    assert door.tree.value(EXPOSURE) == 0.5
    assert sorted(door.asked) == [("a", []), ("b", [1])]
    assert door.told == [("b", "/own", "wrong_arity")]
    assert door.inbox.counts()["superseded"] == 2 and door.adds_up()


def test_an_alias_and_its_parameter_are_one_place() -> None:
    door = Door(aliases=(Alias("/fader", EXPOSURE),))
    door.hear((message("/fader", (1.0,)), "a"), (message(EXPOSURE, (0.5,)), "a"))
    assert door.tree.value(EXPOSURE) == 0.5
    door.hear((message(EXPOSURE, (0.5,)), "a"), (message("/fader", (1.0,)), "a"))
    assert door.tree.value(EXPOSURE) == 1.0
    assert door.inbox.counts()["superseded"] == 2


def test_the_messages_of_a_bundle_act_together_at_its_time() -> None:
    door = Door()
    door.hear((later(1.0, message(EXPOSURE, (1.0,)), message("/vivant/look/grain", (0.5,))), "a"))
    door.hear(at_s=0.9)
    assert (door.tree.value(EXPOSURE), door.tree.value("/vivant/look/grain")) == (0.0, 0.0)
    door.hear(at_s=1.0)
    assert (door.tree.value(EXPOSURE), door.tree.value("/vivant/look/grain")) == (1.0, 0.5)


def test_what_comes_now_is_newer_than_what_was_sent_ahead_for_now() -> None:
    door = Door()
    door.hear((later(1.0, message(EXPOSURE, (1.0,))), "a"))
    door.hear((message(EXPOSURE, (0.5,)), "a"), at_s=1.0)
    assert door.tree.value(EXPOSURE) == 0.5
    assert door.inbox.counts()["superseded"] == 1 and door.adds_up()


@pytest.mark.parametrize("tag", [0, 1])
def test_the_tags_that_mean_now_are_neither_late_nor_scheduled(tag: int) -> None:
    door = Door()
    inner = message(EXPOSURE, (1.0,))
    door.hear((BUNDLE + tag.to_bytes(8, "big") + len(inner).to_bytes(4, "big") + inner, "a"))
    counts = door.inbox.counts()
    assert (counts["applied"], counts["late"], counts["scheduled"]) == (1, 0, 0)


def test_a_panic_in_a_bundle_for_later_acts_now_while_its_company_waits() -> None:
    door = Door()
    door.hear((later(5.0, message(PANIC, ()), message(EXPOSURE, (1.0,))), "a"))
    assert door.tree.panic and door.tree.value(EXPOSURE) == 0.0
    assert door.inbox.counts()["waiting"] == 1


def test_a_clock_on_the_wall_that_jumps_moves_nothing_that_waits() -> None:
    door = Door()
    door.hear((later(1.0, message(EXPOSURE, (1.0,))), "a"))
    door.inbox._wall_s = lambda: WALL_S + 1e6
    door.hear(at_s=0.5)
    assert door.tree.value(EXPOSURE) == 0.0
    door.hear(at_s=1.0)
    assert door.tree.value(EXPOSURE) == 1.0


def test_hostile_packets_with_any_time_are_all_accounted_for() -> None:
    draw, door = random.Random(3), Door()
    for refresh in range(300):
        tags = [draw.getrandbits(64), time_tag(WALL_S + draw.uniform(-5, 90)), 1]
        inner = draw.choice([message(EXPOSURE, (draw.uniform(-3, 3),)), hostile(draw)[: draw.randrange(80)]])
        packed = len(inner).to_bytes(4, "big") + inner
        bundled = BUNDLE + draw.choice(tags).to_bytes(8, "big") + packed
        door.hear((bundled, "a"), (hostile(draw), "b"), at_s=refresh / 60)
    door.hear(at_s=100.0)
    assert door.inbox.counts()["waiting"] == 0 and door.adds_up()
    assert len(door.told) == sum(door.inbox.refused.values())
