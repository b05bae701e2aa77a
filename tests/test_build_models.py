"""From a tiny diffusers folder to a student with engines: killed on the way, and gone on with."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install '.[diffusion]'")
pytest.importorskip("diffusers", reason="needs diffusers: pip install '.[diffusion]'")
pytest.importorskip("polygraphy", reason="needs polygraphy: pip install '.[build]'")
import tiny_diffusion as tiny  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from test_build_killed import NAME, SIZE, builder, home  # noqa: E402, F401  # fixtures
from tiny_diffusion import one_thread  # noqa: E402, F401  # an autouse fixture

from vivant.engines.builder.folders import PROMPTS  # noqa: E402
from vivant.engines.builder.trial import wishes_of  # noqa: E402
from vivant.engines.builder.verify import made_up  # noqa: E402
from vivant.engines.card import Card  # noqa: E402
from vivant.engines.diffusion.lora import read_lora  # noqa: E402
from vivant.engines.diffusion.wishes import PROMPT_A  # noqa: E402
from vivant.engines.kinds import load_student  # noqa: E402
from vivant.engines.manifest import kept_engines, read_kept  # noqa: E402
from vivant.engines.student import built, find  # noqa: E402
from vivant.guardrails.guard import Guard  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    made = tiny.pipeline("sd")
    # of random weights: a network that says the clean code keeps to its size
    made.scheduler = EulerDiscreteScheduler(**tiny.SD, prediction_type="sample")
    made.save_pretrained(folder)
    return folder


def test_a_model_becomes_a_student_and_a_killed_build_goes_on(home, builder, model):  # noqa: F811
    noted = home / "done"
    done: list[str] = []
    for step in (f"export {model.name}", "guard"):
        assert builder.build(home, model, is_model=True, when=step) == -signal.SIGKILL
        assert built() == {} and kept_engines() == {}
        done += noted.read_text().split("\n")[:-1]
        noted.unlink()
    assert builder.build(home, model, is_model=True) == 0
    done += noted.read_text().split("\n")[:-1]
    assert len(done) == len(set(done)) and {"samples", "verify 64x64"} <= set(done)
    folder = find(NAME)
    card = Card.read(folder)
    assert card.diffusion is not None and not (folder / PROMPTS).exists()
    kept = [read_kept(engine) for engine in kept_engines()]
    assert all(one.verified is not None for one in kept)
    assert {(one.manifest.adapter_slots, one.manifest.adapter_rank) for one in kept} == {(2, 4)}
    slots = card.diffusion.adapters
    assert slots is not None and card.slots == (slots.slots, slots.rank) == (2, 4)
    worn = made_up(card, home)
    assert all(read_lora(path, slots.layout).row.any() for path in worn)
    with load_student(folder, "onnxruntime", "float", SIZE, 1, worn) as student:
        assert not Guard.load(*student.guard_file).closed
        wishes = wishes_of(student)
    prompts = {wish.controls.numbers[PROMPT_A] for wish in wishes}
    assert len(prompts) > 1 and "" in prompts
    assert len({wish.controls.seed for wish in wishes}) == len({wish.name for wish in wishes}) == len(wishes)
    assert {len(wish.controls.adapters) for wish in wishes} == {0, 1, 2}
