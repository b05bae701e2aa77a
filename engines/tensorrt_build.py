"""Builds TensorRT engines from a student's graphs before the show: minutes, on the GPU that runs them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from vivant.engines.buildable import Compatibility, Machine, Share, Unbuilt
from vivant.engines.card import Card, read_checked
from vivant.engines.contract import PARTS, EngineError, GraphSource, Part, Precision
from vivant.engines.cuda import gpu
from vivant.engines.manifest import keep, kept_folder, write_atomically
from vivant.engines.specs import Specs, check_names, tensor_specs
from vivant.engines.tensorrt_backend import available, logger
from vivant.engines.tensorrt_graph import prepared
from vivant.engines.tensorrt_plans import AMPERE_PLUS, Size, graph_file, plan_manifest

log = logging.getLogger(__name__)

WORKSPACE: Final = 4 << 30  # bytes that one layer may use while it runs
NO_FLAGS: Final = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the builder is in its outermost phase: `done` in [0, 1], `left_s` None until it is known."""

    phase: str
    done: float
    left_s: float | None


Report = Callable[[Progress], None]


def build(
    source: GraphSource,
    sizes_px: Sequence[Size],
    compatibility: Compatibility = "this_gpu",
    workspace_bytes: int = WORKSPACE,
    report: Report = lambda progress: None,
) -> Path:
    """Builds one part, with a fixed profile for each size (width, height), and keeps it with its manifest.

    Returns its folder. `report` is called from the builder's threads; what it raises stops the build and is
    raised here. Raises EngineError, with what TensorRT said, when the engine cannot be built or kept.
    """
    (asked,) = unbuilt(source, sizes_px, Machine(compatibility=compatibility))
    plan = compiled(source, sizes_px, compatibility, workspace_bytes, report)
    manifest = asked.manifest
    try:
        keep(manifest.folder, manifest, plan)
    except OSError as error:
        raise EngineError(
            f"the engine of {source.card.name}.{source.part} cannot be kept in {manifest.folder}: {error}. "
            "Free some space there."
        ) from error
    return manifest.folder


def unbuilt(source: GraphSource, sizes_px: Sequence[Size], machine: Machine) -> list[Unbuilt]:
    """One engine for all sizes, with a profile for each. Raises EngineError."""
    found = available()
    if not found.usable:
        raise EngineError(f"backend tensorrt cannot be used: {found.reason}")
    here = gpu()
    if machine.compatibility == "ampere_plus" and here.capability < (8, 0):
        raise EngineError(f"{here} is older than Ampere: it can build for itself only (this_gpu)")
    profiles_of(source, sizes_px)
    device = AMPERE_PLUS if machine.compatibility == "ampere_plus" else str(here)

    def make(share: Share) -> bytes:
        return compiled(source, sizes_px, machine.compatibility, report=lambda progress: share(progress.done))

    return [Unbuilt(plan_manifest(source, sizes_px, device, found.version), tuple(sizes_px), make)]


def compiled(
    source: GraphSource,
    sizes_px: Sequence[Size],
    compatibility: Compatibility,
    workspace_bytes: int = WORKSPACE,
    report: Report = lambda progress: None,
) -> bytes:
    """The plan of one part. Raises EngineError."""
    found, here = available(), gpu()
    profiles = profiles_of(source, sizes_px)
    graph = prepared(read_checked(source.folder, graph_file(source)), source.precision)
    name = f"{source.card.name}.{source.part}"
    log.info("building %s for %s on %s: this takes minutes", name, sizes_px, here)
    cache = kept_folder() / f"tensorrt-{found.version}-sm{here.capability[0]}{here.capability[1]}.timing"
    try:
        return _built(graph, profiles, name, source.precision, compatibility, workspace_bytes, cache, report)
    except (RuntimeError, ValueError, TypeError) as error:  # how its bindings tell what its log does not
        raise EngineError(f"TensorRT cannot build {name}: {error}. Its log may say more.") from error


def build_student(
    folder: Path,
    precision: Precision,
    sizes_px: Sequence[Size],
    compatibility: Compatibility = "this_gpu",
    report: Callable[[Part, Progress], None] = lambda part, progress: None,
) -> dict[Part, Path]:
    """Builds every part of a student as `build` does; the folder of each engine by part."""
    card = Card.read(folder)
    made = {}
    for part in PARTS:
        source = GraphSource(folder, card, part, precision)
        made[part] = build(source, sizes_px, compatibility, report=partial(report, part))
    return made


