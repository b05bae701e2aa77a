"""What a shard was made by: the sources of its painter, of its planes and of its structures, in short hashes.

Only what a style uses counts: a tile that is made for one painter leaves the shards of another valid.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from vivant.engines import field, slots
from vivant.engines.field import BANKS, TILES
from vivant.engines.slots import RECIPES

OPTICS: Final = "vivant.distill.teachers.optics"
SHARED: Final = {OPTICS, field.__name__, slots.__name__}
"""Modules that grow for one style without touching the others: read by definition, not by file."""
REGISTRIES: Final = frozenset({"TILES", "BANKS", "RECIPES"})


def digest_of(styles: Iterable[str]) -> dict[str, str]:
    """Short hashes by what they are of, for shards of these styles (one, or several that are blended)."""
    return dict(sorted(entry for style in styles for entry in _digest(style).items()))


@cache
def _digest(style: str) -> Mapping[str, str]:
    painter = f"vivant.distill.teachers.{style}"
    files = {*_imported(painter), *_imported("vivant.distill.motion")}
    for source in RECIPES[style].sources.values():
        made = TILES.get(source) or BANKS.get(source)
        files |= _imported(made.__module__) if made else set()
    entries = {module.removeprefix("vivant."): _file(module).read_bytes() for module in files - SHARED}
    text = "\n".join(_file(module).read_text() for module in sorted(_imported(painter) - SHARED))
    entries["distill.teachers.optics"] = _reached(OPTICS, text)
    entries["distill.paint"] = _reached("vivant.distill.paint", "paint_shard")
    entries["distill.teachers"] = _reached("vivant.distill.teachers", "paint_with guide_of")
    entries["engines.field"] = _reached(field.__name__, "PlaneField")
    entries["engines.slots"] = _reached(slots.__name__, "read block GROUPS")
    entries[f"recipe of {style}"] = _recipe(style)
    return {name: hashlib.sha256(source).hexdigest()[:16] for name, source in entries.items()}


def _recipe(style: str) -> bytes:
    recipe = RECIPES[style]
    return repr((sorted(recipe.sources.items()), recipe.carry)).encode()


def _file(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)


@cache
def _imported(module: str) -> frozenset[str]:
    """The module and all of vivant that it imports; what SHARED modules import is not followed."""
    found, open_ = set(), [module]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found.add(name)
        if name in SHARED:
            continue
        for node in ast.walk(ast.parse(_file(name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vivant."):
                open_.extend(_modules(node))
    return frozenset(found)


def _modules(node: ast.ImportFrom) -> list[str]:
    """`from package import module` names modules, `from module import name` names one."""
    assert node.module is not None
    if _file_or_none(node.module) is not None:
        return [node.module]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _file_or_none(module: str) -> Path | None:
    spec = find_spec(module)
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    return Path(spec.origin)


def _reached(module: str, text: str) -> bytes:
    """Those definitions of a module, in its order, that `text` mentions, and all that they mention."""
    defined, wanted = _definitions(module), ""
    names: set[str] = set()
    more = _words(text) & defined.keys()
    while more:
        names |= more
        wanted = "\n".join(defined[name] for name in more)
        more = (_words(wanted) & defined.keys()) - names
    return "\n".join(source for name, source in defined.items() if name in names).encode()


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


@cache
def _definitions(module: str) -> Mapping[str, str]:
    """Top-level definitions and constants by name; what only registers others is left out."""
    text = _file(module).read_text()
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.get_source_segment(text, node) or ""
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id not in REGISTRIES:
                found[target.id] = ast.get_source_segment(text, node) or ""
    return found
