"""What TensorRT's Python bindings offer: names, signatures and first lines of what our two files use.

    python -P -m vivant.tools.tensorrt_symbols WHEEL > tests/data/tensorrt_symbols_11.json
    python -P -m vivant.tools.tensorrt_symbols cuda.bindings.runtime > tests/data/cuda_symbols.json

A bindings wheel wants libraries that come from elsewhere. To be looked at, not run, it is imported in a
process of its own beside empty libraries of the same names, which needs a C compiler.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

CLASSES: Final = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "HardwareCompatibilityLevel",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "ITensor",
    "ITimingCache",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "ProfilingVerbosity",
    "Runtime",
    "TensorIOMode",
)
CUDA: Final = re.compile(
    "cuda(Malloc|MallocHost|Free|FreeHost|MemcpyAsync|Stream(Create|Destroy|Synchronize|WaitEvent|BeginCapture|"
    "EndCapture)|Event(Create|Destroy|Record|Synchronize|Query|ElapsedTime)|Graph(Instantiate|Launch|Upload|"
    "Destroy|ExecDestroy)|GetDeviceCount|GetDeviceProperties|DeviceGetAttribute|SetDevice|GetErrorName|GetLastError|"
    "GetErrorString|DriverGetVersion|RuntimeGetVersion)(WithFlags)?"
)
CUDA_ENUMS: Final = ("cudaError_t", "cudaMemcpyKind", "cudaStreamCaptureMode", "cudaDeviceAttr")
CUDA_NUMBERS: Final = re.compile("cuda(StreamNonBlocking|Event(Default|DisableTiming|RecordExternal))")
MADE_UP: Final = re.compile("create.*_INTERNAL|get.*|init.*")  # what the stubs must define
PREFIX: Final = re.compile(r"(tensorrt\w*\.)+|nvinfer1::|nvonnxparser::")

Symbols = dict[str, Any]  # JSON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", help="a bindings wheel, or the name of a module that is installed")
    what = parser.parse_args().what
    found = of_wheel(Path(what)) if what.endswith(".whl") else of_module(what)
    json.dump(found, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


def of_module(name: str) -> Symbols:
    """The symbols of a module that can be imported here."""
    module = importlib.import_module(name)
    if name.startswith("cuda."):
        return _of_cuda(module)
    return {
        "version": module.__version__,
        "symbols": {
            one: _members(getattr(module, one)) for one in (*CLASSES, "Logger") if hasattr(module, one)
        },
    }


def of_wheel(wheel: Path) -> Symbols:
    """The symbols of a bindings wheel. Raises CalledProcessError when it cannot be compiled or imported."""
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(wheel) as packed:
        folder = Path(name)
        packed.extractall(folder)
        binary = next(folder.glob("tensorrt*/tensorrt*.so"))
        _write_stubs(binary, folder)
        inside = subprocess.run(
            [sys.executable, "-P", "-m", "vivant.tools.tensorrt_symbols", binary.parent.name],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)},
            check=True,
            capture_output=True,
            text=True,
        )
        found: Symbols = json.loads(inside.stdout)
        return found


def _write_stubs(binary: Path, folder: Path) -> None:
    """Empty libraries with the names and the few functions that `binary` asks for."""
    listing = subprocess.run(["readelf", "-d", binary], check=True, capture_output=True, text=True).stdout
    libraries = re.findall(r"\[(libnv\w+\.so\.\d+)\]", listing)
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", binary], check=True, capture_output=True, text=True
    ).stdout
    names = [line.split()[-1] for line in symbols.splitlines()]
    source = folder / "stubs.c"
    source.write_text(
        "".join(f"void *{name}(void) {{ return 0; }}\n" for name in names if MADE_UP.fullmatch(name))
    )
    for library in libraries:
        subprocess.run(
            ["cc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", folder / library, source],
            check=True,
        )


def _members(cls: Any) -> Symbols:
    if hasattr(cls, "__members__"):
        return {name: {"kind": "value"} for name in cls.__members__}
    names = [name for name in dir(cls) if not name.startswith("_") or name == "__init__"]
    return {name: _member(getattr(cls, name)) for name in names}


def _member(member: Any) -> Symbols:
    text = inspect.getdoc(member) or ""
    if isinstance(member, property):
        return {"kind": "property", "writable": member.fset is not None, "doc": _head(text)}
    if hasattr(member, "__members__"):
        return {"kind": "enum", "values": sorted(member.__members__)}
    if not callable(member):
        return {"kind": "value"}
    signatures = re.findall(r"^(?:\d+\. )?(\w+\(self.*)$", text, re.MULTILINE)
    rest = [line for line in text.splitlines() if line and not re.match(r"(\d+\. )?\w+\(|Overloaded", line)]
    return {
        "kind": "method",
        "signatures": [PREFIX.sub("", one) for one in signatures],
        "doc": _head("\n".join(rest)),
    }


def _of_cuda(module: Any) -> Symbols:
    from cuda.bindings import __version__

    functions = {name: getattr(module, name).__doc__ or "" for name in dir(module) if CUDA.fullmatch(name)}
    found: Symbols = {
        name: {"kind": "function", "signatures": [text.splitlines()[0]]} for name, text in functions.items()
    }
    found |= {name: {"kind": "value"} for name in dir(module) if CUDA_NUMBERS.fullmatch(name)}
    found |= {name: {"kind": "enum", "values": [*getattr(module, name).__members__]} for name in CUDA_ENUMS}
    return {"version": __version__, "symbols": found}


def _head(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:100] if lines else ""


if __name__ == "__main__":
    main()
