"""The guard of text doors: which words may be said to a student.

Texts are folded before they are compared, so that a word is the same word in any disguise: compatibility
forms (NFKC), case, accents, invisible characters, letters of other scripts that look the same (Unicode's
confusables, Unicode Technical Standard 39, through confusable-homoglyphs), digits and signs that stand for
letters, letters repeated, and letters set apart or split (`ki ll`). What is split into common words alone is
not found: "the pen is red" says nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vivant.guardrails.short_words import COMMON

LOOKS_LIKE: Final = {
    "a": "a4@",
    "b": "b8",
    "c": "c(<",
    "e": "e3",
    "g": "g69",
    "i": "i1!|l",
    "l": "l1|i",
    "o": "o0",
    "s": "s5$",
    "t": "t7+",
    "z": "z2",
}
ANY_END: Final = "*"  # at the end of a denied word: whatever it goes on with
APART: Final = r"[\W_]{0,4}"
WEIGHT: Final = re.compile(r":\s*[\d.]+\s*$")
FEWEST_LETTERS: Final = 2
SPEAKS: Final = re.compile(r"[^\W\d_]|[@$!(<+]")
"""A letter, or a sign that stands for one. Digits alone are a number."""


class WordGuard:
    """`deny` are words and phrases (whole ones, and their plural with s; with * at the end also what begins
    so); `allow` are phrases in which denied words are harmless; `only`, where given, are the only prompts
    that are let through. Raises ValueError for a word of fewer than two letters."""

    def __init__(self, deny: Iterable[str] = (), allow: Iterable[str] = (), only: Iterable[str] = ()) -> None:
        deny, allow = tuple(deny), tuple(allow)
        self._lists = {
            alike: ([Term.of(word, alike) for word in deny], [Term.of(word, alike) for word in allow])
            for alike in (True, False)
        }
        self._only = frozenset(_plain(prompt) for prompt in only)

    def problem(self, text: str) -> str:
        """Why a text is not let through, for the log; empty when it is. Never says the denied word itself:
        the answer goes to whoever tried."""
        if self._only:
            parts = [_plain(WEIGHT.sub("", part)) for part in text.split("|")]
            if any(part and part not in self._only for part in parts):
                return "not one of the prompts of this piece"
        for alike, (deny, allow) in self._lists.items():
            folded = fold(text, alike)
            for phrase in allow:
                folded = phrase.cut_from(folded)
            number = next((n for n, word in enumerate(deny, start=1) if word.stands_in(folded)), 0)
            if number:
                return f"denied word {number}"
        return ""


def fold(text: str, alike: bool = True) -> str:
    """A text in plain letters: without case, accents, invisible characters and, if `alike`, with the Latin
    letters that those of other scripts look like. Without, small and capital letters of other scripts are
    one: one of the two may look like a Latin letter, the other not."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    # first the letters as they stand: some are confusable with one letter in capitals, another in small
    kept = (c for c in decomposed if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    bare = "".join(_look_alike(c) if alike else c for c in kept)
    return unicodedata.normalize("NFKC", bare).casefold()


@lru_cache(maxsize=4096)
def _look_alike(character: str) -> str:
    """The Latin letter that a letter looks like; others as they are."""
    if character.isascii() or not character.isalpha():
        return character
    from confusable_homoglyphs.confusables import confusables_data

    for entry in confusables_data.get(character, ()):
        bare = "".join(
            c for c in unicodedata.normalize("NFKD", entry["c"]) if unicodedata.category(c) != "Mn"
        )
        if bare.isascii() and bare.isalpha():
            return bare
    return character


def _plain(text: str, alike: bool = True) -> str:
    return " ".join(re.findall(r"\w+", fold(text, alike)))


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase to be looked for in folded texts: its letters, with anything between them."""

    pattern: re.Pattern[str]
    words: int

    @classmethod
    def of(cls, text: str, alike: bool) -> Term:
        """Raises ValueError for a word that is too short."""
        words = _plain(text, alike).split()
        letters = "".join(words)
        if len(letters) < FEWEST_LETTERS:
            raise ValueError(
                f"'{text}' is too short to be looked for: give at least {FEWEST_LETTERS} letters"
            )
        open_end = text.rstrip().endswith(ANY_END)
        end = "" if open_end else r"(?:[\W_]?[s5$])?(?![^\W_])"
        spelled = APART.join(f"[{re.escape(LOOKS_LIKE.get(letter, letter))}]+" for letter in letters)
        return cls(re.compile(rf"(?<![^\W_]){spelled}{end}"), len(words))

    def found(self, match: re.Match[str]) -> bool:
        """Whether a match is the word, and no others that stand beside each other: it has no more spaces than
        it should, or a part of it is neither a common word nor a number."""
        if not SPEAKS.search(match.group()):
            return False
        if len(re.findall(r"\s+", match.group())) < self.words:
            return True
        parts = re.findall(r"[^\W_]+", match.group())
        return any(part not in COMMON and not part.isdigit() for part in parts)

    def stands_in(self, text: str) -> bool:
        return any(self.found(match) for match in self._matches(text))

    def _matches(self, text: str) -> Iterator[re.Match[str]]:
        """Every match, also one that begins within another."""
        match = self.pattern.search(text)
        while match is not None:
            yield match
            match = self.pattern.search(text, match.start() + 1)

    def cut_from(self, text: str) -> str:
        return self.pattern.sub(lambda match: " " if self.found(match) else match.group(), text)
