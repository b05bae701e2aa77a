"""Films of flashes, encoded and decoded, have the verdict of what was put into them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from flash_films import GREY, RED, WHITE, even, strobe, write_film

from vivant.guardrails.flash import COLUMNS, ROWS
from vivant.guardrails.flash_film import analyse, cells_of, linear_table
from vivant.runtime.flash_chart import TOO_MANY, columns_of, flash_timeline
from vivant.runtime.frames import VivantError


def test_cells_are_means_of_linear_light() -> None:
    board = np.zeros((360, 640, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    cells = cells_of(board)
    assert cells.shape == (ROWS, COLUMNS, 3)
    assert np.abs(cells - 0.5).max() < 1e-3


def test_linear_light_is_that_of_srgb() -> None:
    table = linear_table()
    assert (table[0], table[255]) == (0.0, 1.0)
    assert table[10] == pytest.approx(10 / 255 / 12.92)
    assert table[188] == pytest.approx(0.5029, abs=1e-4)


@pytest.mark.parametrize(
    ("colours", "flashes_hz", "too_many"),
    [
        ((GREY, WHITE), 2, set()),
        ((GREY, WHITE), 5, {"general"}),
        ((GREY, (100, 100, 100)), 5, set()),  # luminance 0.045 and 0.127
        ((GREY, (110, 110, 110)), 5, {"general"}),  # and 0.156
        ((GREY, RED), 2, set()),
        (((60, 60, 60), (128, 0, 0)), 5, {"red", "red 2.1"}),  # luminance 0.045 both
    ],
)
def test_a_strobe_keeps_its_verdict_through_the_encoder(
    tmp_path: Path, colours, flashes_hz: float, too_many: set[str]
) -> None:
    pictures = strobe(even(*colours[0]), even(*colours[1]), flashes_hz, 2.0)
    found = analyse(write_film(tmp_path / "s.mp4", pictures))
    assert {span.kind for span in found.spans()} == too_many
    assert found.passes == (not too_many)
    assert len(found.moments) == 50


def test_the_failing_stretch_is_where_it_was_put(tmp_path: Path) -> None:
    calm = [even(*GREY)] * 50
    film = write_film(tmp_path / "s.mp4", [*calm, *strobe(even(*WHITE), even(*GREY), 5, 1.0), *calm])
    found = analyse(film)
    (span,) = found.spans()
    assert 2.4 < span.from_s < 2.9
    assert 2.9 < span.to_s < 3.8
    assert found.worst()["general"].transitions["general"] == 10
    assert 0.5 < found.longest_s() < 2.5


def test_what_goes_into_the_json_file_agrees_with_itself(tmp_path: Path) -> None:
    found = analyse(write_film(tmp_path / "s.mp4", strobe(even(*GREY), even(*WHITE), 5, 1.5)))
    told = found.as_dict()
    assert told["passes"] is False
    assert told["frames"] == 38
    assert told["size_px"] == [160, 96]
    timeline = told["timeline"]
    assert max(timeline["flashes_a_second"]["general"]) == told["worst"]["general"]["flashes_a_second"] == 5
    assert len(timeline["at_s"]) == len(timeline["luminance"]) == 38
    assert max(timeline["luminance"]) == pytest.approx(0.956, abs=0.02)


def test_a_wide_picture_fails_where_a_small_one_passes(tmp_path: Path) -> None:
    patch = even(*GREY)
    patch[40:56, 64:90] = 250
    film = write_film(tmp_path / "s.mp4", strobe(even(*GREY), patch, 5, 1.5))
    assert analyse(film, screen_deg=20.0).passes
    assert not analyse(film, screen_deg=60.0).passes


def test_what_is_no_film_is_refused_with_its_name(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    for path in (text, tmp_path / "absent.mp4"):
        with pytest.raises(VivantError, match=path.name):
            analyse(path)


def test_a_film_that_was_cut_off_before_its_first_picture_is_refused(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "s.mp4", [even(*GREY)] * 5)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:600])
    with pytest.raises(VivantError, match=r"cut\.mp4"):
        analyse(cut)


def test_the_timeline_is_drawn_red_where_there_is_too_much(tmp_path: Path) -> None:
    def reds(pictures: list) -> int:
        film, drawn = tmp_path / "s.mp4", tmp_path / "t.png"
        flash_timeline(analyse(write_film(film, pictures)), "a film", drawn)
        pixels = cv2.cvtColor(cv2.imread(str(drawn)), cv2.COLOR_BGR2RGB)
        return int((np.abs(pixels.astype(int) - TOO_MANY).max(-1) < 4).sum())

    assert reds(strobe(even(*GREY), even(*WHITE), 5, 2.0)) > 10_000
    assert reds([even(*GREY)] * 20) == 0


def test_columns_hold_the_greatest_value_and_fill_gaps() -> None:
    columns = columns_of(np.array([0.0, 0.001, 1.0]), np.array([1.0, 3.0, 2.0], np.float32))
    assert columns[0] == 3.0 or columns[1] == 3.0
    assert (columns[2:-1] == 3.0).all()
    assert columns[-1] == 2.0
