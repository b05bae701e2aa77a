"""`vivant engines build`: from a student, a scene or a model's folder to engines that were verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.cli.run import parse_size

if TYPE_CHECKING:
    from vivant.engines.builder.build import Outcome
    from vivant.engines.builder.order import Material, Order
    from vivant.engines.builder.targets import Target
    from vivant.runtime.scene import Scene

PRECISIONS = {
    "int8": "int8",
    "fp32": "float",
    "float": "float",
    "fp16": "half",
    "half": "half",
    "bf16": "bf16",
}
"""What people call them, and what the code does."""


def build(
    target: Annotated[
        str, typer.Argument(help="A student (house), a scene, or a diffusers folder or hub name")
    ],
    backend: Annotated[str, typer.Option(help="tensorrt, openvino, onnxruntime, torch; or auto")] = "auto",
    precision: Annotated[str, typer.Option(help="int8, fp16 or fp32")] = "int8",
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="WxH", help="May be repeated. A scene's ladder, or the student's own size"),
    ] = None,
    adapter_slots: Annotated[int | None, typer.Option(help="How many adapters at once", min=0)] = None,
    rank: Annotated[int | None, typer.Option(help="The highest rank of an adapter", min=0)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, or cuda:0 for tensorrt and torch")] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|FILM", help="Take INT8 ranges anew from what the piece will see"),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Keep layers in float until the engine is near enough")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What a student that is made is called")] = None,
    controlnet: Annotated[Path | None, typer.Option(help="Of a model: a ControlNet's folder")] = None,
    control: Annotated[str, typer.Option(help="fused, or residuals: an engine of its own")] = "fused",
    image_prompt: Annotated[Path | None, typer.Option(help="Of a model: an IP-Adapter's safetensors")] = None,
    image: Annotated[Path | None, typer.Option(help="With --image-prompt: the picture it is given")] = None,
    image_encoder: Annotated[
        Path | None,
        typer.Option(help="With --image-prompt: the folder of the CLIP vision model it was made for"),
    ] = None,
    vae: Annotated[Path | None, typer.Option(help="Of a model: another autoencoder's folder (TAESD)")] = None,
    fused: Annotated[
        list[Path] | None, typer.Option(help="Of a model: a LoRA file that belongs to it (LCM-LoRA)")
    ] = None,
    negative: Annotated[bool, typer.Option("--negative", help="Of a model: negative prompts")] = False,
    attention_only: Annotated[
        bool,
        typer.Option("--attention-only", help="Of a model: adapters at attention alone, a fifth of the cost"),
    ] = False,
    compatibility: Annotated[
        str, typer.Option(help="tensorrt: this_gpu (fastest) or ampere_plus (any GPU of SM 8.0 or newer)")
    ] = "this_gpu",
    threads: Annotated[int | None, typer.Option(help="Of a CPU; every core if not given", min=1)] = None,
    download: Annotated[bool, typer.Option("--download", help="A hub name may be fetched")] = False,
) -> None:
    """Build engines, hold them against float, and keep those that are near enough.

    What is done already is not done again; a build that is ended goes on where it was. The engines that were
    there before stay until the new ones are whole and verified, so that a show may run meanwhile.
    """
    from vivant.engines.builder.preflight import preflight

    asked: dict[str, Any] = dict(locals())
    found, sizes = _target(target, download, size)
    problems: list[str] = []
    order = _order(asked, found, sizes, problems)
    preflight(order, problems)
    outcome = run(order)
    _tell(order, outcome, found)


def run(order: Order) -> Outcome:
    """Builds, with progress; prints the table also where it fails."""
    from vivant.cli.building import print_rows, shown
    from vivant.engines.builder.build import NotNear
    from vivant.engines.builder.build import build as built
    from vivant.engines.builder.compare import THRESHOLDS
    from vivant.engines.builder.estimate import Estimate
    from vivant.engines.builder.step import Shelf
    from vivant.engines.builder.store import shelf_folder

    shelf = Shelf(shelf_folder())
    least = THRESHOLDS[order.precision]
    try:
        with shown(Estimate(shelf.times())) as watch:
            outcome = built(order, shelf, watch)
    except NotNear as failure:
        print_rows(failure.rows, least)
        raise
    print_rows(outcome.rows, least)
    return outcome


def _target(
    word: str, download: bool, size: Sequence[str] | None
) -> tuple[Target, list[tuple[int, int]] | None]:
    """What is to be built, and at which sizes if that is said or a scene says it."""
    from vivant.engines.builder.targets import target_of
    from vivant.runtime.frames import VivantError
    from vivant.runtime.scene import find_scene, load_scene

    sizes = [parse_size(one) for one in size] if size else None
    try:
        return target_of(word, download), sizes
    except VivantError:
        try:
            path = find_scene(word)
        except VivantError:
            path = None
        if path is None or path.suffix != ".toml":
            raise
    scene = load_scene(path)
    return target_of(scene.student), sizes or scene_sizes(scene)


def scene_sizes(scene: Scene) -> list[tuple[int, int]]:
    """Every size that a scene's student may paint: the rungs of its ladder, and its own."""
    rungs = {(side, side) for side in scene.ladder_sizes} if scene.ladder else set()
    return sorted({*rungs, scene.size})


