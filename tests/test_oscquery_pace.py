"""How much of a processor the server may take: by hand-turned clocks."""

from __future__ import annotations

from vivant.runtime.oscquery.pace import AT_ONCE_NS, SHARE, Pace

MS = 1_000_000


class Thread:
    """Two clocks: the thread's own processor time, and everybody's."""

    def __init__(self) -> None:
        self.used_ns = self.now_ns = 0
        self.pace = Pace(lambda: self.used_ns, lambda: self.now_ns, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def work(self, ms: float) -> None:
        self.used_ns += round(ms * MS)
        self.now_ns += round(ms * MS)
        self.pace.step()

    def idle(self, ms: float) -> None:
        self.now_ns += round(ms * MS)


def test_a_little_work_now_and_then_is_never_delayed() -> None:
    thread = Thread()
    for _ in range(100):
        thread.work(2.0)
        thread.idle(20.0)
    assert thread.pace.rested_s == 0.0


def test_a_flood_gets_its_share_and_no_more() -> None:
    thread = Thread()
    for _ in range(10_000):
        thread.work(0.1)
    assert thread.used_ns / thread.now_ns < SHARE * 1.02
    assert thread.used_ns / thread.now_ns > SHARE * 0.98


def test_an_hour_of_quiet_does_not_buy_a_second_of_noise() -> None:
    thread = Thread()
    thread.idle(3_600_000)
    began_ns = thread.now_ns
    while thread.now_ns - began_ns < 1000 * MS:
        thread.work(0.1)
    assert thread.used_ns <= AT_ONCE_NS + SHARE * 1.1 * 1000 * MS


def test_one_long_piece_of_work_is_not_paid_for_with_silence() -> None:
    thread = Thread()
    thread.work(1000.0)
    assert thread.pace.rested_s <= 0.1
