"""`vivant distill`: from painters to a student. Needs the distill extra, most of it not in the show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from vivant.runtime.frames import VivantError

app = typer.Typer(no_args_is_help=True)

EXTRA: Final = {"scipy": "scipy", "skimage": "scikit-image", "sklearn": "scikit-learn"}
Clip = Annotated[Path | None, typer.Option(help="A film of people; its last third is held out.", exists=True)]


@app.callback()
def distill() -> None:
    """From painters to a student: look at them, paint a pool, train on it."""


def require(*modules: str) -> None:
    """Raises VivantError, with what to install, when a library of the distill extra is missing."""
    if missing := [EXTRA.get(name, name) for name in modules if find_spec(name) is None]:
        raise VivantError(
            f"vivant distill needs {', '.join(missing)}, which this installation lacks. "
            "Run: pip install 'vivant[distill]' (in a checkout: pip install -e '.[distill]')"
        )


@contextmanager
def bar(total: int) -> Iterator[Callable[..., None]]:
    """A progress bar with the time left; what it yields is told a word, how many are done, and of how many
    where that is not `total`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=total)
        yield lambda word, done, of=total: progress.update(task, description=word, completed=done, total=of)


@app.command()
def gallery(
    styles: Annotated[
        str, typer.Option(help="oil,ink,... or base, adapters, or both by a comma.")
    ] = "base,adapters",
    size: Annotated[int, typer.Option(min=64, help="Side of one picture in pixels, a multiple of 32.")] = 384,
    seeds: Annotated[int, typer.Option(min=1, help="Rows: each seed moves the canvas.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder of the sheets.")] = Path("out/gallery"),
    clip: Clip = None,
) -> None:
    """Paint the held-out structures by each painter, a sheet for each."""
    require("scipy", "skimage", "sklearn")
    import cv2

    from vivant.distill.gallery import hang
    from vivant.distill.paint import BLENDS, pools_of
    from vivant.distill.structures import held_out

    if size % 32:
        raise VivantError(f"--size {size}: painters want a multiple of 32. Try {size // 32 * 32}")
    names = [name for name in pools_of(styles) if name != BLENDS]
    cv2.setNumThreads(1)
    done, pictures = 0, len(held_out(32, clip)) * seeds * len(names)
    with bar(pictures) as show:

        def count(style: str) -> None:
            nonlocal done
            done += 1
            show(style, done)

        sheets = list(hang(names, size, seeds, out, clip, count))
    typer.echo(f"{len(sheets)} sheets in {out}")


