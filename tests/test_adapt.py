"""Learning adapters: what they learn from, that the student beneath stays as it is, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from tiny_pool import write_tiny_pool

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[distill]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[distill]'")
pytest.importorskip("scipy", reason="needs scipy: pip install '.[distill]'")

import safetensors.torch  # noqa: E402

from vivant.distill import lessons  # noqa: E402
from vivant.distill.adapt import Adapting, adapt  # noqa: E402
from vivant.distill.adapter import Wanted, check, make_adapter  # noqa: E402
from vivant.distill.export import write_card  # noqa: E402
from vivant.distill.graphs import write_float  # noqa: E402
from vivant.distill.lessons import (  # noqa: E402
    painter_lesson,
    palette_lesson,
    pictures_lesson,
    read_palette,
    read_pictures,
    recolour,
)
from vivant.distill.plan import Plan  # noqa: E402
from vivant.distill.pool import Pool  # noqa: E402
from vivant.engines.adapter import AdapterInfo, read_adapter  # noqa: E402
from vivant.engines.card import Card  # noqa: E402
from vivant.engines.house import RANK, SLOTS, House, Widths  # noqa: E402
from vivant.engines.slots import RECIPES  # noqa: E402
from vivant.engines.student import find  # noqa: E402
from vivant.runtime.frames import VivantError  # noqa: E402

torch.set_num_threads(1)  # more would wait for each other on cores that others use
pytestmark = pytest.mark.torch
STYLES = ("ink", "oil")
WIDTHS = Widths(weave=8, half=8, quarter=8, eighth=8, sixteenth=8, style=8)
PALETTE = "#101028, #1f7a8c,#e4572e,#f7efe0"


def house_of(seed: int = 0) -> House:
    torch.manual_seed(seed)
    house = House(WIDTHS, len(STYLES)).eval()
    for parameter in house.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return house


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pool(tmp_path_factory.mktemp("pool"), STYLES)


@pytest.fixture
def pool(folder: Path) -> Pool:
    found = Pool(folder, STYLES)
    found.refresh()
    return found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches of small crops."""
    monkeypatch.setattr(lessons, "BATCH", 3)
    monkeypatch.setattr(lessons, "CROP_PX", 64)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of five pictures, one of them large."""
    rng = np.random.default_rng(0)
    place = tmp_path / "pictures"
    place.mkdir()
    for i in range(5):
        size = (900, 700) if i == 0 else (300, 260)
        cv2.imwrite(str(place / f"{i}.png"), rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    return place


# Learning


def test_an_adapter_begins_as_nothing_and_only_its_pairs_are_learned(pool: Pool) -> None:
    house = house_of()
    before = {name: value.clone() for name, value in house.state_dict().items()}
    adapting = Adapting.begin(house, rank=4)
    draw, goal = painter_lesson(pool, "oil", STYLES, "ink")
    assert not any(bank.up.any() for bank in (adapting.denoise.bank(), adapting.decode.bank()))
    assert adapt(adapting, draw, goal, minutes=9.0, steps=3) == 3
    assert all(pairs.up.abs().max() > 0 for pairs in (adapting.denoise, adapting.decode))
    assert all(torch.equal(before[name], value) for name, value in house.state_dict().items())


def test_learning_brings_the_student_nearer_to_the_painter(pool: Pool) -> None:
    adapting = Adapting.begin(house_of(), rank=RANK)
    draw, goal = painter_lesson(pool, "oil", STYLES, "ink")
    pairs = draw(np.random.default_rng(5))

    def far() -> float:
        adapting.generator.manual_seed(1)
        with torch.no_grad():
            return float(goal(adapting.paint(pairs), pairs, adapting.generator))

    before = far()
    adapt(adapting, draw, goal, minutes=9.0, steps=25)
    assert far() < 0.9 * before


def test_learning_ends_when_its_time_is_over(pool: Pool) -> None:
    draw, goal = painter_lesson(pool, "ink", STYLES, "ink")
    assert adapt(Adapting.begin(house_of(), 1), draw, goal, minutes=1e-9) == 0


def test_pairs_fill_the_first_slot_and_leave_the_others_empty() -> None:
    adapting = Adapting.begin(house_of(), rank=3)
    bank = adapting.decode.bank(0.5)
    assert bank.down.shape[0] == bank.up.shape[0] == SLOTS * RANK
    assert bank.down[:3].any() and not bank.down[3:].any()
    assert bank.scale.tolist() == [[0.5] + [0.0] * (SLOTS - 1)]


# What is learned from


def test_a_painters_lesson_is_its_pool_in_the_place_of_the_host(pool: Pool) -> None:
    draw, _ = painter_lesson(pool, "oil", STYLES, "ink")
    pairs = draw(np.random.default_rng(0))
    assert pairs.weights.tolist() == [[1.0, 0.0]] * 3
    assert np.array_equal(pairs.picture, 255 - pairs.structure)


def test_a_palettes_lesson_is_every_style_in_other_colours(pool: Pool) -> None:
    palette = read_palette(PALETTE)
    draw, _ = palette_lesson(pool, palette)
    rng = np.random.default_rng(0)
    seen = [draw(rng) for _ in range(6)]
    assert {tuple(w) for pairs in seen for w in pairs.weights.tolist()} == {(1.0, 0.0), (0.0, 1.0)}
    assert np.array_equal(seen[0].picture[0], recolour(255 - seen[0].structure[0], palette))


def test_a_palette_goes_from_dark_to_light_by_way_of_cool_or_warm() -> None:
    palette = read_palette(PALETTE)
    assert palette.tolist()[0] == pytest.approx([16 / 255, 16 / 255, 40 / 255])
    blue, grey_red, black, white = (40, 90, 200), (200, 80, 40), (0, 0, 0), (255, 255, 255)
    made = recolour(np.array([[blue, grey_red, black, white]], np.uint8), palette)[0].astype(int)
    dark, cool, warm, light = (palette * 255).round().astype(int)
    # two ways through CIELAB and back, rounded to bytes
    assert np.abs(made[2] - dark).max() <= 2 and np.abs(made[3] - light).max() <= 2
    assert np.linalg.norm(made[0] - cool) < np.linalg.norm(made[0] - warm)
    assert np.linalg.norm(made[1] - warm) < np.linalg.norm(made[1] - cool)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#fff,#000,#111,#222",
        "#101028,#1f7a8c,#e4572e",
        f"{PALETTE},#000000",
        "#zz0000,#1f7a8c,#e4572e,#f7efe0",
    ],
)
def test_a_palette_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VivantError, match="give four colours, dark, cool, warm, light, as #101028,"):
        read_palette(text)


def test_a_lesson_of_pictures_can_be_lowered(pool: Pool, pictures: Path) -> None:
    draw, goal = pictures_lesson(pool, pictures, "oil")
    pairs = draw(np.random.default_rng(0))
    assert pairs.weights.tolist() == [[0.0, 1.0]] * 3
    made = torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    loss = goal(made, pairs, torch.Generator().manual_seed(0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) > 0 and made.grad is not None and made.grad.isfinite().all()
    assert torch.equal(loss, goal(made, pairs, torch.Generator().manual_seed(0)))


def test_pictures_are_scaled_down_to_where_their_texture_is_seen(pictures: Path) -> None:
    shapes = [tuple(picture.shape) for picture in read_pictures(pictures)]
    assert shapes[0] == (3, 658, 512) and shapes[1] == (3, 300, 260)


def test_pictures_that_cannot_be_used_are_all_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "1.png").write_bytes(b"no picture")
    cv2.imwrite(str(pictures / "2.png"), np.zeros((100, 300, 3), np.uint8))
    with pytest.raises(VivantError) as error:
        read_pictures(pictures)
    assert str(error.value).splitlines() == [
        f"{pictures}: 2 of 5 pictures cannot be used",
        "  1.png: cannot be read as a picture",
        "  2.png: 300x100; the shorter side must be 256 or more",
    ]
    (pictures / "4.png").unlink()
    with pytest.raises(VivantError, match=r"holds 4 pictures .*; 5 to 50 are needed"):
        read_pictures(pictures)
    with pytest.raises(VivantError, match="nowhere is no folder of pictures"):
        read_pictures(tmp_path / "nowhere")


# Making a file


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny house student to train upon."""
    place = tmp_path_factory.mktemp("student")
    house = house_of(1)
    write_float(house, place)
    safetensors.torch.save_file(house.state_dict(), place / "weights.safetensors")
    plan = Plan(STYLES, {"ink": 1.0}, 1.0, widths=WIDTHS)
    write_card(place, house, plan, "0", {"widths": plan.facts()["widths"]})
    return place


