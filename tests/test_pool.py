"""The pool: painted in whole shards, refused when the painters have changed, read while it grows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from conftest import Start

pytest.importorskip("scipy", reason="needs scipy: pip install '.[distill]'")
pytest.importorskip("skimage", reason="needs scikit-image: pip install '.[distill]'")
pytest.importorskip("sklearn", reason="needs scikit-learn: pip install '.[distill]'")

from vivant.cli.distill import require
from vivant.distill import digest, shards
from vivant.distill.digest import digest_of
from vivant.distill.paint import (
    BASE,
    BLENDS,
    HOLD,
    draw_weights,
    paint_frames,
    paint_pool,
    pools_of,
    rng_of,
)
from vivant.distill.pool import GRID_PX, Pool
from vivant.distill.shards import (
    ITEMS,
    SHAPES,
    Item,
    PoolError,
    Shard,
    folder_of,
    open_arrays,
    read_shard,
    sha256,
    shards_in,
    sweep,
    whole,
    write_shard,
)
from vivant.distill.teachers import guide_of, paint, paint_with
from vivant.engines.field import PlaneField
from vivant.engines.slots import CHANNELS, block
from vivant.runtime.frames import U8, VivantError

FRAME = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A pool whose painting was killed when its first shard was there; the workers that were left behind
    must end by themselves."""
    folder = tmp_path_factory.mktemp("pool")
    command = [sys.executable, "-P", "-m", "vivant.distill.paint"]
    arguments = ["--styles", "ink", "--shards", "9", "--workers", "1", "--out", str(folder)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, start_new_session=True)
    workers: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 120
        while not (folder / "ink" / "manifest.json").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        gone, left = psutil.wait_procs(workers, timeout=30)
        assert gone and not left
        yield folder
    finally:
        process.kill()
        for worker in workers:
            if worker.is_running():
                os.kill(worker.pid, signal.SIGKILL)


def test_a_killed_painter_leaves_whole_shards_only(painted: Path) -> None:
    kept = shards_in(painted, "ink")
    assert 0 in kept
    for folder in kept.values():
        told = read_shard(folder)
        assert {name: sha256(array) for name, array in open_arrays(folder).items()} == told.sha256
    sweep(painted, "ink")
    assert {path.name for path in (painted / "ink").iterdir()} <= {
        *(folder.name for folder in kept.values()),
        "manifest.json",
    }


def test_what_is_painted_is_not_painted_again(painted: Path) -> None:
    before = (folder_of(painted, "ink", 0) / "planes.npy").stat().st_mtime_ns
    assert paint_pool(painted, ["ink"], 1, 1) == 0
    assert (folder_of(painted, "ink", 0) / "planes.npy").stat().st_mtime_ns == before


def test_a_shard_tells_how_its_items_were_made(painted: Path) -> None:
    told = read_shard(folder_of(painted, "ink", 0))
    assert len(told.items) == ITEMS and told.pool == "ink" and told.index == 0
    assert all(item.weights == {"ink": 1.0} for item in told.items)
    assert [i for i, item in enumerate(told.items) if item.follows] == [13, 15]
    manifest = json.loads((painted / "ink" / "manifest.json").read_text())
    assert manifest["shards"]["shard-00000"] == told.sha256


def test_a_picture_is_what_the_painter_makes_with_the_stored_planes(painted: Path) -> None:
    folder = folder_of(painted, "ink", 0)
    arrays, told = open_arrays(folder), read_shard(folder)
    for i in (0, 13):
        made = paint_with("ink", arrays["structure"][i], arrays["planes"][i], told.items[i].plane_seed)
        assert np.array_equal(made, arrays["picture"][i])


def test_a_frame_that_follows_lies_on_the_same_canvas(painted: Path) -> None:
    planes = open_arrays(folder_of(painted, "ink", 0))["planes"]
    canvas = block("canvas")  # ink carries nothing: what is not oriented stays where it is
    assert np.array_equal(planes[12][..., canvas], planes[13][..., canvas])
    assert not np.array_equal(planes[11][..., canvas], planes[12][..., canvas])


def test_a_pool_of_other_sources_is_refused_and_says_what_changed(
    painted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = digest_of(("ink",))
    other = {**now, "distill.teachers.ink": "0" * 16}
    monkeypatch.setattr("vivant.distill.paint.digest_of", lambda styles: other)
    with pytest.raises(PoolError, match=r"distill\.teachers\.ink changed since.*--anew"):
        paint_pool(painted, ["ink"], 1, 1)
    assert 0 in shards_in(painted, "ink")


def test_another_clip_is_another_pool(painted: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 32))
    writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    with pytest.raises(PoolError, match="the pictures and the clip changed"):
        paint_pool(painted, ["ink"], 1, 1, clip=film)