@app.command()
def paint(
    styles: Annotated[
        str, typer.Option(help="oil,ink,... or base, adapters, blends, or several by commas.")
    ] = "base,blends",
    shards: Annotated[int, typer.Option(min=1, help="Of each style; a shard is sixteen items.")] = 8,
    out: Annotated[Path, typer.Option(help="Folder of the pool.")] = Path("out/pool"),
    clip: Clip = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 2,
    structures: Annotated[
        Path | None, typer.Option(help="Take pictures and clip from this archive.", exists=True)
    ] = None,
    export_structures: Annotated[
        Path | None, typer.Option(help="Write that archive, for a machine without them, and paint nothing.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Remove shards that were painted by other sources.")
    ] = False,
) -> None:
    """Paint the pool that a student is trained on. The same command goes on where an earlier one stopped."""
    require("scipy", *(() if structures else ("skimage", "sklearn")))
    from vivant.distill.paint import paint_pool, pools_of
    from vivant.distill.sources import gather

    if export_structures:
        gather(clip).save(export_structures)
        typer.echo(f"{export_structures}: {export_structures.stat().st_size / 1e6:.1f} MB")
        return
    names = pools_of(styles)
    total = shards * len(names)
    try:
        with bar(total) as show:
            made = paint_pool(
                out,
                names,
                shards,
                workers,
                clip,
                structures,
                anew,
                lambda name, done, of: show(name, done),
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{made} shards painted, {total - made} were there; {out}")


@app.command()
def student(
    plan: Annotated[Path, typer.Argument(help="A training plan, as distill/house.toml is one.")],
    pool: Annotated[Path, typer.Option(help="Folder of the pool.")] = Path("out/pool"),
    out: Annotated[Path, typer.Option(help="Folder of checkpoint, samples and logs.")] = Path("out/train"),
    minutes: Annotated[
        float | None, typer.Option(help="Of training, over all runs, instead of the plan's.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="End after so many, if that is sooner.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train together, one core each.")] = 1,
) -> None:
    """Train a student on the pool. Goes on from the checkpoint in --out; samples.png shows how it paints.

    TensorBoard shows the losses: tensorboard --logdir out/train
    """
    require("torch", "scipy")
    from vivant.distill.plan import read_plan
    from vivant.distill.together import run_together
    from vivant.distill.train import work

    run_together(workers, work, (read_plan(plan, minutes=minutes, steps=steps), pool, out, 1))


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Option(help="What to export.", exists=True)] = Path(
        "out/train/checkpoint.pt"
    ),
    out: Annotated[Path, typer.Option(help="The student's folder.")] = Path("out/students/house"),
    clip: Clip = None,
    version: Annotated[str, typer.Option(help="For the card.")] = "2.0",
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Make a student folder of a checkpoint: graphs in float and INT8, weights, guard and card."""
    require("torch", "onnx", "skimage", "sklearn", "scipy")
    from vivant.distill.export import export as make

    make(checkpoint, out, clip, version, threads)
    typer.echo(
        f"{out} holds student house {version}. Look at it with: vivant distill evaluate --student {out}"
    )


@app.command()
def evaluate(
    student: Annotated[str, typer.Option(help="A student's name or folder.")] = "house",
    backend: Annotated[str, typer.Option(help="openvino or onnxruntime.")] = "openvino",
    size: Annotated[int, typer.Option(min=64, help="Side of a picture in pixels, a multiple of 32.")] = 384,
    styles: Annotated[
        str, typer.Option(help="Some of its styles and adapters, by commas; all by default.")
    ] = "",
    clip: Clip = None,
    out: Annotated[Path, typer.Option(help="Folder of sheets and scores.json.")] = Path("out/evaluate"),
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Compare a student with its teachers on held-out structures: a table, and a sheet for each style."""
    require("torch", "scipy", "skimage", "sklearn")
    from vivant.distill.evaluate import run, table
    from vivant.engines.card import Card
    from vivant.engines.student import find

    chosen = [name.strip() for name in styles.split(",") if name.strip()]
    with bar(len(chosen) or len(Card.read(find(student)).styles)) as show:
        found = run(find(student), backend, size, chosen, clip, out, threads, show)
    typer.echo(table(found))
    typer.echo(f"sheets in {out}")


@app.command()
def exhibit(
    evaluated: Annotated[Path, typer.Option(help="Where `vivant distill evaluate` wrote its sheets.")] = Path(
        "out/evaluate"
    ),
    size: Annotated[int, typer.Option(help="Side of the evaluated pictures in pixels.")] = 384,
    clip: Clip = None,
    out: Annotated[Path, typer.Option(help="Folder of the gallery.")] = Path("docs/gallery"),
    only_sheets: Annotated[bool, typer.Option("--only-sheets", help="Leave the wall as it is.")] = False,
) -> None:
    """Make the gallery: a sheet for each style, and the wall, twelve stills from the whole show."""
    require("scipy", "skimage", "sklearn")
    import cv2
    import numpy as np

    from vivant.distill.exhibit import WALL, style_sheet, wall, write_jpeg
    from vivant.distill.structures import held_out

    names = list(held_out(32, clip))
    for path in sorted(evaluated.glob("*.png")):
        pixels = np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1]
        rows = {
            name: [pixels[i * size : (i + 1) * size, k * size : (k + 1) * size] for k in range(4)]
            for i, name in enumerate(names)
        }
        caption = f"{path.stem}: structure, teacher, student in float, student in INT8"
        write_jpeg(out / f"{path.stem}.jpg", style_sheet(rows, caption))
    if not only_sheets:
        with bar(len(WALL)) as show:
            write_jpeg(out / "wall.jpg", wall(WALL, held_out(720, clip), clip, show))
    typer.echo(f"the gallery is in {out}")


@app.command()
def sensitivity(
    student: Annotated[str, typer.Option(help="A student's name or folder.")] = "house",
    clip: Clip = None,
) -> None:
    """Put each layer alone in INT8 and say what it costs, in dB against float, the worst first."""
    require("onnx", "skimage", "sklearn", "scipy")
    from vivant.distill.graphs import calibration
    from vivant.distill.sensitivity import CALIBRATED, markdown, sensitivities
    from vivant.distill.sources import open_sources
    from vivant.engines.adapter import read_adapter, wearable
    from vivant.engines.card import Card
    from vivant.engines.contract import PARTS
    from vivant.engines.student import find

    folder = find(student)
    card = Card.read(folder)
    worn = [read_adapter(path, card) for path in wearable(card).values()]
    seen = list(calibration(folder, open_sources(clip), card.styles, worn, seed=5, count=CALIBRATED))
    found = []
    for part in PARTS:
        with bar(1) as show:
            found += sensitivities(folder, part, seen, show)
    typer.echo(markdown(found))


def _further(show: Callable[..., None], begun: int, word: str, done: int) -> None:
    show(word, begun + done + 1)


@app.command()
def motion(
    student: Annotated[str, typer.Option(help="A student's name or folder.")] = "house",
    backend: Annotated[str, typer.Option(help="openvino or onnxruntime.")] = "openvino",
    size: Annotated[int, typer.Option(min=64, help="Side of a picture in pixels, a multiple of 32.")] = 256,
    frames: Annotated[int, typer.Option(min=2, help="Of each shot: of the film and of the performer.")] = 24,
    styles: Annotated[
        str, typer.Option(help="Some of its styles and adapters, by commas; its own styles by default.")
    ] = "",
    clip: Clip = None,
    out: Annotated[Path, typer.Option(help="Folder of films and sheets.")] = Path("out/motion"),
    sheets: Annotated[Path | None, typer.Option(help="Folder of the sheets, if it is another.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Compare how student and teacher move: a table, and for each shot a film and a sheet."""
    require("torch", "scipy", "skimage", "sklearn")
    from vivant.distill.evaluate import house, wishes
    from vivant.distill.exhibit import write_jpeg
    from vivant.distill.moving import clip_shot, measure, performer_shot, table
    from vivant.distill.reel import APART, film, sheet, write_film

    shots = [clip_shot(clip, frames)] if clip else []
    shots.append(performer_shot(size, frames))
    found = []
    with house(student, backend, "int8", size, threads) as loaded:
        names = [name.strip() for name in styles.split(",") if name.strip()] or loaded.card.styles
        chosen = wishes(loaded, names)
        version = f"student {loaded.card.name} {loaded.card.version}"
        with bar(len(chosen) * sum(len(shot.frames) for shot in shots)) as show:
            done = 0
            for shot in shots:
                rows = {}
                for wish in chosen:
                    figures, rows[wish.name] = measure(loaded, shot, wish, partial(_further, show, done))
                    found.append(figures)
                    done += len(shot.frames)
                write_film(out / f"{shot.name}.mp4", film(rows), shot.refresh_hz)
                caption = f"{shot.name}, from left to right {APART} frames apart; {version} in INT8"
                write_jpeg((sheets or out) / f"motion-{shot.name}.jpg", sheet(rows, caption))
    typer.echo(table(found))
    if restless := [f"{m.style} ({m.shot})" for m in found if not m.steady]:
        typer.echo(f"not as steady as they should be: {', '.join(restless)}")
    typer.echo(f"films in {out}, sheets in {sheets or out}")


@app.command()
def adapter(
    name: Annotated[str, typer.Argument(help="Its name, as a style's: lower case.")],
    painter: Annotated[str | None, typer.Option(help="Learn this painter (paint its pool before).")] = None,
    palette: Annotated[
        str | None,
        typer.Option(help='Learn four colours, dark, cool, warm, light: "#101028,#1f7a8c,#e4572e,#f7efe0".'),
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Learn from a folder of 5 to 50 pictures.")] = None,
    host: Annotated[
        str | None, typer.Option(help="The base style to start from (painter and pictures).")
    ] = None,
    student: Annotated[str, typer.Option(help="The student it is for, a name or folder.")] = "house",
    pool: Annotated[Path, typer.Option(help="Folder of the pool.")] = Path("out/pool"),
    out: Annotated[Path, typer.Option(help="Folder of adapters.")] = Path("out/adapters"),
    minutes: Annotated[float, typer.Option(min=0.01, help="Of training.")] = 8.0,
    rank: Annotated[int, typer.Option(min=1)] = 8,
    summary: Annotated[str, typer.Option(help="One line on what it looks like.")] = "",
    license: Annotated[str, typer.Option(help="Of the adapter, for those you give it to.")] = "Apache-2.0",
) -> None:
    """Train a LoRA adapter upon a student: from a painter, a palette, or your own pictures."""
    require("torch", "scipy")
    from vivant.distill.adapter import Wanted, make_adapter

    wanted = Wanted(name, painter, palette, pictures, host, rank, summary, license)
    path = make_adapter(wanted, student, pool, out, minutes)
    typer.echo(f'{path} is ready. Put it beside a scene and name it there: adapters = ["{path.name}"]')
