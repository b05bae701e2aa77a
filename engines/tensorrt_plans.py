"""Which engine TensorRT is to run: what it must have been built from, where it lies, how to have it built."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from vivant.engines import tensorrt_graph
from vivant.engines.buildable import manifest_of
from vivant.engines.card import CardFile
from vivant.engines.contract import EngineError, GraphSource
from vivant.engines.cuda import Gpu
from vivant.engines.manifest import MANIFEST, REBUILD, Manifest, cache_folder, recall
from vivant.engines.specs import tensor_specs

log = logging.getLogger(__name__)

AMPERE_PLUS: Final = "any GPU of SM 8.0 or newer"

Size = tuple[int, int]  # width, height


def graph_file(source: GraphSource) -> CardFile:
    """The graph that TensorRT builds from: symmetric Q/DQ for int8. Raises EngineError without one."""
    if source.precision == "float":
        plain: CardFile = source.card.graph(source.part, "float")
        return plain
    file: CardFile | None = source.card.graphs.get(source.part, {}).get("int8_symmetric")
    if source.precision == "int8" and file is not None:
        return file
    int8 = source.precision == "int8"
    missing = f"int8_symmetric graph for {source.part}" if int8 else f"precision {source.precision}"
    raise EngineError(
        f"student {source.card.name} has no {missing} that TensorRT could run. Ask for precision float, or "
        "export the student anew."
    )


def plan_manifest(source: GraphSource, sizes_px: Sequence[Size], device: str, version: str) -> Manifest:
    """What an engine with one profile for each size, in this order, must have been made from."""
    shapes: dict[str, tuple[int, ...]] = {}
    for width, height in sizes_px:
        for side in tensor_specs(source.card, source.part, (width, height)):
            shapes |= {f"{spec.name}@{width}x{height}": spec.shape for spec in side}
    return manifest_of(source, graph_file(source), shapes, "tensorrt", version, device, rewrite=rewriting())


@cache
def rewriting() -> str:
    """What is done to a graph before TensorRT reads it, by the hash of the code that does it: engines that
    were built of other graphs are found out."""
    code = Path(str(tensorrt_graph.__file__)).read_bytes()
    return f"tensorrt_graph {hashlib.sha256(code).hexdigest()[:12]}"


def find_plan(source: GraphSource, size_px: Size, here: Gpu, version: str) -> tuple[bytes, int]:
    """The engine that holds a profile for `size_px` and its index. Raises EngineError with what differs."""
    devices = [str(here)] + [AMPERE_PLUS] * (here.capability >= (8, 0))
    nearest: list[str] = []
    for folder, kept, sizes in _kept(source):
        if size_px not in sizes:
            continue
        differences = [plan_manifest(source, sizes, device, version).differences(kept) for device in devices]
        if [] in differences:
            return _plan(source, size_px, folder, kept), sizes.index(size_px)
        found = min(differences, key=len)
        nearest = found if not nearest else min(nearest, found, key=len)
    what = f"{source.card.name}.{source.part} in {source.precision} at {size_px[0]}x{size_px[1]}"
    why = f"was built for something else ({'; '.join(nearest)})" if nearest else "is not built"
    raise EngineError(f"the engine of {what} {why}. Run: {build_command(source, [size_px])}")


def any_built(here: Gpu, version: str) -> bool:
    """Whether anything was built that this GPU and this version can run; it may be broken."""
    devices = {str(here)} | ({AMPERE_PLUS} if here.capability >= (8, 0) else set())
    kept = [manifest for _, manifest, _ in _kept_as("*")]
    return any(one.device in devices and one.backend_version == version for one in kept)


def build_command(source: GraphSource, sizes_px: Sequence[Size]) -> str:
    """What to type to have the engines of a student built."""
    from vivant.engines.student import shipped

    name = source.card.name
    student = name if shipped().get(name) == source.folder else source.folder
    sizes = " ".join(f"--size {width}x{height}" for width, height in sizes_px)
    return f"vivant engines build {student} --backend tensorrt --precision {source.precision} {sizes}"


def _kept(source: GraphSource) -> list[tuple[Path, Manifest, list[Size]]]:
    """What was kept of this part by this backend, and for which sizes. It may be broken."""
    return _kept_as(f"{source.card.name}-{source.part}-{source.precision}-*")


def _kept_as(folders: str) -> list[tuple[Path, Manifest, list[Size]]]:
    found = []
    for path in sorted(cache_folder().glob(f"{folders}/{MANIFEST}")):
        try:
            kept = Manifest.model_validate_json(json.dumps(json.loads(path.read_bytes())["manifest"]))
            if kept.backend == "tensorrt":
                found.append((path.parent, kept, _sizes(kept)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is no manifest and is passed over: %s", path, error)
    return found


def _sizes(kept: Manifest) -> list[Size]:
    """The sizes of an engine's profiles, in their order."""
    sizes = dict.fromkeys(name.rpartition("@")[2] for name in kept.shapes)
    pairs = (size.partition("x")[::2] for size in sizes)
    return [(int(width), int(height)) for width, height in pairs]


def _plan(source: GraphSource, size_px: Size, folder: Path, kept: Manifest) -> bytes:
    try:
        plan = recall(folder, kept)
    except EngineError as error:
        text = str(error).removesuffix(REBUILD)
        raise EngineError(f"{text}Delete that folder. Run: {build_command(source, [size_px])}") from error
    if plan is None:
        raise EngineError(f"{folder} is gone. Run: {build_command(source, [size_px])}")
    return plan