@pytest.mark.parametrize(
    ("wanted", "recipe"),
    [
        (Wanted("likeoil", painter="oil", host="ink"), "oil"),
        (Wanted("dusk", palette=PALETTE, rank=2), None),
    ],
    ids=lambda given: getattr(given, "name", None),
)
def test_an_adapter_that_is_made_can_be_worn(
    student: Path, folder: Path, tmp_path: Path, wanted: Wanted, recipe: str | None
) -> None:
    path = make_adapter(wanted, str(student), folder, tmp_path, minutes=0.003)
    adapter = read_adapter(path, Card.read(student))
    assert path == tmp_path / f"{wanted.name}.safetensors"
    assert adapter.info.host == wanted.host and adapter.info.recipe == recipe
    assert adapter.info.rank == wanted.rank
    assert adapter.info.made_with.startswith(f"vivant distill adapter {wanted.name} --")
    assert str(tmp_path) not in adapter.info.model_dump_json()
    assert all(up.any() for up in adapter.up.values())


def test_everything_wrong_with_a_wish_is_told_at_once(student: Path) -> None:
    card = Card.read(student)
    with pytest.raises(VivantError) as error:
        check(Wanted("ink", painter="chalk", palette=PALETTE, host="ink", rank=RANK + 1), card)
    assert str(error.value).splitlines() == [
        "adapter ink: cannot be made",
        "  name 'ink': is a style of house already",
        "  give one of --painter, --palette and --pictures: it learns from one thing",
        "  painter 'chalk': is none of " + ", ".join(RECIPES),
        "  host: a palette goes with every style and has none",
        f"  rank {RANK + 1}: a slot of house holds {RANK}",
    ]
    with pytest.raises(VivantError, match=r"name 'Dusk 1': lower case.*\n  give one of.*\n  host 'None'"):
        check(Wanted("Dusk 1"), card)
    with pytest.raises(VivantError, match="a slot of null holds 0"):
        check(Wanted("dusk", painter="riso", host="ink"), Card.read(find("null")))


def test_the_right_wish_is_no_problem(student: Path) -> None:
    wanted = Wanted("riso", painter="riso", host="oil")
    check(wanted, Card.read(student))
    check(replace(wanted, painter=None, pictures=ROOT), Card.read(student))


def test_what_is_saved_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapting = Adapting.begin(house_of(), rank=1)
    info = AdapterInfo(
        name="dusk", summary="", student="house", alpha=1.0, rank=1, made_with="", license="Apache-2.0"
    )
    path = tmp_path / "dusk.safetensors"
    adapting.save(path, info)
    kept = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        adapting.save(path, info)
    assert path.read_bytes() == kept and list(tmp_path.iterdir()) == [path]
