"""The audit log: whole lines, a file a day, never in the way; and what the present loop tells it."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from vivant.guardrails.critic import Finding
from vivant.runtime.adapters.dresser import News
from vivant.runtime.audit import PICTURE_PX, Audit, files_in, read_day
from vivant.runtime.cues.running import Went
from vivant.runtime.fallbacks import Step as Fallback
from vivant.runtime.frames import Controls, Judgement, Picture, Verdict, VivantError
from vivant.runtime.ladder import Step as Rung
from vivant.runtime.witness import Witness

DAY = datetime(2026, 11, 21)
NOON = DAY.replace(hour=12).timestamp()
SECOND = 1_000_000_000
FACTS = {
    "backend": "openvino",
    "student": {"name": "house", "hash": "a" * 64},
    "adapters": {"gold": "b" * 64, "net": "c" * 64},
}


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path, "Mirror", wall_s=lambda: NOON)


def lines(audit: Audit) -> list[dict]:
    audit.close()
    return read_day(audit.folder, DAY)[0]


def told(audit: Audit, what: str) -> list[dict]:
    return [line for line in lines(audit) if line["what"] == what]


def picture(judgement: Judgement, reason: str = "", held: int = 0, softened: int = 0) -> Picture:
    counts = {"held": held, "softened": softened}
    return Picture(np.empty((0, 0, 4), np.uint8), 1, Verdict(judgement, 0.25, reason), 1, 1, counts=counts)


def test_a_line_says_when_where_and_what(audit: Audit) -> None:
    audit.note("swap", put_on=["gold"])
    (line,) = lines(audit)
    assert line["time"].startswith("2026-11-21T12:00:00")
    assert (line["scene"], line["what"], line["put_on"]) == ("Mirror", "swap", ["gold"])


def test_it_is_only_appended_to(tmp_path: Path) -> None:
    for number in range(3):
        log = Audit(tmp_path, "Mirror", wall_s=lambda: NOON)
        log.note("start", number=number)
        log.close()
    assert [line["number"] for line in read_day(tmp_path, DAY)[0]] == [0, 1, 2]


def test_a_large_day_goes_on_in_a_new_part_and_the_oldest_files_go(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01.jsonl").write_text('{"wall_s": 1, "what": "old"}\n')
    log = Audit(tmp_path, "Mirror", wall_s=lambda: NOON, largest_file=300, most_files=3)
    for number in range(8):
        log.note("trigger", number=number, why="x" * 100)
        while log.written <= number:  # so that each line is a batch of its own
            pass
    log.close()
    names = [path.name for path in files_in(tmp_path)]
    assert len(names) == 3
    assert names[-1].startswith("2026-11-21.")
    assert "2026-01-01.jsonl" not in names


def test_half_a_line_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    log = Audit(tmp_path, "Mirror", wall_s=lambda: NOON)
    log.note("start")
    log.close()
    with (tmp_path / "2026-11-21.jsonl").open("a") as file:
        file.write('{"what": "sta')
    found, broken = read_day(tmp_path, DAY)
    assert (len(found), broken) == (1, 1)


def test_a_day_without_a_log_is_an_error_that_says_which_there_are(audit: Audit) -> None:
    audit.note("start")
    audit.close()
    with pytest.raises(VivantError, match="2026-11-21"):
        read_day(audit.folder, datetime(2025, 1, 1))


def test_a_folder_that_cannot_be_is_an_error_before_the_show(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="audit log cannot be written"):
        Audit(tmp_path / "file" / "audit", "Mirror")


def test_a_disk_that_refuses_is_counted_and_nobody_waits(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = Audit(folder, "Mirror", wall_s=lambda: NOON)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("")  # where the folder was there is a file now
    log.note("start")
    log.close()
    assert log.counts() == {"written": 0, "dropped": 0, "failed": 1, "pictures": 0}


def test_it_holds_nothing_that_only_json_cannot(audit: Audit) -> None:
    audit.note("operator", value=Path("x"), odd="\ud800")
    (line,) = lines(audit)
    assert line["value"] == "x"
    assert stat.S_ISREG((audit.folder / "2026-11-21.jsonl").stat().st_mode)


def test_a_single_hold_is_a_line_at_once_with_the_hashes_of_what_was_worn(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    controls = Controls(styles={"ink": 1.0}, adapters={"gold": 0.5, "net": 0.0})
    witness.refresh(SECOND, controls, 0, "", ())
    witness.verdict(picture(Judgement.PASS), SECOND)
    witness.verdict(picture(Judgement.HOLD, "probe: symbol 0.98", held=1), SECOND)
    (line,) = told(audit, "verdict")
    assert (line["judgement"], line["count"], line["score"]) == ("hold", 1, 0.25)
    assert line["reason"] == "probe: symbol 0.98"
    assert line["adapters"] == {"gold": "b" * 12}
    assert line["student"] == f"house {'a' * 12}"


def test_a_stream_of_verdicts_is_told_once_a_second_and_every_one_is_counted(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    for frame in range(95):
        witness.verdict(
            picture(Judgement.HOLD, f"level {frame}", held=frame + 1), SECOND + frame * SECOND // 30
        )
    witness.verdict(picture(Judgement.SOFTEN, "softened", held=95, softened=1), 5 * SECOND)
    witness.verdict(picture(Judgement.PASS, held=95, softened=1), 5 * SECOND)
    said = told(audit, "verdict")
    assert sum(line["count"] for line in said if line["judgement"] == "hold") == 95
    assert sum(line["count"] for line in said if line["judgement"] == "soften") == 1
    assert len(said) <= 6


def test_verdicts_on_pictures_that_were_passed_over_are_accounted_for(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    witness.verdict(picture(Judgement.PASS, held=0), SECOND)
    witness.verdict(picture(Judgement.PASS, held=2), SECOND)
    witness.verdict(picture(Judgement.HOLD, "x", held=5), SECOND)
    witness.verdict(picture(Judgement.HOLD, "x", held=9), SECOND)
    witness.verdict(picture(Judgement.PASS, "x", held=9), SECOND)
    said = told(audit, "verdict")
    assert sum(line["count"] + line.get("unseen", 0) for line in said) == 9
    assert [line["judgement"] for line in said] == ["unseen", "unseen", "hold", "hold"]


def test_what_people_do_is_told_and_a_slider_not_sixty_times_a_second(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    for frame in range(120):
        witness.heard("/vivant/look/exposure", frame / 100, "osc")
        witness.heard("/vivant/look/contrast", frame / 100, "triggers")
        witness.refresh(SECOND + frame * SECOND // 60, Controls(), 0, "", ())
    witness.end({})
    said = told(audit, "operator")
    assert sum(line["count"] for line in said) == 120
    assert len(said) <= 4
    assert said[-1]["value"] == 1.19
    assert {line["address"] for line in said} == {"/vivant/look/exposure"}


def test_swaps_restarts_rungs_fallbacks_and_refused_words_are_told_once_each(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    ink, gold = Controls(styles={"ink": 1.0}), Controls(styles={"ink": 0.2}, adapters={"gold": 0.7})
    rung = Rung(1, 512, 384, "late")
    for controls, restarts, rungs in ((ink, 0, ()), (ink, 0, ()), (gold, 1, (rung,)), (gold, 1, (rung,))):
        witness.refresh(SECOND, controls, restarts, "ended with exit code -9", rungs)
    witness.fell_back(Fallback("seed", True, SECOND))
    witness.refused("/vivant/prompt", "something bad", "osc", "denied word 1")
    by_what = {line["what"]: line for line in lines(audit)}
    assert by_what["swap"]["put_on"] == ["gold"]
    assert by_what["swap"]["taken_off"] == ["ink"]
    assert by_what["restart"]["reason"] == "ended with exit code -9"
    assert by_what["ladder"]["size_to"] == 384
    assert by_what["fallback"]["fallback"] == "seed"
    assert by_what["refused"]["text"] == "something bad"
    raw = (audit.folder / "2026-11-21.jsonl").read_text().splitlines()
    assert by_what["adapter"]["state"] == "first worn"
    assert len(raw) == 7, "and nothing twice"
    assert all(json.loads(line) for line in raw)


def test_pictures_lie_small_beside_the_log_and_the_oldest_go(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "pictures" / "2026-01-01").mkdir(parents=True)
    (tmp_path / "pictures" / "2026-01-01" / "000000-000-verdict.jpg").write_bytes(b"old")
    now = iter(NOON + second for second in range(20))
    log = Audit(tmp_path, "Mirror", wall_s=lambda: next(now), most_pictures=3)
    for _ in range(4):
        log.note("verdict", np.full((300, 600, 4), (200, 20, 20, 255), np.uint8))
        log.note("swap")
    log.close()
    told = read_day(tmp_path, DAY)[0]
    named = [line["picture"] for line in told if "picture" in line]
    assert len(named) == 4
    kept = sorted((tmp_path / "pictures").glob("*/*"))
    assert [str(path.relative_to(tmp_path)) for path in kept] == named[1:]
    assert not (tmp_path / "pictures" / "2026-01-01").exists()
    shown = cv2.imread(str(kept[0]))
    assert shown is not None
    assert shown.shape == (PICTURE_PX // 2, PICTURE_PX, 3)
    assert shown[48, 96, 2] > 180 > 60 > shown[48, 96, 0], "red is red"
    assert log.counts()["pictures"] == 4


def test_a_held_picture_is_kept_only_where_the_scene_asks_for_the_input(tmp_path: Path) -> None:
    source = np.full((32, 32, 3), 90, np.uint8)
    held = replace(picture(Judgement.HOLD, "x", held=1), source=source)
    softened = replace(picture(Judgement.SOFTEN, "y", softened=1), pixels=np.full((32, 32, 4), 9, np.uint8))
    kept = {}
    for mode in ("off", "painted", "input"):
        log = Audit(tmp_path / mode, "Mirror", wall_s=lambda: NOON)
        witness = Witness(log, FACTS, mode)  # type: ignore[arg-type]
        asked = witness.refresh(SECOND, Controls(), 0, "", ())
        assert asked.want_held == (mode == "input")
        witness.verdict(held, SECOND)
        witness.verdict(softened, SECOND)
        kept[mode] = [line["judgement"] for line in told(log, "verdict") if "picture" in line]
    assert kept == {"off": [], "painted": ["soften"], "input": ["hold", "soften"]}


def test_what_becomes_of_an_adapter_is_told_each_word_once_and_when_it_is_first_worn(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    found = News("waiting", "/looks/dusk.safetensors", "dusk", "d" * 64)
    for news in (found, found, replace(found, state="passed"), replace(found, state="passed")):
        witness.adapter(news)
    bad = News("refused", "/looks/bad.pt", reason="pickles can run code")
    witness.adapter(bad)
    witness.adapter(replace(found, state="quarantined", reason="held in 9 of 12 ways", sheet="/s.png"))
    for scale in (0.0, 0.5, 0.0, 0.7):
        witness.refresh(SECOND, Controls(adapters={"dusk": scale}), 0, "", ())
    said = told(audit, "adapter")
    assert [line["state"] for line in said] == [
        *("found", "auditioned", "refused", "quarantined", "first worn"),
    ]
    assert said[2]["reason"] == "pickles can run code"
    assert said[3]["sheet"] == "/s.png"
    assert (said[4]["name"], said[4]["hash"]) == ("dusk", "d" * 12)


def test_what_the_critic_found_is_told_once_a_second(audit: Audit) -> None:
    witness = Witness(audit, FACTS, "painted")
    pixels = np.full((16, 16, 4), 50, np.uint8)
    for frame in range(30):
        witness.critic(pixels, Finding("not", 0.9, 0.5), SECOND + frame * SECOND // 15)
    said = told(audit, "critic")
    assert len(said) == 2
    assert (said[0]["label"], said[0]["score"]) == ("not", 0.9)
    assert (audit.folder / said[0]["picture"]).is_file() or audit.counts()["pictures"] > 0


def test_cues_and_changes_of_the_scene_are_lines_and_what_follows_is_of_the_new_scene(audit: Audit) -> None:
    witness = Witness(audit, FACTS)
    witness.went(Went(2, "drop", "midi", 0))
    witness.changed("garden", "Garden")
    witness.went(Went(1, "dusk", "follow", 0))
    found = [(line["scene"], line["what"], line.get("cue", line.get("name"))) for line in lines(audit)[1:]]
    assert found == [
        ("Mirror", "cue", "drop"),
        ("Garden", "scene", "garden"),
        ("Garden", "cue", "dusk"),
    ]
