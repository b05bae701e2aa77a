"""What machine this is and which versions run on it: for reports, the bench and the doctor."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "vivant",
    "numpy",
    "openvino",
    "onnxruntime",
    "torch",
    "tensorrt",
    "cuda-bindings",
    "moderngl",
    "glfw",
    "av",
    "python-osc",
)


def cpu_name() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_name() -> str | None:
    """The first NVIDIA GPU and its driver, as the kernel's module tells them; None without one."""
    gpus = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    if not gpus:
        return None
    facts = dict(
        line.partition(":")[::2] for line in gpus[0].read_text(errors="replace").splitlines() if ":" in line
    )
    return facts.get("Model", "NVIDIA GPU").strip()


def use_device(asked: str) -> None:
    """Choose a GPU for this process and those it starts: "cuda:1" is the second that may be seen, "cpu" is
    none. Before anything looks for one. Raises EngineError for a name that is neither."""
    from vivant.engines.contract import EngineError

    name, _, index = asked.partition(":")
    if asked == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    if name != "cuda" or not (index or "0").isdigit():
        raise EngineError(f"--device {asked}: give cuda:0, cuda:1, ... or cpu")
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    listed = [one.strip() for one in seen.split(",") if one.strip()]
    number = int(index or "0")
    if listed and number >= len(listed):
        raise EngineError(f"--device {asked}: CUDA_VISIBLE_DEVICES leaves {len(listed)} GPUs ({seen})")
    os.environ["CUDA_VISIBLE_DEVICES"] = listed[number] if listed else str(number)


def machine() -> dict[str, str | int | None]:
    """The machine part of a report."""
    return {"cpu": cpu_name(), "cores": cores(), "gpu": gpu_name(), "system": platform.platform()}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that are installed, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
