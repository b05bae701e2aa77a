"""`vivant guard critic` and `vivant guard words`: what a scene's critic and word guard say, before a show."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.runtime.frames import VivantError

if TYPE_CHECKING:
    from vivant.engines.diffusion.concepts import Concepts, Denied
    from vivant.runtime.frames import U8

SceneFile = Annotated[
    str, typer.Argument(metavar="SCENE", help="A scene file, or the name of one that ships")
]


def critic(
    scene: SceneFile,
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Pictures to look at")],
) -> None:
    """What a scene's critic says of pictures, and how long it takes over each.

    Exit code 1 when it forbids one.
    """
    from vivant.guardrails.critic import Critic
    from vivant.runtime.scene import find_scene, load_scene

    table = load_scene(find_scene(scene)).guard.critic
    if table is None:
        raise VivantError(f"{scene} has no [guard.critic]; docs/critic.md says how to write one")
    judge, forbidden = Critic(table.plan()), 0
    for path in pictures:
        pixels = read_picture(path)
        began = time.perf_counter()
        found = judge.look(pixels)
        took_ms = (time.perf_counter() - began) * 1e3
        forbidden += found.forbidden
        verdict = "forbidden" if found.forbidden else "passes"
        typer.echo(
            f"{path}: {verdict}: {found.label} {found.score:.3f}, of {found.threshold:g}; {took_ms:.1f} ms"
        )
    if forbidden:
        raise typer.Exit(1)


def read_picture(path: Path) -> U8:
    """u8 (H, W, 3) sRGB. Raises VivantError."""
    import cv2
    import numpy as np

    found = cv2.imread(str(path)) if path.is_file() else None
    if found is None:
        raise VivantError(f"{path} is no picture that can be read; give PNG or JPEG files")
    return np.ascontiguousarray(found[..., ::-1])


def words(
    scene: SceneFile,
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Prompts, each in quotes")],
) -> None:
    """What a scene's word guard says of prompts; with denied concepts, how near each comes to them.

    Exit code 1 when one is refused. Concepts need the student's text encoder, so this may take long.
    """
    from vivant.runtime.scene import find_scene, load_scene

    loaded = load_scene(find_scene(scene))
    guard, denied = loaded.words.guard(), loaded.words.denied()
    if guard is None and denied is None:
        raise VivantError(f"{scene} has no [words], so every prompt is let through; see docs/words.md")
    near, refused = None if denied is None else concepts_of(loaded.student, denied), 0
    for text in texts:
        problem = "" if guard is None else guard.problem(text)
        beside = ""
        if near is not None and denied is not None and not problem:
            distance, number, part = near.nearest(text)
            beside = f"; {distance:.3f} from concept {number} by '{part}', of {denied.distance:g}"
            problem = near.problem(text)
        refused += bool(problem)
        typer.echo(f"'{text}': {f'refused: {problem}' if problem else 'let through'}{beside}")
    if refused:
        raise typer.Exit(1)


def concepts_of(student: str, denied: Denied) -> Concepts:
    """What a student's prompts are held against. Raises VivantError."""
    from vivant.engines.card import Card
    from vivant.engines.diffusion.concepts import Concepts
    from vivant.engines.diffusion.embeddings import opening, prompt_store
    from vivant.engines.student import find

    folder = find(student)
    card = Card.read(folder)
    if card.diffusion is None:
        raise VivantError(
            f"student {card.name} takes no prompts, so there is no text encoder to hold them against denied "
            "concepts. Take denied_concepts out of [words]"
        )
    return Concepts(
        denied, card.diffusion.prompt.encoders, prompt_store(), opening(folder, card.diffusion)().meanings
    )
