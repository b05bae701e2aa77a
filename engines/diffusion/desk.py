"""Prompts during a show: embedded on a thread of their own, mixed for each frame, and never waited for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from vivant.engines.contract import EngineError
from vivant.engines.diffusion.concepts import Concepts, Denied
from vivant.engines.diffusion.prompts import Prompt, blend, kept, mix_of, travel
from vivant.engines.diffusion.wishes import Wishes
from vivant.runtime.frames import F32

LOG = logging.getLogger(__name__)
KEPT: Final = 64  # embeddings in memory; one is a third of a megabyte
REMEMBERED: Final = 64  # texts that were refused, so that none is tried again and again
PATIENCE_S: Final = 300.0  # before the show: text encoders of gigabytes have to be read from a disk


class Embed(Protocol):
    """What makes embeddings of words (text.Spoken)."""

    def __call__(self, text: str) -> Prompt: ...
    def meanings(self, texts: Sequence[str]) -> F32: ...


class Desk(Protocol):
    """What a student asks for embeddings."""

    refused: int

    def ask(self, texts: tuple[str, ...]) -> None: ...
    def ready(self, text: str) -> Prompt | None: ...
    def wait(self, texts: Sequence[str]) -> None: ...
    def deny(self, denied: Denied) -> None: ...
    def refusals(self) -> list[tuple[str, str]]: ...
    def close(self) -> None: ...


class PromptDesk:
    """Embeddings by text. `ask` and `ready` belong to the frame path: they hand over a request and look into
    a dictionary. `open_encoders` gives what embeds and is called on the thread, at the first text that
    `store` does not hold. `encoders` is the hash that embeddings are kept by."""

    def __init__(
        self, encoders: str, open_encoders: Callable[[], Embed], store: Path, nothing: Prompt
    ) -> None:
        self._encoders, self._open, self._store = encoders, open_encoders, store
        self._nothing = nothing
        self._embed: Embed | None = None
        self._made: dict[str, Prompt] = {}
        self._wanted: tuple[str, ...] = ()
        self._requests: SimpleQueue[tuple[str, ...] | None] = SimpleQueue()
        self._told: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._concepts: Concepts | None = None
        self.refused = 0
        self.troubles: dict[str, str] = {}
        """Why a text was refused, the newest ones."""
        self._thread = threading.Thread(target=self._work, name="prompts", daemon=True)
        self._thread.start()

    def ask(self, texts: tuple[str, ...]) -> None:
        """What is wanted from now on; what was wanted before and is not made yet is given up."""
        if texts != self._wanted:
            self._wanted = texts
            self._requests.put(texts)

    def ready(self, text: str) -> Prompt | None:
        """The embedding of one text; None while it is made, and for one that was refused."""
        return self._nothing if not text else self._made.get(text)

    def deny(self, denied: Denied) -> None:
        """Refuse every text that means too nearly the same as one of these; before the first is asked for."""
        self._concepts = Concepts(denied, self._encoders, self._store, self._meanings)

    def refusals(self) -> list[tuple[str, str]]:
        """Texts that were refused since the last call, each with its reason; one that is asked for again is
        refused again."""
        found = []
        try:
            while True:
                found.append(self._told.get_nowait())
        except Empty:
            return found

    def wait(self, texts: Sequence[str], patience_s: float = PATIENCE_S) -> None:
        """Ask and wait: before a show only. Raises EngineError for a text that cannot be embedded."""
        self.ask(tuple(texts))
        until = time.monotonic() + patience_s
        while lacking := [text for text in texts if self.ready(text) is None]:
            for text in lacking:
                if text in self.troubles:
                    raise EngineError(self.troubles[text])
            if time.monotonic() > until or not self._thread.is_alive():
                raise EngineError(f"the prompt '{lacking[0][:60]}' was not embedded in {patience_s:.0f} s")
            time.sleep(0.01)

    def close(self) -> None:
        """End the thread after the text that it is at; closing twice is no error."""
        self._requests.put(None)

    def _work(self) -> None:
        before: tuple[str, ...] = ()
        while (texts := self._newest()) is not None:
            for text in texts:
                if text and text not in self._made and text not in self.troubles:
                    self._make(text)
                elif text in self.troubles and text not in before:
                    self._told.put((text, self.troubles[text]))
            before = texts
            for old in [text for text in self._made if text not in texts][: len(self._made) - KEPT]:
                del self._made[old]
            for old in list(self.troubles)[: len(self.troubles) - REMEMBERED]:
                del self.troubles[old]

    def _newest(self) -> tuple[str, ...] | None:
        """Somebody who types sends every letter: what was asked meanwhile and is old by now is left out."""
        texts = self._requests.get()
        while texts is not None:
            try:
                texts = self._requests.get_nowait()
            except Empty:
                return texts
        return None

    def _make(self, text: str) -> None:
        # the outer edge of this thread: whatever goes wrong with a text is that text's trouble alone
        try:
            denied = "" if self._concepts is None else self._concepts.problem(text)
            if denied:
                raise EngineError(
                    f"'{text[:60]}' means too nearly the same as {denied} of [words]. Say it otherwise"
                )
            made = kept(self._store, self._encoders, text, self._embedded)
            if not _alike(made, self._nothing):
                raise EngineError(
                    f"'{text[:60]}' became an embedding of {made.tokens.shape}, and the student takes "
                    f"{self._nothing.tokens.shape}. Delete {self._store} and try again."
                )
            self._made[text] = made
        except Exception as error:
            self.refused += 1
            self.troubles[text] = str(error)
            self._told.put((text, str(error)))
            LOG.warning("the prompt before stays: %s", error)

    def _embedded(self, text: str) -> Prompt:
        return self._opened()(text)

    def _meanings(self, texts: Sequence[str]) -> F32:
        return self._opened().meanings(texts)

    def _opened(self) -> Embed:
        if self._embed is None:
            self._embed = self._open()
        return self._embed


def _alike(a: Prompt, b: Prompt) -> bool:
    shapes = [(p.tokens.shape, None if p.pooled is None else p.pooled.shape) for p in (a, b)]
    return shapes[0] == shapes[1]


class Mixer:
    """The two decks as one embedding. One thread. Until every text of a wish is ready, what was mixed last
    stays; `version` rises with every change."""

    def __init__(self, desk: Desk, nothing: Prompt) -> None:
        self._desk = desk
        self._mixed: tuple[object, ...] = ()
        self.prompt = self.negative = nothing
        self.version = 0

    def follow(self, wishes: Wishes) -> None:
        """Take what is asked for as far as it is ready."""
        self._desk.ask(texts_of(wishes))
        negative = self._desk.ready(wishes.negative)
        if negative is not None and negative is not self.negative:
            self.negative = negative
            self.version += 1
        wanted = (wishes.a, wishes.b, wishes.blend, wishes.way)
        mixed = self._mix(wishes) if wanted != self._mixed else None
        if mixed is not None:
            self._mixed, self.prompt = wanted, mixed
            self.version += 1

    def _mix(self, wishes: Wishes) -> Prompt | None:
        """Both decks, or the one that is heard alone; None while a text of them is not ready."""
        texts = [wishes.a] * (wishes.blend < 1.0) + [wishes.b] * (wishes.blend > 0.0)
        decks = [deck for text in texts if (deck := self._deck(text, wishes)) is not None]
        if len(decks) < len(texts):
            return None
        return travel(decks, wishes.blend, wishes.way) if len(decks) > 1 else decks[0]

    def _deck(self, text: str, wishes: Wishes) -> Prompt | None:
        found, weights = [], []
        for one, weight in mix_of(text):
            prompt = self._desk.ready(one)
            if prompt is None:
                return None
            found.append(prompt)
            weights.append(weight)
        return found[0] if len(found) == 1 else blend(found, weights, wishes.way)


def texts_of(wishes: Wishes) -> tuple[str, ...]:
    """Every text that must be embedded for a wish."""
    mixed = [text for deck in (wishes.a, wishes.b) for text, _ in mix_of(deck)]
    return tuple(dict.fromkeys([*mixed, wishes.negative]))
