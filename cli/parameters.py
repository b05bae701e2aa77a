"""`vivant parameters`: everything that can change during a show, as a table or as docs/parameters.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from vivant.runtime.parameters import Parameter
    from vivant.runtime.tree import Tree

HEADINGS: Final = ("address", "kind", "range", "start", "meaning")

WIDTHS: Final = {"address": 36, "range": 14}  # columns that a narrow terminal must not squeeze
PIPED_WIDTH: Final = 200  # so that `vivant parameters | grep` finds whole lines

INTRODUCTION: Final = """\
# Parameters

Everything that can change while a show runs. The same addresses work over OSC, in `--set ADDRESS=VALUE`
and in the `[parameters]` of a scene. This page is written by `vivant parameters --markdown`; for a scene's
own starting values run `vivant parameters SCENE`."""

RULES: Final = """
## Values

- A float or an int takes any number; true and false count as 1 and 0; an int takes the nearest whole number.
- A bool takes true, false, 1 and 0.
- A choice takes a name, or its position counted from 0. A choice of numbers is made by the number itself.
- An action takes no value, or the 1 of a button; the 0 of its release does nothing.
- A word is never read as a number.
- A number that leaves the range by at most 1 % of the range is clamped to it, and counted.
- `ADDRESS/norm` takes and reports the same value as a number from 0 to 1 over its range, for controllers
  that know nothing else. Every parameter has it, except actions and what is only reported.

What is refused changes nothing and is counted by its reason: `unknown_address`, `wrong_type`,
`out_of_range`, `not_finite`, `read_only`, `wrong_arity`, `malformed`, `not_allowed`, `too_many`.

## OSC beside the parameters

| address | arguments | answer |
|---|---|---|
| `/vivant/ping` | optional int or string | `/vivant/pong` with the same |
| `/vivant/subscribe` | optional port, or host and port | `/vivant/subscribed host port seconds` |
| `/vivant/unsubscribe` | as above | |

A subscription is feedback for 60 seconds, to the sender's own port when none is given; ask again before
they end. A subscriber gets every value once, then each change at most thirty times a second, at the address
and at its `/norm`, and the status once a second. Bools are sent as 0 and 1, choices by name. At most 16
subscribers; one on another machine than the sender must be named under `allow` in the scene.
`/vivant/refused address reason` answers what was refused, at most twenty times a second.

Of several messages to one address that arrive within one refresh the newest counts; actions all count.
A datagram may hold up to 16 KiB, bundles up to 16 deep. A bundle with a time tag acts at the refresh that is
seen nearest to its time, at once when that is past; up to 60 seconds ahead and 4096 messages, beyond that
`too_far` and `too_many`. A panic never waits, and its release may not (`not_at_once`).

Other names for parameters, OSCQuery, a page of sliders and recordings: [osc.md](osc.md).
"""


def parameters(
    scene: Annotated[
        str | None, typer.Argument(help="A scene: the styles of its student and its starting values.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/parameters.md.")] = False,
    touchosc: Annotated[
        Path | None, typer.Option(help="Write a layout for TouchOSC instead, FILE.tosc")
    ] = None,
) -> None:
    """List every parameter: address, kind, range, value at the start, meaning."""
    from rich.console import Console
    from rich.table import Table

    from vivant.runtime.scene import find_scene, load_scene, parameters_of, tree_of
    from vivant.runtime.tree import Tree

    tree = Tree(parameters_of("house")) if scene is None else tree_of(load_scene(find_scene(scene)))
    if touchosc is not None:
        write_layout(tree, touchosc)
        return
    if markdown:
        typer.echo(page(tree), nl=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading == "address", min_width=WIDTHS.get(heading))
    for row in rows(tree):
        table.add_row(*row)
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=PIPED_WIDTH)).print(table)


def write_layout(tree: Tree, file: Path) -> None:
    """A layout for TouchOSC. Raises VivantError when the file cannot be written."""
    from vivant.cli.touchosc import layout
    from vivant.runtime.frames import VivantError

    try:
        file.write_bytes(layout(tree.parameters))
    except OSError as error:
        raise VivantError(f"{file} cannot be written: {error.strerror or error}") from error
    typer.echo(f"{file}: open it in TouchOSC, and enter this machine's address and port under Connections")


def rows(tree: Tree) -> list[tuple[str, ...]]:
    """One row of HEADINGS for each parameter, in the order of the tree."""
    return [
        (one.address, one.kind, one.range_text(), _start(tree, one), one.meaning)
        for one in tree.parameters.values()
    ]


def page(tree: Tree) -> str:
    """docs/parameters.md for this tree."""
    lines = [INTRODUCTION]
    group = ""
    for row in rows(tree):
        cells = [cell.replace("|", "\\|") for cell in row]
        this = row[0].split("/")[2]
        if this != group:
            lines += [f"\n## {this}\n", "| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
            group = this
        lines.append(f"| `{cells[0]}` | " + " | ".join(cells[1:]) + " |")
    return "\n".join(lines) + "\n" + RULES


def _start(tree: Tree, one: Parameter) -> str:
    if one.read_only:
        return "reported"
    if one.kind == "action":
        return ""
    value = tree.value(one.address)
    return f"{value:g}" if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)
