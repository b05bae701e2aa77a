"""Everything that would stop a build, found before any work and told at once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from vivant.engines import registry
from vivant.engines.builder.errors import all_at_once
from vivant.engines.builder.install import refuse_taken, students_folder
from vivant.engines.builder.order import Extras, Order
from vivant.engines.builder.work import buildable
from vivant.engines.card import CARD, Card, data_file, read_graph
from vivant.engines.contract import EngineError, GraphSource
from vivant.engines.manifest import cache_folder
from vivant.engines.specs import tensor_specs
from vivant.engines.student import shipped

NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
WORDS: Final[Mapping[str, str]] = {"float": "fp32", "half": "fp16"}  # what people call precisions
TOOLS: Final = ("onnx", "polygraphy", "onnx_graphsurgeon")
MODEL_TOOLS: Final = ("torch", "diffusers", "transformers")
STEP: Final = 8  # of a model's picture; how deep its network goes may ask for more
LEAST_DISK: Final = 300_000_000  # bytes beside what the model needs
LEAST_MEMORY: Final = 700_000_000
COPIES_ON_DISK: Final = 4  # of a student's graphs: steps that are kept, and the engine
MODEL_COPIES: Final = 6
COPIES_IN_MEMORY: Final = 4  # of the largest graph while it is quantized and compiled


def preflight(order: Order, before: Sequence[str] = ()) -> None:
    """Raises BuildError with all problems of an order, those among them that were found `before`."""
    found = list(before)
    for look in (
        _tools,
        _backend,
        _device,
        _sizes,
        _source,
        _of_a_model,
        _image_prompt,
        _slots,
        _name,
        _room_on_disk,
        _memory,
    ):
        found += look(order)
    all_at_once(f"{order.source.name} for {order.backend} in {order.precision}", list(dict.fromkeys(found)))


def _tools(order: Order) -> Iterator[str]:
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        yield f"{', '.join(missing)} not installed. Run: pip install 'vivant[build]'"
    missing = [name for name in MODEL_TOOLS if order.is_model and find_spec(name) is None]
    if missing:
        yield f"a diffusers model needs {', '.join(missing)}. Run: pip install 'vivant[diffusion]'"


def _backend(order: Order) -> Iterator[str]:
    door = registry.door(order.backend)
    if order.precision not in door.precisions:
        offered = ", ".join(WORDS.get(one, one) for one in door.precisions)
        asked = WORDS.get(order.precision, order.precision)
        yield f"{order.backend} does not run {asked}; it runs {offered}"
    if door.own_student:
        yield f"{order.backend} paints by its own means: there is nothing to build"
    state = registry.look(order.backend, deep=True)
    if not state.usable:
        yield state.reason
        return
    if order.is_model or door.reads != "graphs" or order.precision not in door.precisions:
        return
    card = _card(order)
    for part in card.parts if card is not None else ():
        source = GraphSource(order.source, card, part, order.precision)
        make = buildable(order.backend).unbuilt
        yield from _raised(partial(make, source, order.sizes_px, order.machine))


def _device(order: Order) -> Iterator[str]:
    """Of the GPU that TensorRT and torch would use: its memory. Driver and SM are the backend's own look."""
    if not registry.door(order.backend).built_before or not registry.look(order.backend, deep=True).usable:
        return
    from vivant.engines.cuda import checked, cudart

    free, whole = checked(cudart().cudaMemGetInfo(), "asking for free memory")
    wanted = LEAST_MEMORY + COPIES_IN_MEMORY * _largest(order)
    if free < wanted:
        yield f"the GPU has {_size(free)} of {_size(whole)} free, {_size(wanted)} are wanted. End others"


def _sizes(order: Order) -> Iterator[str]:
    """Whether the student can paint so large."""
    card = _card(order)
    for size_px in order.sizes_px:
        if card is not None:
            yield from _raised(partial(tensor_specs, card, card.parts[0], size_px))
        elif order.is_model and any(side % STEP or side < STEP for side in size_px):
            yield f"--size {size_px[0]}x{size_px[1]}: both sides must be multiples of {STEP}"


def _source(order: Order) -> Iterator[str]:
    """Whether everything that is to be read can be."""
    if order.is_model:
        from vivant.engines.diffusion.model import open_model

        yield from _raised(partial(open_model, order.source, vae=order.extras.vae))
    else:
        card = _card(order)
        if card is None:
            yield from _raised(partial(Card.read, order.source))
        for own in card.files() if card else ():
            yield from _raised(partial(read_graph, order.source, own))
    extras = order.extras
    folders = (
        ("--controlnet", extras.controlnet),
        ("--vae", extras.vae),
        ("--image-encoder", extras.image_encoder),
    )
    for option, place in folders:
        if place is not None and not any(place.glob("*.safetensors")):
            yield f"{option} {place}: no folder with safetensors in it. A pickle is never opened"
    for option, file in (
        ("--image-prompt", extras.image_prompt),
        *(("--fused", one) for one, _ in extras.fused),
    ):
        if file is not None and (file.suffix != ".safetensors" or not file.is_file()):
            yield f"{option} {file}: no safetensors file. A pickle is never opened"


