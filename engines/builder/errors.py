"""What goes wrong while an engine is built, and can be put right."""

from __future__ import annotations

from collections.abc import Sequence

from vivant.engines.contract import EngineError


class BuildError(EngineError):
    """An engine cannot be built as asked, or does not paint as its float student does."""


def all_at_once(what: str, problems: Sequence[str]) -> None:
    """Raises BuildError with every problem, one a line, if there is any."""
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) > 1)}"
        raise BuildError("\n".join([f"{what}: {count}", *(f"  {problem}" for problem in problems)]))
