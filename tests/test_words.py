"""The guard of text doors: disguises are seen through, and harmless texts are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivant.guardrails.words import WordGuard, fold

DENY = ("swastika", "kill", "blood bath", "suicid*", "nazi")

DISGUISES = {
    "as it is": "a swastika on a wall",
    "capitals": "SWASTIKA",
    "plural": "two swastikas",
    "accents": "swástikà",
    "zero width": "swas\u200btika",
    "a soft hyphen": "swas\u00adtika",
    "right to left marks": "swas\u202etika",
    "Cyrillic letters": "sw\u0430stik\u0430",
    "Greek letters": "sw\u03b1stik\u03b1",
    "full width": "ｓｗａｓｔｉｋａ",
    "mathematical letters": "𝐬𝐰𝐚𝐬𝐭𝐢𝐤𝐚",
    "circled letters": "ⓢⓦⓐⓢⓣⓘⓚⓐ",
    "digits for letters": "sw4st1ka",
    "signs for letters": "$w@st!k@",
    "letters set apart": "s w a s t i k a",
    "dots between": "s.w.a.s.t.i.k.a",
    "hyphens in it": "swas-ti-ka",
    "underscores": "_swastika_",
    "letters repeated": "swaaaastikaaa",
    "several at once": "Ｓ-w-4-\u0455-t-1-k-а",
    "an I for an l": "kiIl",
    "a phrase closed up": "bloodbath",
    "a phrase hyphenated": "blood-bath",
    "the beginning of a word": "suicidal thoughts",
    "beside punctuation": "(nazi!)",
    "split in two": "a swas tika",
    "split after one letter": "k ill",
    "split with punctuation": "ki- ll",
    "split by a line": "na\nzi",
    "split in three": "sw as tika",
    "split beside common words": "sw as ti ka",
    "split and disguised": "sw4s t1k\u0430",
    "a phrase split elsewhere": "blo od bath",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_denied_word_is_found_in_every_disguise(disguise: str) -> None:
    assert WordGuard(DENY).problem(DISGUISES[disguise]), fold(DISGUISES[disguise])


DOCS = Path(__file__).parent.parent / "docs"
SPLIT = (  # what prose of another kind could spell with two words, and does not say
    *("rape", "anus", "penis", "tits", "isis", "nazi", "hitler", "torture", "nude", "bomb", "slut", "bitch"),
    *("incest", "heroin", "cocaine", "satan", "lynch", "genocide", "massacre", "suicide", "arse", "porn"),
)
HARMLESS = (
    "ink on wet paper",
    "gold leaf, crackled",
    "a skilled painter",
    "killarney in the rain",
    "ki",
    "a bath of blood oranges",
    "ashkenazim at table",
    "глубокое море",
    "水墨画",
    "1 2 3 4 5",
    "1.5, 1.5 and 1515",
    "",
)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_words_are_let_through(text: str) -> None:
    assert WordGuard(DENY).problem(text) == ""


def test_words_within_words_and_across_words_are_no_hit() -> None:
    guard = WordGuard(("ass", "penis", "anus", "isis"))
    assert guard.problem("glass on grass") == ""
    assert guard.problem("the pen is red") == ""
    assert guard.problem("an us flag, 1.5 by 1.5") == ""
    assert guard.problem("p e n i s")


def test_a_split_word_is_found_after_common_words_that_spell_it_too() -> None:
    guard = WordGuard(("penis",))
    assert guard.problem("the pen is a pe nis")
    assert guard.problem("the pen is red, the pen is blue") == ""


def test_prose_is_not_taken_for_split_words() -> None:
    prose = " ".join(path.read_text() for path in sorted(DOCS.glob("*.md")) if path.name != "words.md")
    guard = WordGuard(SPLIT)
    found = [line for line in prose.splitlines() if guard.problem(line)]
    assert len(prose.split()) > 10_000
    assert found == []


def test_denied_words_of_other_scripts_are_found_as_well() -> None:
    guard = WordGuard(("убить", "死" * 2))
    assert guard.problem("УБИТЬ")
    assert guard.problem("у б и т ь")
    assert guard.problem("море") == ""


def test_a_phrase_on_the_allow_list_makes_its_words_harmless_there_and_nowhere_else() -> None:
    guard = WordGuard(("shooting",), allow=("shooting star",))
    assert guard.problem("a shooting star over the sea") == ""
    assert guard.problem("a shooting star and a shooting")


def test_only_named_prompts_are_let_through_where_they_are_named() -> None:
    guard = WordGuard(only=("ink on paper", "gold leaf"))
    assert guard.problem("Ink on  paper") == ""
    assert guard.problem("ink on paper:2 | gold leaf:0.5") == ""
    assert guard.problem("ink on paper | a crowd")


def test_the_answer_does_not_repeat_the_word() -> None:
    assert "swastika" not in WordGuard(DENY).problem("a swastika")


@pytest.mark.parametrize("word", ["", "a", " . "])
def test_a_word_too_short_to_be_looked_for_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="too short"):
        WordGuard((word,))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(WordGuard(DENY, allow=("kill joy",)).problem(text), str)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", " ", ".", "-", "\u200b", "_"]), min_size=8, max_size=8), st.randoms())
def test_no_separator_hides_a_word(separators: list[str], dice) -> None:  # type: ignore[no-untyped-def]
    letters = [
        dice.choice(same) for same in ("sS\u0455$5", "wW", "aA4@\u0430", "sS5", "tT7", "iI1!", "kK", "aA")
    ]
    hidden = "".join(letter + separator for letter, separator in zip(letters, separators, strict=True))
    assert WordGuard(DENY).problem(hidden)
