"""A diffusion student is a student like any other: from a folder, with prompts, adapters and a guard."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[diffusion]'")
pytest.importorskip("diffusers", reason="needs diffusers: pip install '.[diffusion]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[diffusion]'")
import tiny_diffusion as tiny  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.card import CARD, Card, read_graph  # noqa: E402
from vivant.engines.contract import EngineError  # noqa: E402
from vivant.engines.diffusion.build import Wanted  # noqa: E402
from vivant.engines.diffusion.folder import write_student  # noqa: E402
from vivant.engines.diffusion.model import open_model  # noqa: E402
from vivant.engines.diffusion.prompts import key_of  # noqa: E402
from vivant.engines.diffusion.text import embed, load_encoders  # noqa: E402
from vivant.engines.diffusion.wishes import (  # noqa: E402
    BLEND,
    CONTROL_SCALE,
    FEEDBACK,
    GUIDANCE,
    NEGATIVE,
    PROMPT_A,
    PROMPT_B,
    SEED_B,
    SEED_BLEND,
    SKIP,
    TURN_S,
)
from vivant.engines.kinds import kind_of, load_student  # noqa: E402
from vivant.guardrails.fit import fit_envelope  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402
from vivant.runtime.frames import Controls, ManualClock  # noqa: E402

pytestmark = pytest.mark.torch
SIZE = (64, 64)
NONE: dict[str, Any] = {}


def scene(seed: int) -> np.ndarray:
    """A frame of soft shapes."""
    rng = np.random.default_rng(seed)
    broad = rng.uniform(0, 1, (8, 8, 3)).repeat(8, 0).repeat(8, 1)
    return (np.clip(broad + rng.normal(0, 0.03, broad.shape), 0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    made = tiny.pipeline("sd")
    # of random weights: a network that says the clean code keeps to its size
    made.scheduler = EulerDiscreteScheduler(**tiny.SD, prediction_type="sample")
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("students") / "tiny"
    told: list[tuple[str, float]] = []
    made = write_student(
        model,
        out,
        Wanted(slots=2, rank=2, attention_only=True),
        [scene(i) for i in range(12)],
        fit_envelope,
        name="tiny",
        progress=lambda stage, share: told.append((stage, share)),
    )
    assert (
        made == out and told[-1] == ("written", 1.0) and {"export", "calibrate", "guard"} <= dict(told).keys()
    )
    return out


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Embeddings are kept where no other test looks."""
    monkeypatch.setattr("vivant.engines.diffusion.student.prompt_store", lambda: tmp_path / "prompts")
    return tmp_path / "prompts"


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two LoRA files with PEFT's names for one attention."""
    card = Card.read(folder)
    assert card.diffusion is not None and card.diffusion.adapters is not None
    site = next(s for s in card.diffusion.adapters.layout.sites if s.name.endswith("attn2.to_q"))
    rng = np.random.default_rng(3)
    files = []
    for name in ("Gold Leaf", "smoke"):
        path = tmp_path_factory.mktemp("loras") / f"{name}.safetensors"
        pair = {
            f"unet.{site.name}.lora_A.weight": rng.standard_normal((2, site.inputs), np.float32),
            f"unet.{site.name}.lora_B.weight": rng.standard_normal((site.outputs, 2), np.float32),
        }
        save_file(pair, path)
        files.append(path)
    return files


@pytest.fixture
def student(folder: Path, loras: list[Path]) -> Iterator[Any]:
    with load_student(folder, "onnxruntime", "float", SIZE, 1, loras) as loaded:
        yield loaded


def painted(student: Any, controls: Controls, seed: int = 1) -> tuple[Any, Any]:
    latent = student.denoise(student.encode(scene(seed)), controls)
    code = latent.code.copy()
    return code, student.decode(latent, None, controls).copy()


def asking(strength: float = 0.8, steps: int = 2, adapters: Any = NONE, **numbers: Any) -> Controls:
    table = {"a": PROMPT_A, "b": PROMPT_B, "blend": BLEND, "skip": SKIP, "feedback": FEEDBACK}
    table |= {"seed_b": SEED_B, "seed_blend": SEED_BLEND, "turn_s": TURN_S}
    table |= {"negative": NEGATIVE, "guidance": GUIDANCE, "scale": CONTROL_SCALE}
    given = {table[key]: value for key, value in numbers.items()}
    return Controls(strength=strength, steps=steps, seed=5, adapters=adapters, numbers=given)


