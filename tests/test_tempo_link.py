"""Ableton Link: two in one session, over the network of this machine."""

from __future__ import annotations

import time

import pytest

from vivant.runtime.tempo.leads import Link

aalink = pytest.importorskip("aalink", reason="needs aalink: pip install 'vivant[link]'")


def test_two_in_a_session_share_tempo_and_beats() -> None:
    ours, theirs = Link.joined(120.0), Link.joined(97.0)
    try:
        until_s = time.monotonic() + 8.0
        while not (ours.peers and theirs.peers) and time.monotonic() < until_s:
            time.sleep(0.05)
        if not ours.peers:
            pytest.skip("this machine's network carries no multicast")
        theirs.set_bpm(131.0)
        while time.monotonic() < until_s:
            line = ours.line(time.perf_counter_ns())
            if line is not None and abs(60e9 / line.period_ns - 131.0) < 0.01:
                break
            time.sleep(0.05)
        now_ns = time.perf_counter_ns()
        one, other = ours.line(now_ns), theirs.line(now_ns)
        assert one is not None
        assert other is not None
        assert 60e9 / one.period_ns == pytest.approx(131.0, abs=0.01)
        apart = abs(one.beats(now_ns) - other.beats(now_ns)) % 1.0
        assert min(apart, 1.0 - apart) < 0.05
    finally:
        ours.close()
        theirs.close()


def test_alone_nobody_leads() -> None:
    assert Link().line(0) is None