def profiles_of(source: GraphSource, sizes_px: Sequence[Size]) -> list[tuple[Specs, Specs]]:
    """Inputs and outputs at each size. Raises EngineError for no size, one given twice, or one that the
    student cannot paint."""
    if not sizes_px or len(set(sizes_px)) != len(sizes_px):
        listed = ", ".join(f"{width}x{height}" for width, height in sizes_px) or "none"
        raise EngineError(f"an engine is built for one or more different sizes; given: {listed}")
    return [tensor_specs(source.card, source.part, size_px) for size_px in sizes_px]


def _network_flags(trt: Any) -> int:
    """The one difference between the two lines: TensorRT 11 knows no other network than a typed one."""
    if int(str(trt.__version__).split(".")[0]) > 10:
        return NO_FLAGS
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _built(
    graph: bytes,
    profiles: Sequence[tuple[Specs, Specs]],
    name: str,
    precision: str,
    compatibility: Compatibility,
    workspace_bytes: int,
    cache: Path,
    report: Report,
) -> bytes:
    import tensorrt as trt

    told = logger()
    builder = trt.Builder(told)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, told)
    if not parser.parse(graph):
        faults = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise EngineError(f"TensorRT cannot read the graph of {name}: {'; '.join(faults) or told.errors}")
    _check_network(network, profiles[0], name)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if precision == "float":
        config.clear_flag(trt.BuilderFlag.TF32)  # float is to mean float
    if compatibility == "ampere_plus":
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    for inputs, _ in profiles:
        _add_profile(builder, config, network, inputs, name)
    _begin_cache(config, cache)
    monitor = _monitor(report)
    config.progress_monitor = monitor
    memory = builder.build_serialized_network(network, config)
    if monitor.stopped_by is not None:
        raise monitor.stopped_by
    if memory is None:
        raise EngineError(f"TensorRT cannot build {name}: {'; '.join(told.errors) or 'its log says why'}")
    _keep_cache(config, cache)
    return bytes(memory)


def _check_network(network: Any, specs: tuple[Specs, Specs], name: str) -> None:
    """The graph's tensors must be the contract's. Raises EngineError."""
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    outputs = [network.get_output(index).name for index in range(network.num_outputs)]
    check_names(specs[0], inputs, name)
    check_names(specs[1], outputs, name)


def _add_profile(builder: Any, config: Any, network: Any, inputs: Specs, name: str) -> None:
    """A profile whose smallest, likeliest and largest shape are one: the engine is made for that alone."""
    profile = builder.create_optimization_profile()
    shapes = {spec.name: spec.shape for spec in inputs}
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        wanted = shapes[tensor.name]
        if len(tensor.shape) != len(wanted) or any(
            has not in (-1, want) for has, want in zip(tensor.shape, wanted, strict=True)
        ):
            raise EngineError(
                f"{name} takes {tensor.name} as {tuple(tensor.shape)}, which cannot be {wanted}. Export the "
                "student anew."
            )
        if -1 in tuple(tensor.shape):
            profile.set_shape(tensor.name, wanted, wanted, wanted)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"TensorRT does not take the shapes of {name}: {shapes}")


def _begin_cache(config: Any, path: Path) -> None:
    """What was timed for other engines on this GPU is not timed again."""
    try:
        kept = path.read_bytes()
    except OSError:
        kept = b""
    timing = config.create_timing_cache(kept)
    if (timing is None or not config.set_timing_cache(timing, False)) and kept:
        log.warning("the timing cache %s is of another GPU or version and is begun anew", path)
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _keep_cache(config: Any, path: Path) -> None:
    timing = config.get_timing_cache()
    if timing is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, bytes(timing.serialize()))
    except OSError as error:
        log.warning("the timing cache is not kept, the next build will be slower: %s", error)


def _monitor(report: Report, clock: Callable[[], float] = time.monotonic) -> Any:
    """TensorRT's progress in ours. An exception must not cross its threads: it stops the build instead."""
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped_by: BaseException | None = None
            self._outermost: tuple[str, int, float] | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self._outermost = (phase_name, num_steps, clock())

        def step_complete(self, phase_name: str, step: int) -> bool:
            if self._outermost is not None and phase_name == self._outermost[0] and self.stopped_by is None:
                try:
                    report(_progress(*self._outermost, step + 1, clock()))
                except BaseException as error:  # also Ctrl-C, which arrives here
                    self.stopped_by = error
            return self.stopped_by is None

        def phase_finish(self, phase_name: str) -> None:
            if self._outermost is not None and phase_name == self._outermost[0]:
                self._outermost = None

    return Monitor()


def _progress(phase: str, steps: int, began_s: float, done: int, now_s: float) -> Progress:
    share = min(done / max(steps, 1), 1.0)
    return Progress(phase, share, (now_s - began_s) * (1 - share) / share if share else None)