def test_the_digest_is_of_the_style_alone() -> None:
    ink, mosaic = digest_of(("ink",)), digest_of(("mosaic",))
    assert "distill.teachers.ink" in ink and "distill.teachers.ink" not in mosaic
    assert "engines.textures.tesserae" in mosaic and "engines.textures.tesserae" not in ink
    assert {
        "distill.scenery",
        "engines.field",
        "engines.slots",
        "runtime.senses.dance",
    } <= ink.keys() & mosaic.keys()


def test_a_shared_function_counts_only_where_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "A = 1\n\ndef one():\n    return A\n\ndef other():\n    return 2\n"

    def reached(text: str, names: str) -> bytes:
        module = tmp_path / "shared.py"
        module.write_text(text)
        digest._definitions.cache_clear()
        return digest._reached("shared", names)

    monkeypatch.setattr(digest, "_file", lambda module: tmp_path / "shared.py")
    was = reached(source, "one")
    assert reached(source.replace("return 2", "return 3"), "one") == was
    assert reached(source.replace("A = 1", "A = 5"), "one") != was
    digest._definitions.cache_clear()


def test_weights_of_a_blend_are_of_two_or_three_base_styles() -> None:
    counts = []
    for index in range(60):
        weights = draw_weights(BLENDS, rng_of(BLENDS, index))
        assert set(weights) <= set(BASE)
        assert sum(weights.values()) == pytest.approx(1, abs=1e-3)  # rounded to four digits
        assert min(weights.values()) >= 0.15 - 1e-4
        counts.append(len(weights))
    assert set(counts) == {2, 3}


def test_a_shard_is_drawn_by_its_style_and_number_alone() -> None:
    one, again, next_, other = (
        rng_of(*key).integers(2**62) for key in (("ink", 3), ("ink", 3), ("ink", 4), ("oil", 3))
    )
    assert one == again and len({one, next_, other}) == 3


def test_a_blend_is_the_mean_of_pictures_painted_with_planes_of_their_own() -> None:
    weights = {"ink": 0.25, "mosaic": 0.75}
    [(planes, picture)] = paint_frames([FRAME], weights, 5)
    own = sum(share * paint(style, FRAME, 5).picture.astype(float) for style, share in weights.items())
    assert np.abs(picture - own).max() <= 0.5 + 1e-3  # rounding
    assert np.array_equal(planes, PlaneField((64, 64), 5).update(guide_of(FRAME), weights)[0])


def test_the_planes_of_a_next_frame_hold_on_to_the_frame_before() -> None:
    frames = [FRAME, np.roll(FRAME, 2, 1), np.roll(FRAME, 4, 1)]
    last = list(paint_frames(frames, {"ink": 1.0}, 5))
    assert len(last) == 2
    field = PlaneField((64, 64), 5)
    for k, frame in enumerate(frames):
        planes = field.update(guide_of(frame), {"ink": 1.0}, HOLD if k else 0.0)[0].copy()
    assert np.array_equal(last[1][0], planes)


def test_a_write_that_breaks_off_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(shards.np, "save", full)
    with pytest.raises(OSError, match="no space"):
        write_shard(tmp_path, shard("ink", 0), {"structure": FRAME})
    assert not shards_in(tmp_path, "ink")
    monkeypatch.setattr(shards, "_alive", lambda process: False)
    sweep(tmp_path, "ink")
    assert not list((tmp_path / "ink").iterdir())


def test_a_shard_with_a_file_cut_short_is_swept_away(pool: Path) -> None:
    folder = folder_of(pool, "ink", 1)
    (folder / "planes.npy").unlink()
    (folder / "planes.npy").write_bytes(b"x" * 1000)
    assert not whole(folder)
    sweep(pool, "ink")
    assert not folder.exists() and whole(folder_of(pool, "ink", 0))


def shard(name: str, index: int, weights: dict[str, float] | None = None) -> Shard:
    items = tuple(Item(weights or {name: 1.0}, i in (13, 15), i) for i in range(ITEMS))
    return Shard(name, index, items, 1.0, {}, {})


def arrays(value: int) -> dict[str, U8]:
    """Item i of a shard is of one grey, `value` + i; rows and columns tell where a crop lies."""
    made = {name: np.zeros(shape, np.uint8) for name, shape in SHAPES.items()}
    for name in ("structure", "picture"):
        made[name][..., 0] = value + np.arange(ITEMS)[:, None, None]
        made[name][..., 1] = np.arange(256)[None, :, None]
        made[name][..., 2] = np.arange(256)[None, None]
    made["planes"][..., 0] = value + np.arange(ITEMS)[:, None, None]
    made["planes"][..., 1] = 2 * np.arange(128)[None, :, None]
    made["planes"][..., 2] = 2 * np.arange(128)[None, None]
    return made


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    for name, value in (("ink", 0), ("oil", 100)):
        for index in (0, 1):
            write_shard(folder, shard(name, index), arrays(value + 50 * index))
    return folder


