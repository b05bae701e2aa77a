"""`vivant guard fit`, `brand` and `report`: fitting guards, and what they did in a day."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.runtime.frames import VivantError

if TYPE_CHECKING:
    from vivant.guardrails.probe_fit import Fit

LEAST_SHARE = 0.05  # of the side: smaller things are a few values of a latent


def fit(
    approved: Annotated[
        Path, typer.Option(metavar="DIR", help="Pictures and films of what the piece may show")
    ],
    forbidden: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What it must not show, a sub-folder for each kind. A picture with transparency is pasted "
            "into approved ones at any scale and rotation",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The guard file to write")] = Path(
        "probe.npz"
    ),
    student: Annotated[str, typer.Option(help="A student's name or folder")] = "house",
    backend: Annotated[str, typer.Option(help="What the student runs on; auto takes the fastest")] = "auto",
    precision: Annotated[str, typer.Option(help="int8, half, bf16 or float: as in the show")] = "int8",
    size: Annotated[
        int | None, typer.Option(help="Side of the pictures, a multiple of 32; the student's own")
    ] = None,
    views: Annotated[
        int, typer.Option(help="How many views of approved pictures, and of forbidden ones", min=100)
    ] = 3000,
    epochs: Annotated[int, typer.Option(help="How often all views are gone through", min=1)] = 10,
    folds: Annotated[
        int,
        typer.Option(
            help="1 keeps a fifth of the pictures apart to judge by and fits once; more cross-validate in so "
            "many parts, which takes several times longer",
            min=1,
            max=10,
        ),
    ] = 1,
    false_hold_rate: Annotated[
        float, typer.Option(help="Share of approved frames that may be held", min=1e-6, max=0.1)
    ] = 1e-3,
    smallest: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SHARE|KIND=SHARE",
            help="How small cut-outs are looked for, as a share of the side (0.12); of one kind: text=0.35. "
            "Can be given again",
        ),
    ] = None,
    degenerate: Annotated[
        bool | None,
        typer.Option(
            help="Whether spoiled latents of approved pictures are a forbidden kind too; if not given, they "
            "are where the student's own guard does not hold them"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the views and of the fitting")] = 0,
) -> None:
    """Fit a probe: a small network that looks for forbidden kinds of pictures in the student's latents.

    Writes the guard file, its model card (.json) and a picture (.png) of the scores and of the views nearest
    the threshold, and says what to write into the scene. Takes about eight minutes as it is set, on a core
    of its own, and says how long is left. Needs the distill extra.
    """
    from vivant.guardrails.pictures import read_folder
    from vivant.runtime.guard_sheet import guard_sheet
    from vivant.runtime.report import write_json

    allowed, denied = read_folder(approved), {} if forbidden is None else read_folder(forbidden)
    of_all, of_kinds = shares_of(smallest or [], tuple(denied))
    plan: dict[str, Any] = {
        "views": views, "epochs": epochs, "folds": folds, "false_hold_rate": false_hold_rate, "seed": seed,
        "smallest": of_all, "smallest_of": of_kinds, "degenerate": degenerate,
    }  # fmt: skip
    found = fitted(student, backend, precision, size, allowed, denied, out, plan)
    write_json({**found.card, "sha256": found.sha256}, out.with_suffix(".json"))
    guard_sheet(found, f"{out.name}: {', '.join(found.kinds)}", out.with_suffix(".png"))
    say(found, out)


def brand(
    approved: Annotated[
        Path, typer.Option(metavar="DIR", help="Pictures and films of what the piece may show")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The guard file to write")] = Path(
        "brand.npz"
    ),
    student: Annotated[str, typer.Option(help="A student's name or folder")] = "house",
    backend: Annotated[str, typer.Option(help="What the student runs on; auto takes the fastest")] = "auto",
    precision: Annotated[str, typer.Option(help="int8, half, bf16 or float: as in the show")] = "int8",
    size: Annotated[int | None, typer.Option(help="Side of the pictures; the student's own")] = None,
    views: Annotated[int, typer.Option(help="How many pictures are painted in each style", min=8)] = 240,
    palette: Annotated[
        str, typer.Option(metavar="#RRGGBB,...", help="The colours allowed, instead of those that are found")
    ] = "",
    reach: Annotated[
        float, typer.Option(help="How far from them, in CIELAB's a*, b*", min=1, max=100)
    ] = 15.0,
) -> None:
    """Fit a brand box: the palette, lightness and saturation of approved pictures, judged from the latent.

    Writes the guard file and its card (.json), and says what to write into the scene.
    """
    from vivant.engines.kinds import load_student
    from vivant.engines.machine import cores
    from vivant.engines.registry import choose
    from vivant.guardrails.brand_fit import fit_brand
    from vivant.guardrails.pictures import read_folder
    from vivant.runtime.report import write_json

    colours = [rgb_of(word.strip()) for word in palette.split(",") if word.strip()]
    stills = [still for kind in read_folder(approved).values() for still in kind]
    side = None if size is None else (size, size)
    with (
        load_student(student, choose(backend)[0], precision, side, cores()) as loaded,  # type: ignore[arg-type]
        progress() as tell,
    ):
        box, card, sha256 = fit_brand(loaded, stills, out, views, colours, reach, tell=tell)
    write_json({**card, "limits": asdict(box.limits), "sha256": sha256}, out.with_suffix(".json"))
    limits, errors = box.limits, card["colour_errors"]
    typer.echo(
        f"  colours are told from the latent to {box.colour_map.error:.1f} in CIELAB (root mean square)"
        + "".join(f"\n    {error:.1f} in {style}" for style, error in errors.items() if style)
    )
    typer.echo(f"  lightness {limits.lightness[0]:.0f} to {limits.lightness[1]:.0f}, ", nl=False)
    typer.echo(f"chroma {limits.chroma[0]:.0f} to {limits.chroma[1]:.0f}, ", nl=False)
    least, most = min(limits.off_palette), max(limits.off_palette)
    typer.echo(f"off the palette at most {least:.0%} to {most:.0%} of the picture, by style")
    for kind, found in card["tried"].items():
        typer.echo(f"  of pictures that it was not fitted to: {found['held']} of {found['of']} {kind} held")
    typer.echo(f"  {out}")
    typer.echo(f'In the scene:\n  [guard]\n  files = {{"{out}" = "{sha256}"}}')


def shares_of(words: Sequence[str], kinds: Sequence[str]) -> tuple[float, dict[str, float]]:
    """How small cut-outs are shown: of every kind, and of single ones. Raises typer.BadParameter."""
    from vivant.guardrails.pictures import LARGEST_PASTE, SMALLEST_PASTE

    of_all, of_kinds = SMALLEST_PASTE, dict[str, float]()
    for word in words:
        kind, _, number = word.rpartition("=")
        try:
            share = float(number)
        except ValueError as error:
            raise typer.BadParameter(f"'{word}' is no share, for example 0.12 or text=0.35") from error
        if not LEAST_SHARE <= share < LARGEST_PASTE:
            raise typer.BadParameter(
                f"'{word}': a share of the side is from {LEAST_SHARE} to below {LARGEST_PASTE}"
            )
        if kind and kind not in kinds:
            raise typer.BadParameter(
                f"'{word}': there is no forbidden kind '{kind}', only {', '.join(kinds) or 'none'}"
            )
        if kind:
            of_kinds[kind] = share
        else:
            of_all = share
    return of_all, of_kinds


def rgb_of(word: str) -> tuple[int, int, int]:
    """'#1b2a41' as numbers. Raises typer.BadParameter."""
    digits = word.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError as error:
        raise typer.BadParameter(f"'{word}' is no colour, for example #1b2a41") from error
    return red, green, blue


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """Shows what is done and the time left to a person who watches; told the work and the share done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        tasks: dict[str, Any] = {}

        def tell(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what.capitalize(), total=1.0)
            shown.update(tasks[what], completed=share)

        yield tell