def test_a_written_student_is_whole_and_each_of_its_files_is_the_one_its_card_names(folder: Path) -> None:
    card = Card.read(folder)
    assert card.kind == "diffusion" and card.name == "tiny" and card.guard is not None
    assert {kind for kinds in card.graphs.values() for kind in kinds} == {"float", "int8", "int8_symmetric"}
    for file in card.files():
        read_graph(folder, file)
    assert not list(folder.rglob("*.bin")) and (folder / "text" / "tokenizer").is_dir()
    assert card.trained["parity_db"]["denoise"] > 80


def test_it_gives_a_latent_without_a_guide_that_its_own_guard_admits(folder: Path, student: Any) -> None:
    guard = Guard.load(*student.guard_file, ManualClock())
    assert guard.closed == "" and student.recipes == () and student.dress(asking()) == {}
    for seed in range(6):
        latent = student.denoise(student.encode(scene(seed)), asking(steps=1 + seed % 4))
        assert latent.guide is None
        assert guard.judge(latent, asking()).admits, guard.judge(latent, asking()).reason
    assert not guard.judge(replace(latent, code=latent.code * np.float32(4)), asking()).admits


@pytest.mark.parametrize(("backend", "precision"), [("onnxruntime", "int8"), ("openvino", "int8")])
def test_int8_on_each_backend_paints_nearly_what_float_does(
    folder: Path, student: Any, backend: str, precision: Any
) -> None:
    pytest.importorskip(backend)
    wanted = painted(student, asking())[1]
    with load_student(folder, backend, precision, SIZE, 1) as other:
        found = painted(other, asking())[1]
    assert found.shape == (64, 64, 4)
    assert np.abs(found[..., :3].astype(int) - wanted[..., :3]).mean() < 6  # of 255; measured: 1 to 3