@pytest.fixture
def pool(stock: Path, tmp_path: Path) -> Path:
    """Two shards of each of two styles; the files are links and not to be written into."""
    shutil.copytree(stock, tmp_path, copy_function=os.link, dirs_exist_ok=True)
    return tmp_path


def test_crops_of_structure_picture_and_planes_are_of_one_place(pool: Path) -> None:
    reader = Pool(pool, ("oil", "ink"))
    assert reader.refresh() == {"oil": ITEMS, "ink": ITEMS}
    pairs = reader.batch(np.random.default_rng(0), ["ink", "oil", "ink"], 96)
    assert pairs.structure.shape == pairs.picture.shape == (3, 96, 96, 3)
    assert pairs.planes.shape == (3, 48, 48, CHANNELS)
    assert pairs.weights.dtype == np.float32 and pairs.weights.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert np.array_equal(pairs.structure[:, ::2, ::2], pairs.planes[..., :3])
    assert not (pairs.structure[:, 0, 0, 1:] % GRID_PX).any()


def test_the_first_shard_of_each_style_is_never_trained_on(pool: Path) -> None:
    reader = Pool(pool, ("ink", "oil"))
    reader.refresh()
    greys = {
        int(g)
        for _ in range(20)
        for g in reader.batch(np.random.default_rng(_), ["ink"] * 8, 64).structure[:, 0, 0, 0]
    }
    assert greys <= set(range(50, 66))
    kept = reader.held_back()
    assert set(kept) == {"ink", "oil"}
    assert kept["ink"].structure.shape == (ITEMS, 256, 256, 3) and int(kept["ink"].picture[0, 0, 0, 0]) == 0


def test_moving_pairs_are_successive_items_at_one_place(pool: Path) -> None:
    reader = Pool(pool, ("ink", "oil"))
    reader.refresh()
    now, then = reader.moving(np.random.default_rng(1), ["ink"] * 6, 64)
    assert set(then.structure[:, 0, 0, 0].tolist()) <= {63, 65}
    assert np.array_equal(now.structure[:, 0, 0, 0] + 1, then.structure[:, 0, 0, 0])
    assert np.array_equal(now.structure[..., 1:], then.structure[..., 1:])


def test_shards_that_come_later_are_found(pool: Path) -> None:
    reader = Pool(pool, ("ink", "oil"))
    reader.refresh()
    write_shard(pool, shard("ink", 2), arrays(0))
    write_shard(pool, shard(BLENDS, 1, {"ink": 0.4, "oil": 0.6}), arrays(0))
    assert reader.refresh() == {"ink": 2 * ITEMS, "oil": ITEMS, BLENDS: ITEMS}
    blend = reader.batch(np.random.default_rng(0), [BLENDS], 64)
    assert blend.weights == pytest.approx(np.array([[0.4, 0.6]]))


def test_blends_of_other_styles_are_left_out(pool: Path) -> None:
    write_shard(pool, shard(BLENDS, 1, {"ink": 0.4, "oil": 0.6}), arrays(0))
    assert Pool(pool, ("ink",)).refresh() == {"ink": ITEMS}


def test_a_pool_with_nothing_to_train_on_says_what_to_paint(tmp_path: Path) -> None:
    write_shard(tmp_path, shard("ink", 0), arrays(0))
    with pytest.raises(PoolError, match=r"train ink on .*--styles ink --shards 2"):
        Pool(tmp_path, ("ink",)).refresh()


def test_a_shard_that_another_process_wrote_first_stays(pool: Path) -> None:
    write_shard(pool, replace(shard("ink", 1), seconds=9.0), arrays(7))
    assert read_shard(folder_of(pool, "ink", 1)).seconds == 1.0
    assert not list((pool / "ink").glob(".shard-*"))


def test_styles_are_asked_for_by_name_and_by_group() -> None:
    assert pools_of("oil, ink,oil") == ["oil", "ink"]
    assert set(pools_of("base,blends")) == {*BASE, BLENDS}
    with pytest.raises(VivantError, match="no painter of lard"):
        pools_of("lard")


def test_the_command_line_names_what_is_wrong_and_exits_with_two(start: Start, tmp_path: Path) -> None:
    asked = start("distill", "paint", "--styles", "lard", "--out", tmp_path)
    assert asked.wait(60) == 2
    assert "there is no painter of lard" in asked.stderr.read()  # type: ignore[union-attr]


def test_what_the_extra_lacks_is_told_with_what_to_run() -> None:
    with pytest.raises(VivantError, match=r"needs no_such_library.*pip install 'vivant\[distill\]'"):
        require("no_such_library")


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'cv2', 'torch', 'scipy', 'skimage'}"
    code = f"import sys, vivant.cli.distill; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_painting_needs_neither_typer_nor_rich_nor_scikit() -> None:
    code = """
import sys
for name in ("typer", "rich", "skimage", "sklearn", "torch", "onnx", "pydantic", "psutil", "moderngl", "av"):
    sys.modules[name] = None
import vivant.distill.paint
"""
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