def fitted(
    student: str,
    backend: str,
    precision: str,
    size: int | None,
    allowed: Any,
    denied: Any,
    out: Path,
    plan: Any,
) -> Fit:
    """The fit of a student that is loaded for it."""
    from vivant.engines.kinds import load_student
    from vivant.engines.machine import cores
    from vivant.engines.registry import choose

    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise VivantError(f"fitting needs {error.name}. Run: pip install 'vivant[distill]'") from error
    from vivant.guardrails.coherence import in_guard_of
    from vivant.guardrails.probe_fit import Plan, fit_probe

    side = None if size is None else (size, size)
    with (
        load_student(student, choose(backend)[0], precision, side, cores()) as loaded,  # type: ignore[arg-type]
        progress() as tell,
    ):
        if plan["degenerate"] is None:
            plan["degenerate"] = not in_guard_of(*loaded.guard_file)
        return fit_probe(loaded, allowed, denied, out, Plan(**plan), tell)


def say(found: Fit, out: Path) -> None:
    """The rates with their intervals, and what to write into the scene."""
    rates = found.card["cross_validated"]
    for what, rate in (("approved", rates["false_hold"]), *rates["true_hold"].items()):
        low, high = rate["interval_95"]
        typer.echo(
            f"  {what}: {rate['held']} of {rate['of']} held, {rate['rate']:.2%} "
            f"(95 % interval {low:.2%} to {high:.2%}), of pictures kept apart"
        )
    for path in (out, out.with_suffix(".json"), out.with_suffix(".png")):
        typer.echo(f"  {path}")
    typer.echo(f'In the scene:\n  [guard]\n  files = {{"{out}" = "{found.sha256}"}}')


def report(
    day: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Which day; today if not given")
    ] = None,
    log: Annotated[Path | None, typer.Option(metavar="DIR", help="The audit folder of the scene")] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Where the drawing goes")] = None,
) -> None:
    """What the guards held, what people and triggers did, and what broke in a day: counted and drawn."""
    from vivant.runtime.audit import audit_folder, read_day
    from vivant.runtime.audit_chart import day_chart, reasons, totals

    try:
        at = datetime.now() if day is None else datetime.fromisoformat(day)
    except ValueError as error:
        raise typer.BadParameter(f"'{day}' is not a day, for example 2026-11-21") from error
    lines, broken = read_day(log or audit_folder(), at)
    drawn = picture or Path(f"guard-{at:%Y-%m-%d}.png")
    day_chart(lines, at, drawn, log or audit_folder())
    typer.echo(f"{at:%Y-%m-%d}: {len(lines)} lines" + (f", {broken} that cannot be read" if broken else ""))
    for row, count in totals(lines).most_common():
        typer.echo(f"  {row}: {count}")
    for reason, count in reasons(lines).most_common(8):
        typer.echo(f"    {count} x {reason}")
    typer.echo(f"  {drawn}")
