"""A preview: a show is taken to every cue, and the sheet has a picture of each with its name."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from vivant.cli.scenes import app
from vivant.runtime.cues.preview import Place, Still, Visits, draw_stills, hurried, places_of
from vivant.runtime.cues.running import Cues
from vivant.runtime.frames import U8, ManualClock, VivantError
from vivant.runtime.making import Making, Wishes
from vivant.runtime.scene import Scene, load_scene, tree_of
from vivant.runtime.sheet import GROUND
from vivant.runtime.sound.section import Sound
from vivant.runtime.tempo.lookahead import Lead

CUES = """
    [[cues]]
    name = "a"
    note = "slow"
    fade_s = 30
    wait_s = 5
    on = "bar"
    set.look.exposure = { to = 1, fade_s = 60 }
    [[cues]]
    name = "b"
    follow_s = 0
    follow = "a"
    set.look.exposure = 2
"""


def scene(folder: Path, text: str) -> Scene:
    path = folder / "tide.toml"
    path.write_text(f'title = "Tide"\nsummary = "Water."\ninput = "performer"\n{text}')
    return load_scene(path)


def flat(value: int) -> U8:
    return np.full((64, 96, 4), value, np.uint8)


def test_every_cue_is_there_at_once_and_stays_until_it_was_seen(tmp_path: Path) -> None:
    piece = hurried(scene(tmp_path, CUES))
    tree = tree_of(piece)
    cues, told = Cues(piece.cues, tree, piece.calendar), list[tuple[int, int]]()
    visits = Visits(places_of(piece, tree), 1.0, lambda done, of: told.append((done, of)))
    seen = []
    for tenth in range(40):
        now_ns = tenth * 100_000_000
        visits.drain(tree, now_ns)
        cues.step(now_ns, Lead())
        tree.tick(now_ns)
        if visits.due(now_ns):
            seen.append((tree.value("/vivant/cues/goto"), tree.value("/vivant/look/exposure")))
            visits.add(flat(0), flat(len(seen)), now_ns)
    assert seen == [("a", 1.0), ("b", 2.0)]
    assert visits.done and told == [(1, 2), (2, 2)]
    assert [still.place.note for still in visits.stills] == ["slow", ""]


def test_an_answer_that_comes_late_is_of_the_place_before_and_passed_over(tmp_path: Path) -> None:
    tree = tree_of(scene(tmp_path, CUES))
    visits = Visits((Place("a", ""), Place("b", "")), 1.0)
    visits.drain(tree, 0)
    visits.add(flat(0), flat(1), 900_000_000)
    assert visits.stills == []
    visits.add(flat(0), flat(2), 1_000_000_000)
    visits.add(flat(0), flat(3), 1_100_000_000)
    assert len(visits.stills) == 1 and not visits.due(1_100_000_000)


def test_of_a_scene_without_cues_its_start_and_every_medium_are_seen(tmp_path: Path) -> None:
    piece = scene(tmp_path, "")
    places = places_of(piece, tree_of(piece))
    assert [place.name for place in places[:3]] == ["start", "oil", "ink"]
    assert (places[0].note, places[0].address, places[2].value) == ("Water.", "", "ink")


def test_the_sheet_holds_every_picture_in_its_order_with_words_below(tmp_path: Path) -> None:
    stills = [
        Still(Place(f"cue-{at}", "a note " * at, "/vivant/cues/goto"), flat(100 + at)) for at in range(6)
    ]
    draw_stills(stills, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    corners = [np.argwhere((sheet == 100 + at).all(axis=2)).min(axis=0) for at in range(6)]
    assert [len({int(corner[0]) for corner in band}) for band in (corners[:4], corners[4:])] == [1, 1]
    assert corners[0][1] < corners[1][1] < corners[3][1]
    assert corners[4][0] > corners[0][0] + 213 + 44
    below = sheet[corners[0][0] + 214 : corners[0][0] + 250, corners[0][1] : corners[0][1] + 300]
    assert (below != GROUND[::-1]).any()
    with pytest.raises(ValueError, match="at least one"):
        draw_stills([], tmp_path / "none.png")


@pytest.mark.gl
def test_a_preview_opens_no_door_and_no_microphone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, ExitStack() as open_parts:
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        piece = scene(
            tmp_path,
            f'audit = "off"\n[osc]\nlisten = "{port}"\noscquery = "{port}"\n[midi]\ninputs = "tcp:{port}"\n'
            f'[sound]\ninput = "default"\n[tempo]\nlink = true\n{CUES}',
        )
        visits = Visits((Place("a", ""),))
        made = Making(piece, Wishes(headless=True, visits=visits), ManualClock(), open_parts)
        made.listen()
        assert made.ear is None and made.doors.all == (visits,)
        assert [source.name for source in made.signals.sources] == ["tempo"]
        with pytest.raises(VivantError, match="cannot listen"):  # which a show would
            show = piece.model_copy(update={"sound": Sound()})
            Making(show, Wishes(headless=True), ManualClock(), open_parts).listen()


@pytest.mark.slow
def test_the_command_runs_the_show_and_writes_the_sheet(tmp_path: Path) -> None:
    scene(tmp_path, f'backend = "null"\nsize = [256, 256]\nwindow_size = [64, 64]\n{CUES}')
    out = tmp_path / "sheet.png"
    done = CliRunner().invoke(
        app, ["preview", str(tmp_path / "tide.toml"), "--out", str(out), "--settle", "0.1"]
    )
    assert done.exit_code == 0, done.output
    assert "2 pictures" in done.output
    assert cv2.imread(str(out)).shape[1] == 2 * 40 + 2 * (320 + 16) - 16


def test_a_scene_that_is_wrong_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "tide.toml"
    path.write_text('title = "Tide"\n[[cues]]\n')
    done = CliRunner().invoke(app, ["preview", str(path)])
    assert isinstance(done.exception, VivantError)
    assert "cues[0].name: is missing" in str(done.exception)
