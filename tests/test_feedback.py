"""Feedback: who is told what, how often, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vivant.runtime.aliases import Alias
from vivant.runtime.endpoints import Endpoint
from vivant.runtime.feedback import MOST_SUBSCRIBERS, REFUSALS_A_SECOND, Feedback
from vivant.runtime.frames import VivantError
from vivant.runtime.packets import address_of, arguments
from vivant.runtime.parameters import CHOOSE, AdapterSketch, adapter_parameter, parameters_for
from vivant.runtime.tree import Tree

LOOPBACK = "127.0.0.1"
EXPOSURE = "/vivant/look/exposure"
SECOND_NS = 1_000_000_000


@pytest.fixture
def tree() -> Tree:
    return Tree(parameters_for())


def sent_by(feedback_for: Callable[[Feedback], None]) -> list[tuple[str, list[object], Endpoint]]:
    sent: list[tuple[str, list[object], Endpoint]] = []

    def send(datagram: bytes, where: Endpoint) -> bool:
        sent.append((address_of(datagram).decode(), list(arguments(datagram)), where))
        return True

    feedback_for(Feedback(send))
    return sent


def test_a_new_subscriber_hears_every_value_once(tree: Tree) -> None:
    def subscribe(feedback: Feedback) -> None:
        feedback.subscribe((LOOPBACK, 1), 0)
        for refresh in range(60):
            feedback.feed(tree, dict, refresh * SECOND_NS // 60)

    addresses = [address for address, _, _ in sent_by(subscribe)]
    assert sorted(addresses) == sorted(a for v in tree.values() for a in (v, v + "/norm"))


def test_changes_go_out_at_most_thirty_times_a_second(tree: Tree) -> None:
    def fade(feedback: Feedback) -> None:
        feedback.subscribe((LOOPBACK, 1), 0)
        for refresh in range(1200):
            tree.set(EXPOSURE, (refresh / 1200,), 0, "keys")
            feedback.feed(tree, dict, refresh * SECOND_NS // 600)

    sent = [address for address, _, _ in sent_by(fade) if address == EXPOSURE]
    assert 50 <= len(sent) <= 61


def test_a_subscriber_that_asks_again_in_time_stays(tree: Tree) -> None:
    def renew(feedback: Feedback) -> None:
        for second in range(0, 200, 50):
            feedback.subscribe((LOOPBACK, 1), second * SECOND_NS)
            feedback.feed(tree, dict, second * SECOND_NS)
            assert feedback.counts()["subscribers"] == 1
        feedback.unsubscribe((LOOPBACK, 1))
        assert feedback.counts()["subscribers"] == 0

    sent_by(renew)


def test_there_is_a_limit_to_subscribers_and_expired_ones_make_room() -> None:
    feedback = Feedback(lambda datagram, where: True)
    assert all(feedback.subscribe((LOOPBACK, port), 0) for port in range(1, MOST_SUBSCRIBERS + 1))
    assert not feedback.subscribe((LOOPBACK, 99), 0)
    assert feedback.subscribe((LOOPBACK, 1), 0)
    assert feedback.subscribe((LOOPBACK, 99), 61 * SECOND_NS)


def test_a_target_of_the_scene_never_expires(tree: Tree) -> None:
    told: list[Endpoint] = []
    feedback = Feedback(lambda datagram, where: told.append(where) is None, [(LOOPBACK, 7)])
    feedback.unsubscribe((LOOPBACK, 7))
    feedback.feed(tree, dict, 3600 * SECOND_NS)
    assert set(told) == {(LOOPBACK, 7)}


def test_refusals_are_answered_a_few_times_a_second_and_where_the_host_listens() -> None:
    def refuse(feedback: Feedback) -> None:
        feedback.subscribe((LOOPBACK, 1), 0)
        for _ in range(1000):
            feedback.refuse((LOOPBACK, 2), EXPOSURE, "wrong_type", 0)
        assert feedback.counts()["unanswered"] == 1000 - REFUSALS_A_SECOND
        feedback.refuse((LOOPBACK, 2), EXPOSURE, "wrong_type", SECOND_NS)

    sent = sent_by(refuse)
    assert len(sent) == 2 * (REFUSALS_A_SECOND + 1)
    assert {where for _, _, where in sent} == {(LOOPBACK, 1), (LOOPBACK, 2)}


def test_a_network_that_takes_nothing_is_counted(tree: Tree) -> None:
    feedback = Feedback(lambda datagram, where: False, [(LOOPBACK, 7)])
    feedback.feed(tree, lambda: {"late": 1}, 0)
    assert (feedback.sent, feedback.failed) == (0, 33)  # 16 changes with their norms, and one status


def test_a_target_that_nobody_knows_is_said() -> None:
    with pytest.raises(VivantError, match="no machine of this name is known"):
        Feedback(lambda datagram, where: True, [("no-such-machine.invalid", 9000)])


def test_who_listens_hears_of_an_address_that_comes_and_where_the_chosen_lies_now(tree: Tree) -> None:
    def grow(feedback: Feedback) -> None:
        feedback.subscribe((LOOPBACK, 1), 0)
        for refresh in range(60):
            feedback.feed(tree, dict, refresh * SECOND_NS // 60)
        tree.add(adapter_parameter("linen", AdapterSketch("woven", True)), "linen")
        feedback.feed(tree, dict, 2 * SECOND_NS)
        feedback.feed(tree, dict, 3 * SECOND_NS)

    told = [(address, args) for address, args, _ in sent_by(grow)]
    assert [one for one in told if "linen" in one[0]] == [
        ("/vivant/adapter/linen", [0.0]),
        ("/vivant/adapter/linen/norm", [0.0]),
    ]
    chosen = [args for address, args in told if address == CHOOSE + "/norm"]
    assert len(chosen) == 2 and [args for address, args in told if address == CHOOSE][1] == [
        tree.value(CHOOSE)
    ]


def test_an_alias_is_told_beside_its_parameter_in_its_senders_numbers(tree: Tree) -> None:
    sent: list[tuple[str, list[object]]] = []

    def send(datagram: bytes, where: Endpoint) -> bool:
        sent.append((address_of(datagram).decode(), list(arguments(datagram))))
        return True

    fader = Alias("/layer1/opacity", EXPOSURE + "/norm", 0.0, 127.0, curve="late")
    feedback = Feedback(send, [(LOOPBACK, 7)], [fader, Alias("/exposure", EXPOSURE)])
    for second in range(9):
        feedback.feed(tree, dict, second * SECOND_NS)
    sent.clear()
    turned = fader.turn((100,))
    assert turned is not None
    tree.set(fader.target, turned, 0, "osc")
    feedback.feed(tree, dict, 10 * SECOND_NS)
    told = dict(sent)
    assert told["/layer1/opacity"] == [pytest.approx(100, abs=1e-3)]  # float32 of the sender's 0 to 127
    assert told["/exposure"] == told[EXPOSURE]
