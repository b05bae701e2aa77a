"""`vivant isf`: do shaders from the world draw here, what do they look like, what do they cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from vivant.runtime.frames import U8
    from vivant.runtime.isf.header import Header
    from vivant.runtime.isf.looking import Bench

app = typer.Typer(help="ISF shaders: check them, list them, look at them.", no_args_is_help=True)

CHECK_PX = (64, 64)


def found(text: str) -> Path:
    """A file or folder, or a shader that ships, by its name."""
    from vivant.runtime.isf.section import find_shader

    try:
        return Path(text) if Path(text).is_dir() else find_shader(text, Path())
    except ValueError as error:
        raise typer.BadParameter(f"'{text}': {error}") from error


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="ISF files (*.fs), folders of them, or names of those that ship", parser=found
    ),
]


@app.command("check")
def check(files: Files) -> None:
    """Compile ISF files on this machine's graphics card, without a window, and say what is wrong with
    each."""
    from rich.progress import Progress

    from vivant.runtime.frames import VivantError
    from vivant.runtime.isf.header import IsfError
    from vivant.runtime.isf.looking import files_of, readable

    wanted = files_of(files)
    bench, troubles, lines = _bench(CHECK_PX), [], []
    try:
        with Progress(transient=True) as progress:
            task = progress.add_task("compiling", total=len(wanted))
            for path, found in readable(wanted):
                progress.update(task, advance=1, description=path.stem)
                try:
                    if isinstance(found, IsfError):
                        raise found
                    bench.check(found)
                except IsfError as error:
                    troubles.append(str(error))
                    continue
                lines.append(f"{path}: fine, {_words(found.header)}")
                lines += [f"  note: {guess}" for guess in found.header.guesses]
        typer.echo("\n".join(lines))
        if troubles:
            count = f"{len(troubles)} of {len(wanted)} files cannot be drawn on {bench.renderer}"
            raise VivantError("\n".join([*troubles, count]))
        typer.echo(f"{len(wanted)} files, all of them can be drawn on {bench.renderer}")
    finally:
        bench.close()


@app.command("list")
def list_files(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder of ISF files; those that ship if not given", exists=True)
    ] = None,
) -> None:
    """Show the ISF files in a folder: what each is, and what can be set."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vivant.runtime.isf.looking import files_of, readable
    from vivant.runtime.isf.section import SHIPPED

    table = Table("file", "kind", "what it does", "inputs", box=None, pad_edge=False)
    for path, found in readable(files_of([folder or SHIPPED])):
        if isinstance(found, Exception):
            table.add_row(path.stem, "broken", escape(str(found).splitlines()[-1].strip()), "")
            continue
        own = ("inputImage", "startImage", "endImage", "progress")
        inputs = [one.name for one in found.header.inputs if one.name not in own]
        table.add_row(path.stem, found.header.kind, escape(found.header.description), ", ".join(inputs))
    Console().print(table)


@app.command("look")
def look(
    files: Files,
    sheet: Annotated[Path, typer.Option(metavar="FILE.png", help="Where the stills go")],
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A picture to draw over, instead of the performer")
    ] = None,
    size: Annotated[int, typer.Option(help="Pixels a side", min=16, max=2048)] = 640,
) -> None:
    """Draw some seconds of ISF files without a window, and write a sheet of stills; says what a frame
    took."""
    from rich.progress import Progress

    from vivant.runtime.isf.header import IsfError
    from vivant.runtime.isf.looking import files_of, readable
    from vivant.runtime.isf.looking import sheet as write_sheet

    wanted = files_of(files)
    bench, looked = _bench((size, size), picture), []
    try:
        with Progress(transient=True) as progress:
            task = progress.add_task("drawing", total=len(wanted))
            for path, found in readable(wanted):
                progress.update(task, description=path.stem)
                if isinstance(found, IsfError):
                    raise found
                looked.append(bench.look(found))
                progress.advance(task)
    finally:
        bench.close()
    for one in looked:
        name = one.shader.path.stem
        typer.echo(f"{name}: {one.frame_ms:.1f} ms a frame at {size}x{size}, {bench.renderer}")
    write_sheet(looked, sheet)
    typer.echo(f"  {sheet}")


def _bench(size_px: tuple[int, int], picture: Path | None = None) -> Bench:
    from vivant.runtime.isf.looking import Bench

    return Bench(size_px, _shown(picture))


def _shown(picture: Path | None) -> Callable[[float], U8]:
    """What shaders are drawn over, by seconds."""
    if picture is not None:
        from vivant.runtime.isf.card import read_picture

        pixels = read_picture(picture)[..., :3]
        return lambda at_s: pixels
    from vivant.runtime.senses.performer import SEED, SIZE_PX, Performer

    performer = Performer(SIZE_PX, SEED, 30.0)
    side = (SIZE_PX[0] - SIZE_PX[1]) // 2
    return lambda at_s: performer.frame(round(30.0 * at_s))[:, side:-side]


def _words(header: Header) -> str:
    inputs = f"{len(header.inputs)} input{'s' * (len(header.inputs) != 1)}"
    passes = f"{len(header.passes)} pass{'es' * (len(header.passes) != 1)}"
    return f"a {header.kind} with {inputs} and {passes}, ISF {header.version}"
