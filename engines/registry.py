"""The only door from a backend's name to its module."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final, Literal, cast

from vivant.engines.contract import Availability, Backend, EngineError, Precision

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """How to reach a backend: `packages` must be importable, `remedy` is the command that gets them.

    `reads` says which files of a student it runs: its ONNX graphs, its weights, or none of them.
    `auto` ranks it for the choice by "auto" (0 = never chosen on its own); a backend that paints by its
    own means, whatever student is asked for, names the student that it stands for as `own_student`.
    `built_before` says that its engines are built before the show: "auto" takes it only where its module's
    `ready` finds some for this machine."""

    module: str
    packages: tuple[str, ...]
    remedy: str
    precisions: tuple[Precision, ...]
    reads: Literal["graphs", "weights", "nothing"] = "graphs"
    auto: int = 0
    own_student: str = ""
    built_before: bool = False


BACKENDS: Final[Mapping[str, Door]] = MappingProxyType(
    {
        "tensorrt": Door(
            "vivant.engines.tensorrt_backend",
            ("tensorrt", "cuda.bindings"),
            "pip install 'vivant[nvidia]'",
            ("int8", "float"),
            auto=3,
            built_before=True,
        ),
        "openvino": Door(
            "vivant.engines.openvino_backend",
            ("openvino",),
            "pip install openvino",
            ("int8", "float", "bf16"),
            auto=2,
        ),
        "onnxruntime": Door(
            "vivant.engines.onnxruntime_backend",
            ("onnxruntime",),
            "pip install onnxruntime",
            ("int8", "float"),
            auto=1,
        ),
        "torch": Door(
            "vivant.engines.torch_backend",
            ("torch", "safetensors"),
            "pip install 'vivant[torch]'",
            ("float", "half", "bf16"),
            reads="weights",
        ),
        "null": Door("vivant.engines.null_backend", (), "", ("float",), reads="nothing", own_student="null"),
    }
)


def door(name: str) -> Door:
    """The entry of backend `name`. Raises EngineError for an unknown one."""
    if name not in BACKENDS:
        near = get_close_matches(name, [*BACKENDS, "auto"], 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise EngineError(f"unknown backend '{name}'{hint} Backends: auto, {', '.join(BACKENDS)}.")
    return BACKENDS[name]


def module(name: str) -> Backend:
    """Imports the module of backend `name`. Raises EngineError when its packages are not there."""
    entry = door(name)
    found = _installed(entry)
    if not found.usable:
        raise EngineError(f"backend {name} cannot be used: {found.reason}")
    return cast(Backend, importlib.import_module(entry.module))


def check_precision(name: str, precision: str) -> None:
    """Raises EngineError for a precision that a backend does not run: it would run another one instead. What
    paints by its own means has none to choose."""
    known = door(name).precisions
    if precision not in known and not door(name).own_student:
        raise EngineError(
            f"backend {name} does not run precision {precision}; it runs {', '.join(known)}. Ask for one of "
            "these, or for another backend."
        )


def usable(deep: bool = False) -> dict[str, Availability]:
    """Every backend and whether it can run here. Looks at what is installed; `deep` imports each one,
    which takes seconds, and asks it."""
    return {name: look(name, deep) for name in BACKENDS}


def look(name: str, deep: bool = False) -> Availability:
    """Whether one backend can run here; `deep` as in `usable`. Raises EngineError for an unknown one."""
    found = _installed(door(name))
    return module(name).available() if deep and found.usable else found


def choose(asked: str = "auto", deep: bool = False) -> tuple[str, str]:
    """The backend to use and why: (name, reason). Made once at start; nothing changes it afterwards.

    "auto" takes tensorrt where its engines were built, then openvino, then onnxruntime, never torch or
    null. Raises EngineError when the one that was asked for, or under "auto" every one, is not usable.
    """
    if asked != "auto":
        found = look(asked, deep)
        if not found.usable:
            raise EngineError(f"backend {asked} was asked for and cannot be used: {found.reason}")
        return _chosen(asked, found, "asked for by name")
    ranked = sorted((entry.auto, name) for name, entry in BACKENDS.items() if entry.auto)[::-1]
    missing: list[str] = []
    for _, name in ranked:
        found = _ready(name) if BACKENDS[name].built_before else look(name, deep)
        if found.usable:
            return _chosen(name, found, "; ".join(["the first usable of auto's order", *missing]))
        missing.append(f"{name}: {found.reason}")
    raise EngineError("no backend can run the student here: " + "; ".join(missing))


def _chosen(name: str, found: Availability, why: str) -> tuple[str, str]:
    reason = f"{name} {found.version}: {why}"
    log.info("backend %s", reason)
    return name, reason


def _ready(name: str) -> Availability:
    """What a backend whose engines are built before the show says of them."""
    found = look(name)
    if found.usable:
        found = cast(Availability, importlib.import_module(BACKENDS[name].module).ready())
    return found


def _installed(entry: Door) -> Availability:
    for package in entry.packages:
        if not _importable(package):
            return Availability(False, "", f"{package} is not installed. Run: {entry.remedy}")
    try:
        return Availability(True, version(entry.packages[0] if entry.packages else "vivant"))
    except PackageNotFoundError:  # importable without metadata: a source tree on the path
        return Availability(True, "unknown")


def _importable(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
