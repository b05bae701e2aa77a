"""What `vivant engines show`, `verify` and `bench` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from vivant.engines.builder.store import Entry
    from vivant.engines.card import Card
    from vivant.engines.contract import Part

LONGEST = 400  # layers that are listed one by one


def print_student(target: str) -> None:
    """Inputs, outputs and the precision of every layer of each graph; then each kept engine."""
    from vivant.engines.builder.store import entries
    from vivant.engines.card import Card
    from vivant.engines.student import find

    folder = find(target)
    card = Card.read(folder)
    typer.echo(f"{card.name} {card.version}  {folder}\n{card.summary}")
    hashes: dict[str, Part] = {}
    for part, kinds in card.graphs.items():
        _print_graph(folder, card, part)
        hashes |= {file.whole: part for file in kinds.values()}
    mine = [e for e in entries() if e.kept is not None and e.kept.manifest.model_sha256 in hashes]
    for entry in mine:
        _print_manifest(entry)
    if not mine:
        typer.echo(f"\nno engine of it is kept. Run: vivant engines build {target}")


def _print_graph(folder: Path, card: Card, part: Part) -> None:
    from vivant.engines.builder.graphs import layers_of
    from vivant.engines.specs import tensor_specs

    side = card.default_size
    inputs, outputs = tensor_specs(card, part, (side, side))
    typer.echo(f"\n{part} at {side}x{side}")
    for word, specs in (("takes", inputs), ("gives", outputs)):
        typer.echo(f"  {word}  " + ", ".join(f"{s.name} {s.dtype} {list(s.shape)}" for s in specs))
    kinds = {kind: layers_of(folder / file.file) for kind, file in card.graphs[part].items()}
    names = list(dict.fromkeys(name for layers in kinds.values() for name in layers))
    for kind, layers in kinds.items():
        counts = {one: list(layers.values()).count(one) for one in sorted(set(layers.values()))}
        typer.echo(f"  {kind}: " + ", ".join(f"{count} layers {one}" for one, count in counts.items()))
    for name in names[:LONGEST]:
        typer.echo(
            f"    {name:48} " + "  ".join(f"{k} {layers.get(name, '-')}" for k, layers in kinds.items())
        )


def _print_manifest(entry: Entry) -> None:
    assert entry.kept is not None
    made, good = entry.kept.manifest, entry.kept.verified
    typer.echo(f"\n{entry.folder}  {entry.bytes / 1e6:.1f} MB, {entry.state}")
    for key, value in made.model_dump().items():
        typer.echo(f"  {key}: {value}")
    if entry.state == "ok":
        typer.echo(f"  memory: {_memory(entry)}")
    if good is None:
        typer.echo("  verified: no, it was compiled at a show's first start")
        return
    typer.echo(
        f"  verified: {good.psnr_db} dB, cosine {good.cosine}, {good.samples} ways to paint; "
        f"furthest inside: {good.worst_layer or 'not looked for'}"
    )


def _memory(entry: Entry) -> str:
    from vivant.engines.builder.memory import memory_of
    from vivant.engines.builder.store import sizes_of
    from vivant.engines.machine import cores

    assert entry.kept is not None
    made = entry.kept.manifest
    where, taken = memory_of(student_of(made.model_sha256), made, sizes_of(made)[-1], made.threads or cores())
    return f"{taken / 1e6:.0f} MB of the {where}'s while it is loaded"


def print_needs(scene_name: str) -> None:
    """Which engines a scene wants, and which of them are there."""
    from vivant.cli.build import scene_sizes
    from vivant.engines import registry
    from vivant.engines.builder.store import entries, sizes_of
    from vivant.engines.card import Card
    from vivant.engines.student import find
    from vivant.runtime.scene import find_scene, load_scene

    scene = load_scene(find_scene(scene_name))
    card = Card.read(find(scene.student))
    backend = registry.choose(scene.backend)[0]
    typer.echo(f"{scene.title}: student {scene.student} on {backend} in {scene.precision}")
    known = {file.whole for kinds in card.graphs.values() for file in kinds.values()}
    there = {
        (entry.kept.manifest.part, size): entry.kept.verified
        for entry in entries()
        if entry.kept is not None
        and entry.state == "ok"
        and entry.kept.manifest.model_sha256 in known
        and (entry.kept.manifest.backend, entry.kept.manifest.precision) == (backend, scene.precision)
        for size in sizes_of(entry.kept.manifest)
    }
    missing = 0
    for size in scene_sizes(scene):
        states = []
        for part in card.parts:
            found = (part, size) in there
            missing += not found
            verified = found and there[part, size] is not None
            states.append(f"{part} {'verified' if verified else 'not verified' if found else 'not built'}")
        typer.echo(f"  {size[0]}x{size[1]}: {', '.join(states)}")
    if missing:
        typer.echo(
            f"Run: vivant engines build {scene_name} --backend {backend} --precision {scene.precision}"
        )


def verify_kept(chosen: Sequence[Entry]) -> bool:
    """Whether every student of these engines is near enough to float, loaded from the store."""
    from rich.console import Console

    from vivant.cli.build import performer_material
    from vivant.cli.building import print_rows
    from vivant.engines.builder.compare import THRESHOLDS, failing
    from vivant.engines.builder.verify import held_against_float

    good = True
    material = performer_material()
    for tried in _students(chosen):
        width, height = tried.size_px
        what = f"{tried.folder.name} on {tried.backend} in {tried.precision} at {width}x{height}"
        with Console(stderr=True).status(f"verifying {what}"):
            rows = held_against_float(tried, None, material.held_out, lambda share: None)
        typer.echo(what)
        print_rows(rows, THRESHOLDS[tried.precision])
        good = good and not failing(rows, THRESHOLDS[tried.precision])
    return good


def bench_kept(chosen: Sequence[Entry], seconds: float) -> None:
    """p50, p95 and p99 of every stage."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from vivant.engines.bench import Contender, measure
    from vivant.engines.field import PlaneField
    from vivant.engines.kinds import load_student
    from vivant.guardrails.guard import Guard

    table = Table(box=SIMPLE, title=f"milliseconds, {seconds:g} s each")
    for heading in ("on", "stage", "p50", "p95", "p99"):
        table.add_column(heading, justify="left" if heading in ("on", "stage") else "right", no_wrap=True)
    for tried in _students(chosen):
        with load_student(
            tried.folder, tried.backend, tried.precision, tried.size_px, tried.threads
        ) as student:
            planes = PlaneField(student.size_px, 0) if student.recipes else None
            racer = Contender(student, tried.threads, Guard.load(*student.guard_file).judge, planes)
            for _ in measure([racer], seconds):
                pass
        name = f"{tried.backend} {tried.precision} {tried.size_px[0]}x{tried.size_px[1]}"
        for row in racer.rows():
            figures = (f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
            table.add_row(name, row["stage"], *figures)
            name = ""
    Console().print(table)


def _students(chosen: Iterable[Entry]) -> Iterator[Any]:
    """One Tried for each student, backend, precision, size and number of threads of these engines."""
    from vivant.engines.builder.store import sizes_of
    from vivant.engines.builder.verify import Tried
    from vivant.engines.machine import cores

    seen = set()
    for entry in chosen:
        assert entry.kept is not None
        made = entry.kept.manifest
        for size in sizes_of(made):
            key = made.student, made.backend, made.precision, size, made.threads or cores()
            if key not in seen:
                seen.add(key)
                yield Tried(student_of(made.model_sha256), made.backend, made.precision, size, key[-1])


def student_of(graph_hash: str) -> Path:
    """The folder of the student that a graph is of. Raises VivantError when it is not here."""
    from vivant.engines.card import Card
    from vivant.engines.student import built, shipped
    from vivant.runtime.frames import VivantError

    for folder in (*shipped().values(), *built().values()):
        card = Card.read(folder)
        if any(file.whole == graph_hash for kinds in card.graphs.values() for file in kinds.values()):
            return folder
    raise VivantError(f"no student here has the graph {graph_hash[:12]}...")
