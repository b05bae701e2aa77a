"""Stages on a device: their order, their times, and what is said when they cannot be one graph. On a CPU
here; tests/gpu captures them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'vivant[torch]'")

from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.device_graph import WARM_UP, Mark, Order, StageGraph  # noqa: E402

pytestmark = pytest.mark.torch
CPU = torch.device("cpu")


def test_stages_run_in_their_order_and_each_has_a_time():
    ran = []
    order = Order(CPU)
    graph = StageGraph([(name, lambda name=name: ran.append(name)) for name in "abc"], order)
    assert ran == list("abc") * WARM_UP
    graph.launch()
    order.wait()
    assert ran[-3:] == list("abc")
    assert list(graph.timings_ms()) == list("abc")
    assert sum(graph.timings_ms().values()) == pytest.approx(graph.last.ms_since(graph.first))
    assert graph.refusal == "" and graph.without_graph == 0


def test_marks_tell_the_time_between_them():
    first, second = Mark(CPU), Mark(CPU)
    first.pass_by()
    second.pass_by()
    assert second.ms_since(first) >= 0 >= first.ms_since(second)


class Refusing:
    """Stands for a GPU whose driver refuses a capture: what is done about it needs no GPU."""

    def __init__(self, monkeypatch):
        def graph(*_, **__):
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
        monkeypatch.setattr(torch.cuda, "graph", graph)


def on_gpu(stages, policy):
    made = StageGraph(stages, Order(CPU))
    made._capture(None, policy)
    return made


def test_a_capture_that_fails_stops_the_show_before_it_begins(monkeypatch):
    Refusing(monkeypatch)
    with pytest.raises(EngineError, match=r"operation not permitted .* or choose no_graph"):
        on_gpu([("a", lambda: None)], "stop")


def test_by_the_policy_no_graph_frames_go_on_and_are_counted(monkeypatch, caplog):
    Refusing(monkeypatch)
    ran = []
    graph = on_gpu([("a", lambda: ran.append(1))], "no_graph")
    ran.clear()
    for _ in range(3):
        graph.launch()
    assert len(ran) == graph.without_graph == 3
    assert "cannot be captured" in graph.refusal and "policy no_graph" in caplog.text