def test_the_same_controls_give_the_same_picture_whatever_was_painted_before(student: Any) -> None:
    first = painted(student, asking())
    painted(student, asking(strength=0.3, steps=4), seed=2)
    again = painted(student, asking())
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_network_runs_once_for_each_step_that_fits_below_the_strength(
    folder: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with load_student(folder, "onnxruntime", "float", SIZE, 1) as student:
        sigmas: list[float] = []
        model = student._model
        monkeypatch.setattr(student, "_model", lambda x, s: sigmas.append(s) or model(x, s))
        clean = student.encode(scene(1)).code.copy()
        assert np.array_equal(painted(student, asking(0.0, steps))[0], clean) and not sigmas
        assert not np.array_equal(painted(student, asking(0.8, steps))[0], clean)
        assert len(sigmas) == steps and sigmas == sorted(sigmas, reverse=True)
        sigmas.clear()
        painted(student, asking(0.0021, steps))
        assert len(sigmas) == min(steps, 2)  # two of a thousand timesteps lie below it


def test_a_prompt_takes_effect_when_it_is_embedded_and_the_one_before_stays_till_then(
    student: Any, own_store: Path, model: Path
) -> None:
    bare = painted(student, asking())[0]
    first = painted(student, asking(a="a fox"))[0]  # asked for just now
    student.prepare(asking(a="a fox"))
    after = painted(student, asking(a="a fox"))[0]
    assert np.array_equal(first, bare) or np.array_equal(first, after)  # never anything between
    assert np.abs(after - bare).mean() > 1e-4
    encoders = load_encoders(open_model(model).text)
    np.testing.assert_allclose(student._given["prompt"], embed(encoders, "a fox").tokens, atol=1e-6)
    assert len(list(own_store.glob("*.safetensors"))) == 1


def test_prompts_are_blended_between_the_decks_and_by_weights_in_one(student: Any) -> None:
    both = {"a": "a fox", "b": "b :2| a, a"}
    student.prepare(asking(**both, blend=0.5))
    codes = [painted(student, asking(**both, blend=blend))[0] for blend in (0.0, 0.5, 1.0)]
    student.prepare(asking(a="a fox"))
    assert np.array_equal(codes[0], painted(student, asking(a="a fox"))[0])
    assert not np.array_equal(codes[0], codes[1]) and not np.array_equal(codes[1], codes[2])


def test_a_prompt_that_cannot_be_embedded_is_counted_and_the_one_before_stays(student: Any) -> None:
    student.prepare(asking(a="a fox"))
    fox = painted(student, asking(a="a fox"))[0]
    with pytest.raises(EngineError, match="tokens long"):
        student.prepare(asking(a="a b c d e f g h i j k l m n o p"))
    assert np.array_equal(painted(student, asking(a="a b c d e f g h i j k l m n o p"))[0], fox)
    assert student.counts["prompts_refused"] == 1


def test_text_encoders_that_were_changed_are_not_opened(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "text" / "text_encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with (
        load_student(copy, "onnxruntime", "float", SIZE, 1) as student,
        pytest.raises(EngineError, match="does not hold the text encoders"),
    ):
        student.prepare(asking(a="a fox"))


def test_what_is_typed_letter_by_letter_ends_in_the_whole_text(student: Any) -> None:
    for end in range(1, 6):
        painted(student, asking(a="a fox"[:end]))
    until = time.monotonic() + 20
    while student._desk.ready("a fox") is None and time.monotonic() < until:
        time.sleep(0.01)
    assert student._desk.ready("a fox") is not None


def test_adapters_hang_by_file_name_and_leave_no_trace(student: Any, loras: list[Path]) -> None:
    assert set(student.adapters) == {"gold-leaf", "smoke"}
    assert student.adapters["smoke"] == hashlib.sha256(loras[1].read_bytes()).hexdigest()
    bare = painted(student, asking())[0]
    gold = painted(student, asking(adapters={"gold-leaf": 1.0}))[0]
    half = painted(student, asking(adapters={"gold-leaf": 0.5, "smoke": 0.2}))[0]
    assert np.abs(gold - bare).mean() > 1e-4 and not np.array_equal(half, gold)
    assert np.array_equal(painted(student, asking(adapters={"gold-leaf": 1.0, "nobody": 1.0}))[0], gold)
    assert np.array_equal(painted(student, asking())[0], bare)


def test_an_adapter_that_comes_while_it_paints_is_worn_as_if_it_had_been_there(
    folder: Path, student: Any, loras: list[Path]
) -> None:
    wanted = painted(student, asking(adapters={"smoke": 1.0}))[0]
    with load_student(folder, "onnxruntime", "float", SIZE, 1, loras[:1]) as other:
        bare = painted(other, asking(adapters={"smoke": 1.0}))[0]
        fitted = other.fitted(loras[1])
        assert fitted.name == "smoke" and fitted.hash == student.adapters["smoke"]
        other.hang(fitted)
        worn = painted(other, asking(adapters={"smoke": 1.0}))[0]
    assert np.array_equal(worn, wanted) and not np.array_equal(bare, wanted)


def test_a_lora_is_inspected_as_what_it_is(folder: Path, loras: list[Path], tmp_path: Path) -> None:
    card = Card.read(folder)
    loras[0].with_suffix(".license.txt").write_text("Ask before you show it.")
    name, worn = kind_of(card).inspect(card, loras[0])
    assert (name, worn.rank, worn.alone, worn.license) == ("gold-leaf", 2, False, "Ask before you show it.")
    with pytest.raises(EngineError, match="holds values above 1000"):
        site = next(s for s in card.diffusion.adapters.layout.sites if s.name.endswith("attn2.to_q"))  # type: ignore[union-attr]
        pair = {
            f"unet.{site.name}.lora_A.weight": np.full((1, site.inputs), 1e4, np.float32),
            f"unet.{site.name}.lora_B.weight": np.ones((site.outputs, 1), np.float32),
        }
        save_file(pair, tmp_path / "huge.safetensors")
        kind_of(card).inspect(card, tmp_path / "huge.safetensors")


def test_a_frame_like_the_last_is_left_out_until_something_is_asked_for(student: Any) -> None:
    still = asking(skip=1e-3)
    first = painted(student, still)
    for _ in range(3):
        assert np.array_equal(painted(student, still)[1], first[1])
    assert student.counts["skipped"] == 3
    painted(student, still, seed=2)
    painted(student, replace(still, seed=6), seed=2)
    painted(student, asking(skip=1e-3, turn_s=10.0), seed=2)
    painted(student, asking(skip=1e-3, turn_s=10.0), seed=2)
    assert student.counts["skipped"] == 3


def test_seeds_are_blended_and_noise_turns_with_time(student: Any) -> None:
    codes = [painted(student, asking(seed_b=9, seed_blend=blend))[0] for blend in (0.0, 0.5, 1.0)]
    other = replace(asking(), seed=9)
    # the noise that later steps add is the first seed's: one step has none
    assert not np.array_equal(codes[0], codes[1]) and not np.array_equal(codes[1], codes[2])
    one = replace(asking(seed_b=9, seed_blend=1.0), steps=1)
    np.testing.assert_allclose(
        painted(student, one)[0], painted(student, replace(other, steps=1))[0], atol=1e-5
    )
    turning = asking(turn_s=4.0)
    still, later = (painted(student, replace(turning, stamp_ns=ns))[0] for ns in (0, 10**9))
    assert not np.array_equal(still, later)
    assert np.array_equal(still, painted(student, turning)[0])


def test_only_what_was_admitted_is_fed_back(student: Any) -> None:
    fed = asking(feedback=0.5)
    first = painted(student, asking())[0]
    student.denoise(student.encode(scene(4)), asking())  # held: not decoded
    after = painted(student, fed)[0]
    assert not np.array_equal(after, first)
    student.decode(student.denoise(student.encode(scene(1)), asking()), None, asking())
    assert np.array_equal(painted(student, fed)[0], after)


def test_it_is_refused_where_nothing_can_run_it_and_with_files_that_do_not_fit(
    folder: Path, loras: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="multiples of 16"):
        load_student(folder, "onnxruntime", "float", (72, 64), 1)
    wrong = tmp_path / "wrong.safetensors"
    save_file({"unet.nowhere.lora_A.weight": np.zeros((2, 8), np.float32)}, wrong)
    with pytest.raises(EngineError, match="no such layer"):
        load_student(folder, "onnxruntime", "float", SIZE, 1, [wrong])
    twin = tmp_path / "gold_leaf.safetensors"
    shutil.copyfile(loras[0], twin)
    with pytest.raises(EngineError, match="and so is"):
        kind_of(Card.read(folder)).wardrobe(Card.read(folder), [loras[0], twin])


@pytest.mark.parametrize("control", ["fused", "residuals"])
def test_a_controlnet_guidance_and_a_second_text_encoder_steer_the_picture(
    control: Any, tmp_path: Path
) -> None:
    made = tiny.pipeline("sdxl")
    made.scheduler = EulerDiscreteScheduler(**tiny.SD, prediction_type="sample")
    made.save_pretrained(tmp_path / "model")
    tiny.controlnet(made.unet).save_pretrained(tmp_path / "controlnet")
    wanted = Wanted(rank=0, negative=True, controlnet=tmp_path / "controlnet", control=control)
    folder = write_student(
        tmp_path / "model", tmp_path / "student", wanted, [scene(0)], lambda _, path: path.touch(), ("float",)
    )
    card = Card.read(folder)
    assert ("control" in card.parts) == (control == "residuals") and card.diffusion is not None
    with load_student(folder, "onnxruntime", "float", SIZE, 1) as student:
        student.prepare(asking(a="a fox"))
        student.prepare(asking(a="a fox", negative="ash"))
        plain = painted(student, asking(a="a fox", guidance=1.0, scale=0.0))[0]
        for more in ({"scale": 1.0}, {"scale": 0.0, "guidance": 2.0}):
            steered = painted(student, asking(a="a fox", **({"guidance": 1.0} | more)))[0]
            assert np.abs(steered - plain).mean() > 1e-5, more
        negated = painted(student, asking(a="a fox", negative="ash", guidance=2.0, scale=0.0))[0]
        assert np.abs(negated - steered).mean() > 1e-5
        assert student.facts["control"] == control


def test_frames_in_a_batch_come_out_late_as_they_would_have_alone(model: Path, tmp_path: Path) -> None:
    folders = [
        write_student(
            model,
            tmp_path / f"{batch}",
            Wanted(slots=1, rank=2, attention_only=True, batch=batch),
            [scene(0)],
            lambda _, path: path.touch(),
            ("float",),
        )
        for batch in (1, 3)
    ]
    asked = asking(0.8, 3)
    with load_student(folders[0], "onnxruntime", "float", SIZE, 1) as alone:
        wanted = [painted(alone, asked, seed)[0] for seed in range(5)]
    with load_student(folders[1], "onnxruntime", "float", SIZE, 1) as batched:
        assert batched.facts["delay_frames"] == 2
        painted(batched, asked, 9)
        batched.forget()
        found = [painted(batched, asked, seed)[0] for seed in range(5)]
    for late in (2, 3, 4):  # float32 sums in another order
        np.testing.assert_allclose(found[late], wanted[late - 2], atol=1e-3)
    assert np.isfinite(found[0]).all() and not np.allclose(found[0], wanted[4], atol=1e-2)
    with pytest.raises(EngineError, match="neither a negative prompt"):
        write_student(model, tmp_path / "no", Wanted(batch=2, negative=True), [scene(0)], lambda *_: None)


def test_a_folder_is_no_student_until_it_is_whole(model: Path, tmp_path: Path) -> None:
    def broken(latents: Any, path: Path) -> None:
        raise EngineError("the guard was not fitted")

    with pytest.raises(EngineError, match="not fitted"):
        write_student(model, tmp_path / "half", Wanted(rank=0), [scene(0)], broken, kinds=("float",))
    assert not (tmp_path / "half" / CARD).exists()


def test_the_path_of_the_picture_paints_with_it_and_makes_no_planes(folder: Path) -> None:
    import multiprocessing as mp

    from vivant.runtime.exchange import make_lanes
    from vivant.runtime.frames import Frame, MonotonicClock
    from vivant.runtime.path import Path as PicturePath
    from vivant.runtime.path import Stopwatch, StudentChoice

    clock = MonotonicClock()
    watch = Stopwatch(clock, make_lanes(mp.get_context("spawn")).pulse)
    choice = StudentChoice(str(folder), "onnxruntime", "int8", threads=1, seed=0)
    with PicturePath(choice, SIZE, asking(a="a fox")) as path:
        path.guard = Guard.load(*path.student.guard_file, limit_ms=10_000)  # other work may hold it up here
        watch.start(clock.now_ns())
        picture = path.picture(Frame(scene(3), 1, clock.now_ns()), asking(a="a fox"), watch, 1)
    assert picture.verdict.admits, picture.verdict
    assert picture.pixels.shape == (64, 64, 4) and path.planes is None


def test_a_whole_show_runs_with_it_and_its_report_says_what_painted(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("moderngl")
    report = tmp_path / "report.json"
    (tmp_path / "scene.toml").write_text(
        f'title = "Fox"\ninput = "performer"\nstudent = "{folder}"\nbackend = "onnxruntime"\n'
        'size = [256, 256]\nladder = false\nosc.listen = "off"\nprecision = "float"\n'
        '[parameters]\nprompt = "a fox"\nstudent.steps = "2"\nstudent.skip = 0.01\n'
    )
    command = [sys.executable, "-P", "-m", "vivant.cli.app", "run", str(tmp_path / "scene.toml")]
    done = subprocess.run(
        [*command, "--headless", "--seconds", "3", "--report", str(report)],
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    student = found["student"]
    assert (student["name"], student["kind"], student["steps"]) == ("tiny", "diffusion", 2)
    assert (student["prompt"], student["delay_frames"]) == ("a fox", 0)
    assert student["prompt_hash"] == key_of(student["encoders"], "a fox")
    assert found["frames"]["admitted"] + found["frames"]["held"] > 0
    assert {"skipped", "prompts_refused"} <= found["frames"].keys()
