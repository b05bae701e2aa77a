"""Denied concepts: what means too nearly the same is refused by the student's own text encoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch (requirements/test.txt)")
pytest.importorskip("transformers", reason="needs transformers (requirements/test.txt)")

from tiny_diffusion import TOKENS, WIDTH, one_thread, text_encoder  # noqa: F401

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.concepts import LONGEST_RUN, Concepts, Denied, parts_of
from vivant.engines.diffusion.desk import PromptDesk
from vivant.engines.diffusion.prompts import Prompt
from vivant.engines.diffusion.text import Spoken, meanings
from vivant.runtime.frames import F32, VivantError
from vivant.runtime.keeping import Words
from vivant.runtime.parameters import Parameter, parameters_for
from vivant.runtime.refusals import Refusals, Unspoken
from vivant.runtime.scene import load_scene
from vivant.runtime.tree import Tree

NEAR = 1e-3  # of random weights: what is not the same text is farther away
PROMPT = "/vivant/prompt/a"


@pytest.fixture(scope="module")
def spoken() -> Spoken:
    return Spoken([text_encoder()])


def concepts(spoken: Spoken, store: Path, *denied: str, distance: float = NEAR) -> Concepts:
    return Concepts(Denied(denied, distance), "hash", store, spoken.meanings)


@pytest.mark.parametrize("second", [False, True])
def test_a_meaning_is_a_vector_of_length_one_and_the_same_in_any_company(second: bool) -> None:
    encoders = [text_encoder(), text_encoder(second=True)][: 1 + second]
    alone = meanings(encoders, ["gun"])
    beside = meanings(encoders, ["gun", "a field", "b"])
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(beside, axis=1), 1, atol=1e-5)
    assert float((beside @ beside.T - np.eye(3)).max()) < 1 - NEAR, "others mean something else"


def test_a_text_is_judged_whole_in_clauses_and_in_runs_of_words() -> None:
    found = parts_of("a man, with a gun")
    assert found[0] == "a man, with a gun"
    assert {"a man", "with a gun", "gun", "with", "a gun"} <= set(found)
    assert "man with" not in found
    assert max(len(part.split()) for part in found[1:]) == max(LONGEST_RUN, 3)
    with pytest.raises(EngineError, match="too long to be held against"):
        parts_of(" ".join(f"w{n}" for n in range(100)))


@pytest.mark.parametrize("text", ["gun", "a man, gun", "with a gun here", "GUN"])
def test_a_concept_is_found_anywhere_in_a_prompt(spoken: Spoken, tmp_path: Path, text: str) -> None:
    found = concepts(spoken, tmp_path, "blood", "gun").problem(text)
    assert found == "denied concept 2", "its number and not its name"


def test_other_prompts_are_let_through_and_a_wider_distance_reaches_more(
    spoken: Spoken, tmp_path: Path
) -> None:
    narrow = concepts(spoken, tmp_path, "gun")
    distance, number, part = narrow.nearest("a field")
    assert narrow.problem("a field") == ""
    assert number == 1
    assert part
    assert concepts(spoken, tmp_path, "gun", distance=distance + 1e-4).problem("a field")


def test_meanings_are_kept_so_that_no_encoder_is_opened_for_known_texts(
    spoken: Spoken, tmp_path: Path
) -> None:
    assert concepts(spoken, tmp_path, "gun").problem("a gun")

    def nobody(texts: Sequence[str]) -> F32:
        raise EngineError("there is no encoder")

    known = Concepts(Denied(("gun",), NEAR), "hash", tmp_path, nobody)
    assert known.problem("a gun") == "denied concept 1"
    with pytest.raises(EngineError, match="no encoder"):
        known.problem("a field")


def desk(spoken: Spoken, store: Path, *denied: str) -> PromptDesk:
    width = spoken("a").tokens.shape
    made = PromptDesk("hash", lambda: spoken, store, Prompt(np.zeros(width, np.float32)))
    made.deny(Denied(denied, NEAR))
    return made


def test_the_desk_does_not_embed_what_is_denied_and_tells_each_time_it_is_asked(
    spoken: Spoken, tmp_path: Path
) -> None:
    made = desk(spoken, tmp_path, "gun")
    made.wait(["a field"])
    with pytest.raises(EngineError, match="denied concept 1"):
        made.wait(["a gun"])
    assert made.ready("a gun") is None
    assert made.ready("a field") is not None
    made.wait(["b"])
    made.ask(("a gun", "b"))
    told, until = made.refusals(), time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < until:
        told += made.refusals()
    assert (
        told
        == [("a gun", "'a gun' means too nearly the same as denied concept 1 of [words]. Say it otherwise")]
        * 2
    )
    assert made.refusals() == []
    made.close()


def test_where_no_meaning_can_be_told_nothing_is_let_through(tmp_path: Path) -> None:
    class Broken:
        def __call__(self, text: str) -> Prompt:
            return Prompt(np.zeros((1, TOKENS, WIDTH), np.float32))

        def meanings(self, texts: Sequence[str]) -> F32:
            return np.full((len(texts), 4), np.nan, np.float32)

    made = PromptDesk("hash", Broken, tmp_path, Prompt(np.zeros((1, TOKENS, WIDTH), np.float32)))
    made.deny(Denied(("gun",), NEAR))
    with pytest.raises(EngineError, match="gives no meaning"):
        made.wait(["a field"])
    made.close()


def test_a_refusal_says_where_the_text_stands_and_why() -> None:
    tree = Tree((*parameters_for(), Parameter(PROMPT, "text", "what to paint", "", maximum=100)))
    told, denied = [], []
    tree.denied = lambda *facts: denied.append(facts)
    heard = Refusals(tree, lambda address, args: told.append((address, *args)))
    tree.set(PROMPT, ("a field:2 | a gun",), 0, "osc")
    heard.hear(Unspoken("a gun", "denied concept 1"))
    heard.hear(Unspoken("gone by now", "it is 90 tokens long"))
    assert told == [
        ("/vivant/refused", PROMPT, "denied concept 1"),
        ("/vivant/refused", "/vivant/prompt", "it is 90 tokens long"),
    ]
    assert denied[0] == (PROMPT, "a gun", "student", "denied concept 1")
    assert heard.count == 2


def test_a_scene_names_concepts_and_a_student_without_prompts_refuses_them() -> None:
    words = Words.model_validate({"denied_concepts": ["violence"], "concept_distance": 0.3})
    assert words.denied() == Denied(("violence",), 0.3)
    assert Words.model_validate({}).denied() is None
    with pytest.raises(ValueError, match="means nothing"):
        Words.model_validate({"denied_concepts": [" "]})


def test_the_house_student_says_that_it_takes_no_prompts() -> None:
    from vivant.engines.kinds import load_student

    with (
        load_student("house", "null", "float", (128, 128), 1) as student,
        pytest.raises(VivantError, match="takes no prompts"),
    ):
        student.deny(Denied(("violence",), 0.3))


def test_a_scene_with_concepts_for_a_student_without_prompts_is_refused_at_load(tmp_path: Path) -> None:
    (tmp_path / "scene.toml").write_text('title = "x"\n[words]\ndenied_concepts = ["violence"]\n')
    with pytest.raises(VivantError, match=r"words = .*denied_concepts: student house takes no prompts"):
        load_scene(tmp_path / "scene.toml")