def _order(
    asked: dict[str, Any], target: Target, sizes: list[tuple[int, int]] | None, problems: list[str]
) -> Order:
    """The order, and into `problems` whatever of it makes no sense."""
    from vivant.engines.buildable import Machine
    from vivant.engines.builder.order import Extras, Order
    from vivant.engines.machine import cores
    from vivant.guardrails.fit import fit_envelope

    backend = _backend(asked["backend"], problems)
    known = {
        "precision": PRECISIONS,
        "control": ("fused", "residuals"),
        "compatibility": ("this_gpu", "ampere_plus"),
    }
    for option, words in known.items():
        if asked[option] not in words:
            problems.append(f"--{option} {asked[option]}: give {', '.join(words)}")
    gpu = _gpu(asked["device"], backend, problems)
    slots = _slots(asked["adapter_slots"], asked["rank"], target, problems)
    precision: Any = PRECISIONS.get(asked["precision"], "float")
    if backend == "openvino" and precision == "half":
        precision = "bf16"  # what processors have instead
    changed = asked["calibration"] is not None or slots is not None or asked["fix"]
    return Order(
        source=target.folder,
        is_model=target.is_model,
        name=asked["name"] or (f"{target.name}-tuned" if changed and not target.is_model else target.name),
        backend=backend,
        precision=precision,
        sizes_px=tuple(dict.fromkeys(sizes or [_own_size(target)])),
        machine=Machine(asked["threads"] or cores(), gpu, asked["compatibility"]),
        material=_material(asked["calibration"], problems),
        slots=slots,
        recalibrate=asked["calibration"] is not None,
        fix=asked["fix"],
        extras=Extras(
            asked["controlnet"], asked["control"], asked["image_prompt"], asked["image"],
            asked["image_encoder"], asked["negative"],
            tuple((path, 1.0) for path in asked["fused"] or ()), asked["attention_only"], asked["vae"],
        ),
        fit=fit_envelope,
    )  # fmt: skip


def _backend(word: str, problems: list[str]) -> str:
    from vivant.engines import registry
    from vivant.runtime.frames import VivantError

    try:
        if word != "auto":
            registry.door(word)
            return word
        return registry.choose("auto")[0]
    except VivantError as error:
        problems.append(str(error))
        return "onnxruntime"


def _gpu(word: str | None, backend: str, problems: list[str]) -> int:
    """The number in cuda:N."""
    if word in (None, "cpu") and backend != "tensorrt":
        return 0
    kind, _, number = (word or "cuda:0").partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        problems.append(
            f"--device {word}: give cuda:0 for {backend}" + ("" if backend == "tensorrt" else ", or cpu")
        )
        return 0
    if backend not in ("tensorrt", "torch"):
        problems.append(f"--device {word}: {backend} runs on the CPU here. Leave it out")
    if int(number or 0) != 0:
        problems.append(f"--device {word}: the show runs on the first GPU. Set CUDA_VISIBLE_DEVICES={number}")
    return int(number or 0)


def _slots(
    slots: int | None, rank: int | None, target: Target, problems: list[str]
) -> tuple[int, int] | None:
    """Slots and rank, what is not said from the student; None where both are left to it."""
    from vivant.engines.card import Card

    if slots is None and rank is None:
        return None
    if target.is_model:
        return (1 if slots is None else slots, 16 if rank is None else rank)
    own = Card.read(target.folder).adapters
    if own is None and (slots is None or rank is None):
        problems.append("--adapter-slots and --rank belong together")
        return None
    return (slots or (own.slots if own else 0), rank or (own.rank if own else 0))


def _own_size(target: Target) -> tuple[int, int]:
    from vivant.engines.card import Card
    from vivant.engines.diffusion.model import open_model

    side = (
        open_model(target.folder).default_size if target.is_model else Card.read(target.folder).default_size
    )
    return side, side


def _material(place: Path | None, problems: list[str]) -> Material:
    """Frames of what the piece will see, or, where nobody says what that is, of the performer."""
    from vivant.engines.builder.errors import BuildError
    from vivant.engines.builder.material import read_material

    if place is not None:
        try:
            return read_material(place)
        except BuildError as error:
            problems.append(str(error))
    return performer_material()


def performer_material() -> Material:
    """A minute's dance, and some discs that move over a gradient."""
    from vivant.engines.bench import moving_scene
    from vivant.engines.builder.material import material_of
    from vivant.runtime.senses.performer import Performer

    performer = Performer((640, 480), seed=3, fps=30.0)
    dance = [performer.frame(k).copy() for k in range(0, 900, 15)]
    return material_of([*dance, *moving_scene((512, 512))])


def _tell(order: Order, outcome: Outcome, target: Target) -> None:
    from vivant.engines.builder.store import size_of

    for part, (name, cosine) in outcome.worst_layers.items():
        typer.echo(f"furthest from float inside {part}: {name}, cosine {cosine:.4f}")
    for part, names in outcome.kept.items():
        if names:
            typer.echo(f"{part} keeps in float: {', '.join(names)}")
    for folder in outcome.engines:
        typer.echo(f"  {folder}  {size_of(folder) / 1e6:.1f} MB")
    if not outcome.engines:
        typer.echo(f"{order.backend} compiles when it starts: nothing is kept, and it was verified")
    student = outcome.student.name if outcome.student else target.name
    if outcome.student:
        typer.echo(f"student {student} is here now. Run: vivant run SCENE --student {student}")
