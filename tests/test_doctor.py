"""The doctor's findings, the list of students and the bench, as the command line gives them."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path

import pytest
from tiny_student import write_tiny_student
from typer.testing import CliRunner

from vivant.cli import doctor as doctors
from vivant.cli.app import app
from vivant.cli.doctor import Line, can_run, of_backends
from vivant.cli.engines import examine, runs
from vivant.engines import manifest, registry, student
from vivant.engines.bench import STAGES, Setting, contenders, measure, results
from vivant.engines.card import Card
from vivant.engines.contract import Availability, EngineError

HERE = Availability(True, "1.0")
GONE = Availability(False, "", "openvino is not installed. Run: pip install openvino")


@pytest.fixture(autouse=True)
def own_engines(tmp_path, monkeypatch):
    """What is compiled here does not land in the cache of whoever runs the tests."""
    monkeypatch.setattr(manifest, "cache_folder", lambda: tmp_path / "engines")
    return tmp_path / "engines"


@pytest.fixture
def tiny(tmp_path):
    pytest.importorskip("onnx", reason="needs onnx (the distill extra) to write a student")
    return write_tiny_student(tmp_path / "tiny")


def command(*arguments):
    return CliRunner().invoke(app, list(arguments))


def lines_of(look):
    return list(look())


# Doctor


def test_the_doctor_tells_of_everything_and_what_to_do(monkeypatch):
    done = command("doctor", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == (0 if told["can_run"] else 1)
    assert {line["name"] for line in told["lines"]} >= {
        "python",
        "cpu",
        "gpu",
        "OpenGL",
        "window",
        "openvino",
        "osc",
    }
    for line in told["lines"]:
        assert line["found"] and line["state"] in ("ok", "warn", "fail")
        assert line["state"] == "ok" or line["do"], line


def test_the_doctor_says_what_tracks_people_and_what_becomes_of_their_pictures(monkeypatch, tmp_path):
    monkeypatch.setattr("vivant.runtime.audit.audit_folder", lambda: tmp_path)
    (tmp_path / "2026-11-21.jsonl").touch()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.jpg").touch()
    camera, asked, audit = doctors.privacy()
    assert "no frame is stored or sent" in camera.found and "--record" in asked.found
    assert audit.found == f"1 logs without pictures and 1 pictures in {tmp_path}"
    monkeypatch.setattr("vivant.runtime.body.registry.find_spec", lambda name: None)
    (tracked,) = doctors.body()
    assert tracked.state == "warn" and "make body" in tracked.do


def test_the_doctor_says_the_same_in_words():
    done = command("doctor")
    assert "OpenGL" in done.stdout and "can run here" in done.stdout


@pytest.mark.parametrize("lost", ["drawing", "backend", "student"])
def test_nothing_can_run_without_one_of_each_vital_thing(monkeypatch, lost):
    fine = [Line(about, "x", "ok", "there") for about in ("drawing", "backend", "student")]
    assert can_run(fine)
    broken = [Line(lost, "x", "fail", "gone") if line.about == lost else line for line in fine]
    assert not can_run(broken)
    assert can_run([*broken, Line(lost, "y", "ok", "there")])
    monkeypatch.setattr(doctors, "LOOKS", (lambda: iter(broken),))
    assert command("doctor").exit_code == 1
    monkeypatch.setattr(doctors, "LOOKS", (lambda: iter(fine),))
    assert command("doctor").exit_code == 0


def test_a_missing_backend_fails_only_when_it_is_the_last():
    one, other = of_backends({"openvino": GONE, "onnxruntime": HERE, "null": HERE})
    assert (one.state, one.do, other.state) == ("warn", "pip install openvino", "ok")
    assert [line.state for line in of_backends({"openvino": GONE, "torch": GONE, "null": HERE})] == [
        "fail"
    ] * 2


def test_a_look_that_breaks_is_a_finding_not_the_end(monkeypatch):
    def broken():
        raise RuntimeError("a driver from hell")
        yield

    monkeypatch.setattr(doctors, "LOOKS", (broken, doctors.python))
    told = json.loads(command("doctor", "--json").stdout)
    assert [line["state"] for line in told["lines"]] == ["fail", "ok"]
    assert "a driver from hell" in told["lines"][0]["found"]


def test_a_backend_that_is_missing_says_what_to_run_or_where_to_read():
    found = {
        "openvino": Availability(True, "2026.4"),
        "tensorrt": Availability(False, "", "tensorrt is not installed. Run: pip install 'vivant[nvidia]'"),
        "torch": Availability(False, "2.13", "the GPU is too old"),
    }
    lines = {line.name: line for line in doctors.of_backends(found)}
    assert lines["tensorrt"].found == "tensorrt is not installed."
    assert lines["tensorrt"].do == "pip install 'vivant[nvidia]'"
    assert lines["torch"].do == "see docs/rig.md"
    assert {line.state for line in lines.values()} == {"ok", "warn"}


def test_a_port_in_use_is_told_with_another_to_take(free_port):
    assert lines_of(lambda: doctors.osc(free_port))[0].state == "ok"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", free_port))
        (line,) = lines_of(lambda: doctors.osc(free_port))
    assert line.state == "warn" and str(free_port) in line.found and "--osc" in line.do


def test_the_port_of_oscquery_and_whether_a_show_is_announced_are_told(free_port, monkeypatch):
    assert lines_of(lambda: doctors.oscquery(free_port))[0].state == "ok"
    with socket.create_server(("127.0.0.1", free_port)):
        (line,) = lines_of(lambda: doctors.oscquery(free_port))
    assert line.state == "warn" and str(free_port) in line.found
    monkeypatch.setattr("vivant.runtime.oscquery.announce.can_announce", lambda: False)
    (line,) = lines_of(lambda: doctors.oscquery(free_port))
    assert line.state == "warn" and line.do == "pip install 'vivant[discovery]'"


def test_damaged_students_and_compiled_engines_fail_by_name(tiny, own_engines, monkeypatch):
    monkeypatch.setattr(student, "shipped", lambda: {"tiny": tiny})
    keep_one(own_engines)
    (line,) = lines_of(doctors.students)
    assert line.state == "fail" and "names no guard" in line.found
    (tiny / "encode.int8.onnx").write_bytes(b"")
    (line,) = lines_of(doctors.students)
    assert "encode.int8.onnx" in line.found
    assert [line.state for line in lines_of(doctors.compiled)] == ["ok"]
    next(own_engines.rglob("*.blob")).write_bytes(b"")
    first, _ = lines_of(doctors.compiled)
    assert first.state == "fail" and first.do.startswith("delete ")


def test_no_trained_student_is_a_failure(monkeypatch):
    monkeypatch.setattr(student, "shipped", lambda: {"null": student.SHIPPED / "null"})
    (line,) = lines_of(doctors.students)
    assert line.state == "fail" and line.do


def keep_one(folder: Path) -> None:
    from test_manifest import MANIFEST_OF_ONE

    manifest.keep(folder / "one", MANIFEST_OF_ONE, b"compiled")


# Engines


def test_the_list_of_engines_names_each_with_its_hash():
    done = command("engines", "list")
    assert done.exit_code == 0
    for name, folder in student.shipped().items():
        assert name in done.stdout and Card.read(folder).hash[:12] in done.stdout
    assert "differ" not in done.stdout


def test_a_student_that_does_not_match_is_listed_with_what_differs(tiny, monkeypatch):
    (tiny / "decode.float.onnx").write_bytes(b"")
    (tiny.parent / "empty").mkdir()
    monkeypatch.setattr(student, "shipped", lambda: {"tiny": tiny, "empty": tiny.parent / "empty"})
    done = command("engines", "list")
    assert "differ" in done.stdout and "decode.float.onnx has sha256" in done.stdout
    assert examine(tiny.parent / "empty")[0] is None


def test_a_backend_runs_what_it_can_read(tiny):
    card = Card.read(tiny)
    assert [name for name in registry.BACKENDS if runs(card, name)] == ["tensorrt", "openvino", "onnxruntime"]
    null = Card.read(student.find("null"))
    assert [name for name in registry.BACKENDS if runs(null, name)] == ["null"]


# Bench


def test_the_bench_measures_every_stage_of_every_contender(tiny, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)  # the tiny student has no guard, and says so
    file = tmp_path / "figures" / "bench.json"
    done = command(
        "bench", "--student", str(tiny), "--size", "96x64", "--seconds", "0.4", "--json", str(file)
    )
    assert done.exit_code == 0, done.output
    made = json.loads(file.read_text())
    assert set(made) == {"machine", "rows"}
    fields = {
        "student",
        "backend",
        "precision",
        "size",
        "threads",
        "stage",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "runs",
    }
    seen = set()
    for row in made["rows"]:
        assert set(row) == fields
        assert 0 <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] and row["runs"] >= 4
        seen.add((row["backend"], row["precision"], row["stage"]))
    wanted = [name for name, found in registry.usable().items() if found.usable and name != "torch"]
    kinds = [(name, kind) for name in wanted for kind in registry.BACKENDS[name].precisions]
    assert seen == {(*kind, stage) for kind in kinds for stage in STAGES}
    assert len({row["runs"] for row in made["rows"]}) == 1  # in turn: nobody painted more than another
    if "openvino" in wanted:
        assert made["machine"]["ran"]["openvino float"]["decode"] == "f32"
        assert made["machine"]["ran"]["openvino int8"]["decode"].startswith("int8")


def test_the_bench_reports_progress_and_times_add_up(tmp_path):
    racers, absent = contenders(Setting("null", (64, 64), 1, lambda loaded: lambda latent, controls: None))
    done = list(measure(racers, 0.2))
    assert done == sorted(done) and done[-1] == 1.0
    assert [racer.student.backend for racer in racers] == ["null"] and "openvino int8" in absent
    (times,) = [racer.times_ms for racer in racers]
    for parts in zip(*times.values(), strict=True):
        assert sum(parts[:-1]) <= parts[-1]  # one clock, its stages inside the whole
    assert len(results(racers, absent)["rows"]) == len(STAGES)


def test_a_whole_frame_is_measured_by_what_it_says_of_its_stages():
    from types import SimpleNamespace

    told = {"upload": 0.1, "encode": 0.2, "denoise": 0.3, "guard": 0.1, "decode": 0.4, "download": 0.1}
    whole = SimpleNamespace(picture=lambda *_: SimpleNamespace(timings_ms=told))
    setting = Setting("null", (64, 64), 1, lambda loaded: lambda latent, controls: None, lambda loaded: whole)
    racers, absent = contenders(setting)
    assert list(measure(racers, 0.1))[-1] == 1.0
    rows = {row["stage"]: row["p50_ms"] for row in results(racers, absent)["rows"]}
    assert {stage: rows[stage] for stage in told} == told and "total" in rows


def test_only_the_backends_that_were_named_are_measured():
    with pytest.raises(EngineError, match="unknown backend 'cuda'"):
        contenders(Setting("null", (64, 64), 1, lambda loaded: None, backends=("cuda",)))
    racers, absent = contenders(Setting("null", (64, 64), 1, lambda loaded: None, backends=("null",)))
    assert len(racers) == 1 and absent == {}


def test_a_bench_of_nothing_says_why(tmp_path):
    with pytest.raises(EngineError, match="no student 'nobody'"):
        contenders(Setting("nobody", None, 1, lambda loaded: lambda latent, controls: None))
