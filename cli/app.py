"""`vivant`: the one command line. It loads what it is asked for, and of a show that is watched over nothing.

The process that watches over a show stays small so, and each process of the show, which imports this module
as Python starts it, is there sooner.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vivant.cli.commands import app

__all__ = ["app", "main"]
KEEP: Final = "--keep-alive"
LET_GO: Final = "--no-keep-alive"


def watched(arguments: Sequence[str]) -> bool:
    """Whether `vivant ARGUMENTS` is a show to be started again when it dies: with a window by itself, without
    one where it is asked for. It is decided here because the process that watches loads nothing else."""
    if not arguments or arguments[0] != "run" or "--help" in arguments:
        return False
    said = [one for one in arguments if one in (KEEP, LET_GO)]
    return said[-1] == KEEP if said else "--headless" not in arguments


def main() -> None:
    """Entry point. A problem that a person can put right is one message and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    arguments = sys.argv[1:]
    try:
        sys.exit(stand(arguments) if watched(arguments) else run())
    except KeyboardInterrupt:  # while it was loaded
        sys.exit(130)


def stand(arguments: Sequence[str]) -> int:
    """Watch over a show; or run it, where somebody watches already."""
    from vivant.runtime.tether import LINE

    if LINE in os.environ:
        return run()
    from vivant.runtime import standing

    return standing.stand(arguments)


def run() -> int:
    """Run the command that the program was started with."""
    from vivant.cli.commands import app
    from vivant.runtime.frames import VivantError

    try:
        app(prog_name="vivant")
    except VivantError as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def __getattr__(name: str) -> Any:
    """`app`, loaded when somebody asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__} has no {name}")
    from vivant.cli.commands import app

    return app


if __name__ == "__main__":
    main()