def _of_a_model(order: Order) -> Iterator[str]:
    """A student is built already of what is made into it."""
    if not order.is_model and order.extras != Extras():
        yield (
            f"{order.source.name} is a student: --controlnet, --control, --image-prompt, --vae, --fused, "
            "--negative and --attention-only are for a model's folder. Build the model"
        )


def _image_prompt(order: Order) -> Iterator[str]:
    """An IP-Adapter, its encoder and a picture belong together."""
    extras = order.extras
    if extras.image is not None and not extras.image.is_file():
        yield f"--image {extras.image}: no such file. Give a JPEG or PNG picture"
    given = {
        "--image-prompt": extras.image_prompt,
        "--image": extras.image,
        "--image-encoder": extras.image_encoder,
    }
    missing = [option for option, place in given.items() if place is None]
    if 0 < len(missing) < len(given):
        yield f"{' and '.join(missing)} not given: an image prompt wants {', '.join(given)}"


def _slots(order: Order) -> Iterator[str]:
    if order.slots is None:
        return
    slots, rank = order.slots
    if not (1 <= slots <= 8 and 1 <= rank <= 256) and (slots, rank) != (0, 0):
        yield f"--adapter-slots {slots} --rank {rank}: 1 to 8 slots of rank 1 to 256"
    card = _card(order)
    if card is not None and card.adapters is None:
        told = "built with its slots: build its model anew" if card.diffusion else "trained without"
        yield f"student {card.name} cannot be given adapter slots: it was {told}"


def _name(order: Order) -> Iterator[str]:
    if not order.makes_student:
        return
    if not NAME.fullmatch(order.name):
        yield f"--name {order.name}: small letters, digits, - and _, a letter first"
    elif order.name in shipped():
        yield f"--name {order.name}: a student that ships is called so. Choose another"
    else:
        yield from _raised(partial(refuse_taken, students_folder() / order.name))
        yield from _left_out(order, students_folder() / order.name)


def _left_out(order: Order, there: Path) -> Iterator[str]:
    """A model that is built in float again would leave its student without the INT8 graphs that it has."""
    if not order.is_model or order.precision == "int8" or not (there / CARD).exists():
        return
    try:
        card = Card.read(there)
    except EngineError:  # one that is broken may well be replaced
        return
    if any("int8" in kinds for kinds in card.graphs.values()):
        yield (
            f"student {order.name} has int8 graphs, which would be gone. For other engines of it run: "
            f"vivant engines build {order.name} --backend {order.backend} --precision "
            f"{WORDS.get(order.precision, order.precision)}. For another student give --name"
        )


def _room_on_disk(order: Order) -> Iterator[str]:
    wanted = LEAST_DISK + _weight(order) * (MODEL_COPIES if order.is_model else COPIES_ON_DISK)
    for folder in dict.fromkeys((_there(cache_folder()), _there(students_folder()))):
        free = shutil.disk_usage(folder).free
        if free < wanted:
            yield f"{folder} has {_size(free)} free, {_size(wanted)} are wanted. Run: vivant engines prune"
        if not os.access(folder, os.W_OK):
            yield f"{folder} cannot be written. Set XDG_CACHE_HOME and XDG_DATA_HOME to folders that can"


def _memory(order: Order) -> Iterator[str]:
    import psutil

    free = psutil.virtual_memory().available
    wanted = LEAST_MEMORY + COPIES_IN_MEMORY * _largest(order)
    if free < wanted:
        yield f"{_size(free)} of memory are free, and {_size(wanted)} are wanted. End other programs."


def _card(order: Order) -> Card | None:
    try:
        return None if order.is_model else Card.read(order.source)
    except EngineError:
        return None


def _weight(order: Order) -> int:
    """Bytes of all that the student, or the model, is."""
    files = order.source.rglob("*.safetensors" if order.is_model else "*")
    return sum(path.stat().st_size for path in files if path.is_file())


def _largest(order: Order) -> int:
    """Bytes of its largest graph in float32: a model's weights may be half as wide."""
    if order.is_model:
        return 2 * max((_folder_size(order.source / part) for part in ("unet", "vae")), default=0)
    card = _card(order)
    if card is None:
        return 0
    paths = [order.source / kinds["float"].file for kinds in card.graphs.values() if "float" in kinds]
    files = [each for path in paths for each in (path, data_file(path)) if each.exists()]
    return max((path.stat().st_size for path in files), default=0)


def _folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _raised(look: Callable[[], Any]) -> Iterator[str]:
    """What an attempt says against it."""
    try:
        look()
    except EngineError as error:
        yield str(error)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
