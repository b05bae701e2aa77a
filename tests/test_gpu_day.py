"""The GPU's programme runs its parts on their own, in time, and tells of each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vivant.tools.gpu_day import Outcome, Part, programme, report, run, table

ROWS = [
    {"on": "a", "size": "64x64", "stage": stage, "p50_ms": p50, "p95_ms": 2.0, "p99_ms": 3.0, "runs": 7}
    for stage, p50 in (("encode", 1.0), ("total", 2.5))
]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_a_part_that_writes_rows_is_told_as_a_table(tmp_path):
    file = tmp_path / "rows.json"
    code = f"open({str(file)!r}, 'w').write({json.dumps(ROWS)!r})"
    outcome = run(Part("bench", python(code), rows=file), tmp_path, 60)
    assert outcome.passed and outcome.rows == ROWS
    told = report([outcome])
    assert "## bench: passed" in told and "| a | 64x64 | 1.00 / 3.00 | 2.50 / 3.00 | 7 |" in told


def test_a_part_that_fails_or_lacks_something_ends_alone_and_says_how(tmp_path):
    failed = run(Part("broken", python("print('before'); raise SystemExit('no GPU')")), tmp_path, 60)
    lacking = run(Part("lacking", python(""), needs=("no_such_package",)), tmp_path, 60)
    late = run(Part("late", python("")), tmp_path, 0.0)
    told = report([failed, lacking, late])
    assert not failed.passed and "broken: FAILED" in told and "no GPU" in told
    assert lacking.status is None and "no_such_package cannot be imported" in told
    assert late.status is None and "no time was left" in told


def test_a_part_that_takes_too_long_is_ended_and_keeps_what_it_said(tmp_path):
    slow = Part("slow", python("import time; print('so far', flush=True); time.sleep(60)"), limit_s=6)
    outcome = run(slow, tmp_path, 60)
    assert outcome.status == 124 and "so far" in outcome.text and "its limit" in outcome.text


def test_rows_of_contenders_with_other_stages_share_a_table():
    others = [row | {"on": "b"} for row in ROWS if row["stage"] == "total"]
    lines = table([*ROWS, *others])
    assert lines[-1] == "| b | 64x64 |  | 2.50 / 3.00 | 7 |"


def test_the_programme_names_commands_that_exist(tmp_path):
    parts = programme(tmp_path, Path("peer"), 1.0)
    assert [part.name for part in parts if part.optional] == [
        "diffusion 512, compiled",
        "diffusion 512, INT8 tried",
    ]
    assert parts[2].command[-4:-2] == ("--peer", "peer")
    modules = {part.command[3] for part in parts}
    tools = {f"vivant.tools.{name}" for name in ("bench_peer", "bench_present", "random_student")}
    assert modules == {"vivant.cli.app", "pytest", *tools}
    assert isinstance(report([Outcome(part, None, "not tried") for part in parts]), str)
