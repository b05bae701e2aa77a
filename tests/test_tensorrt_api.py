"""Every name of TensorRT and CUDA that is used exists in their bindings, with that many arguments.

Neither library can run where most tests run. What their bindings offer was read from the wheels of NVIDIA
(vivant.tools.tensorrt_symbols) and lies in tests/data; here the source of our files is held against it.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

DATA = Path(__file__).parent / "data"
RUNTIME = ROOT / "engines" / "tensorrt_backend.py"
BUILDER = ROOT / "engines" / "tensorrt_build.py"
CUDA = ROOT / "engines" / "cuda.py"
LINES = ("tensorrt_symbols_10", "tensorrt_symbols_11")

# Which TensorRT class a variable of these files holds, with or without a leading "self._". A variable that
# is missing here goes unchecked, so the last test asks that each class be found in use.
HELD = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "tensor": "ITensor",
    "timing": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
}
# In the runtime half, `engine` without an underscore is also ours in `capture`.
OURS = {"capture"}
GIVE = {"get_input": "ITensor", "get_output": "ITensor", "get_error": "ParserError"}


def symbols(name):
    return json.loads((DATA / f"{name}.json").read_text())["symbols"]


class Checker(ast.NodeVisitor):
    """Collects what a source uses and what of it is not there."""

    def __init__(self, known):
        self.known = known
        self.problems: list[str] = []
        self.used: set[tuple[str, str]] = set()
        self._called: set[ast.AST] = set()
        self._written: set[ast.AST] = set()

    def visit_FunctionDef(self, node):
        if node.name not in OURS:
            self.generic_visit(node)

    def visit_ClassDef(self, node):
        for base in node.bases:
            name = self._class_of(base)
            if name in self.known:
                self._overrides(name, node)
        self.generic_visit(node)

    def visit_Assign(self, node):
        self._written |= set(node.targets)
        self.generic_visit(node)

    def visit_Call(self, node):
        self._called.add(node.func)
        if isinstance(node.func, ast.Attribute):
            owner = self._class_of(node.func.value)
            if owner in self.known:
                self._call(owner, node.func.attr, node)
            elif self._class_of(node.func) in self.known:
                self._call(self._class_of(node.func), "__init__", node)
        self.generic_visit(node)

    def visit_Attribute(self, node):
        owner = self._class_of(node.value)
        if owner == "module":
            self._need(node.attr in self.known or node.attr == "__version__", f"trt.{node.attr}", node)
            self.used.add(("module", node.attr))
        elif owner in self.known:
            self.used.add((owner, node.attr))
            found = self.known[owner].get(node.attr)
            self._need(found is not None, f"{owner}.{node.attr}", node)
            if found is not None:
                method = found["kind"] == "method"
                self._need(
                    method == (node in self._called), f"{owner}.{node.attr} is a {found['kind']}", node
                )
                if node in self._written:
                    self._need(found.get("writable", False), f"{owner}.{node.attr} cannot be set", node)
        elif isinstance(node.value, ast.Attribute):
            outer = self._class_of(node.value.value)
            found = self.known.get(outer, {}).get(node.value.attr, {})
            if found.get("kind") == "enum":
                self._need(node.attr in found["values"], f"{outer}.{node.value.attr}.{node.attr}", node)
        self.generic_visit(node)

    def _class_of(self, node):
        """What an expression holds, as far as its names tell."""
        if isinstance(node, ast.Name):
            return "module" if node.id == "trt" else HELD.get(node.id)
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "trt":
                return node.attr
            if isinstance(node.value, ast.Name) and node.value.id == "self" and node.attr.startswith("_"):
                return HELD.get(node.attr[1:])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return GIVE.get(node.func.attr)
        return None

    def _call(self, owner, name, node):
        found = self.known[owner].get(name, {})
        itself = name == "__init__" and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__"
        given = len(node.args) - itself
        fits = [_fits(one, given, [k.arg for k in node.keywords]) for one in found.get("signatures", [])]
        self._need(not fits or any(fits), f"{owner}.{name} with {given} arguments", node)

    def _overrides(self, base, node):
        for method in [one for one in node.body if isinstance(one, ast.FunctionDef)]:
            if method.name.startswith("_"):
                continue
            found = self.known[base].get(method.name)
            self._need(found is not None, f"{base}.{method.name} to override", method)
            if found is not None:
                names = [one.arg for one in method.args.args]
                wanted = _parameters(found["signatures"][0])
                self._need(names == ["self", *wanted], f"{base}.{method.name}({', '.join(wanted)})", method)

    def _need(self, fine, what, node):
        if not fine:
            self.problems.append(f"line {node.lineno}: {what}")


def _parameters(signature):
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    # no comma of our signatures is inside a default but in <...> and [...]
    flat = re.sub(r"<[^<>]*>|\[[^\[\]]*\]", "", inside)
    names = [one.split(":")[0].strip() for one in flat.split(",")]
    return [name for name in names if name not in ("", "self")]


def _fits(signature, given, keywords):
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    flat = re.sub(r"<[^<>]*>|\[[^\[\]]*\]", "x", inside)
    parts = [one for one in flat.split(",") if one.strip() and one.split(":")[0].strip() != "self"]
    names = [one.split(":")[0].split("=")[0].split()[-1] for one in parts]
    least = sum("=" not in one for one in parts)
    return set(keywords) <= set(names[given:]) and least <= given + len(keywords) <= len(names)


def check(source, known):
    checker = Checker(known)
    checker.visit(ast.parse(source))
    return checker


def check_cuda(source, known):
    """What is asked of `rt` and `self._rt`, the CUDA runtime."""
    problems, used = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_rt(getattr(node.func, "value", None)):
            found = known.get(node.func.attr, {})
            given = [_fits(one, len(node.args), []) for one in found.get("signatures", [])]
            if given and not any(given):
                problems.append(f"line {node.lineno}: {node.func.attr} with {len(node.args)} arguments")
        if not isinstance(node, ast.Attribute):
            continue
        if _is_rt(node.value):
            used.add(node.attr)
            if node.attr not in known:
                problems.append(f"line {node.lineno}: {node.attr}")
        elif isinstance(node.value, ast.Attribute) and _is_rt(node.value.value):
            values = known.get(node.value.attr, {}).get("values", [])
            if node.attr not in values:
                problems.append(f"line {node.lineno}: {node.value.attr}.{node.attr}")
    return problems, used


def _is_rt(node):
    return isinstance(node, ast.AST) and ast.unparse(node) in ("rt", "self._rt")


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("path", [RUNTIME, BUILDER], ids=lambda path: path.stem)
def test_every_name_of_tensorrt_is_in_its_bindings(path, line):
    assert check(path.read_text(), symbols(line)).problems == []


def test_every_name_of_cuda_is_in_its_bindings():
    problems, used = check_cuda(CUDA.read_text(), symbols("cuda_symbols"))
    assert problems == []
    assert len(used) > 25


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (RUNTIME, "execute_async_v3", "execute_async_v4"),
        (RUNTIME, "execute_async_v3(stream)", "execute_async_v3()"),
        (RUNTIME, "trt.TensorIOMode.INPUT", "trt.TensorIOMode.IN"),
        (RUNTIME, "engine.num_io_tensors", "engine.num_io_tensors()"),
        (RUNTIME, "engine.num_optimization_profiles", "engine.num_profiles"),
        (RUNTIME, "Severity.INTERNAL_ERROR", "Severity.INTERNAL"),
        (RUNTIME, "trt.Runtime(told)", "trt.Runtime()"),
        (RUNTIME, "def log(self, severity: Any, msg: str)", "def log(self, severity: Any, text: str)"),
        (BUILDER, "trt.BuilderFlag.TF32", "trt.BuilderFlag.INT8 if 0 else trt.BuilderFlag.TF33"),
        (BUILDER, "trt.Builder(told)", "trt.Maker(told)"),
        (
            BUILDER,
            "def step_complete(self, phase_name: str, step: int)",
            "def step_complete(self, name: str)",
        ),
        (BUILDER, "config.progress_monitor = ", "config.num_optimization_profiles = "),
        (
            BUILDER,
            "profile.set_shape(tensor.name, wanted, wanted, wanted)",
            "profile.set_shape(tensor.name, wanted)",
        ),
        (BUILDER, "parser.get_error(index).desc()", "parser.get_error(index).text()"),
        (BUILDER, "network.get_input(index).name", "network.get_input(index).title"),
        (BUILDER, "config.set_timing_cache(timing, False)", "config.set_timing_cache(timing, ignore=False)"),
    ],
)
def test_a_wrong_name_or_call_is_seen(path, old, new):
    source = path.read_text()
    assert old in source, "this test must be kept with the file"
    assert check(source.replace(old, new), symbols(LINES[1])).problems


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rt.cudaMalloc(", "rt.cudaMallocs("),
        ("cudaMemcpyHostToDevice", "cudaMemcpyUp"),
        ("cudaGraphInstantiate(graph, 0)", "cudaGraphInstantiate()"),
        ("cudaEventRecordExternal", "cudaEventRecordInside"),
    ],
)
def test_a_wrong_name_or_call_of_cuda_is_seen(old, new):
    source = CUDA.read_text()
    assert old in source, "this test must be kept with the file"
    assert check_cuda(source.replace(old, new), symbols("cuda_symbols"))[0]


def test_the_int8_flag_that_tensorrt_11_dropped_would_be_seen():
    source = "import tensorrt as trt\nflag = trt.BuilderFlag.INT8\n"
    assert check(source, symbols(LINES[0])).problems == []
    assert check(source, symbols(LINES[1])).problems == ["line 2: BuilderFlag.INT8"]


def test_each_class_is_found_in_use():
    used = set()
    for path in (RUNTIME, BUILDER):
        used |= {owner for owner, _ in check(path.read_text(), symbols(LINES[1])).used}
    assert set(HELD.values()) <= used


def test_the_runtime_half_fits_the_lean_bindings():
    """The lean library is the one part of TensorRT that can be had without NVIDIA's own index."""
    if find_spec("tensorrt_lean_bindings") is None:
        pytest.skip("needs tensorrt_lean_cu13_bindings and tensorrt_lean_cu13_libs")
    lean = importlib.import_module("tensorrt_lean_bindings")
    used = check(RUNTIME.read_text(), symbols(LINES[1])).used
    missing = [
        f"{owner}.{name}"
        for owner, name in sorted(used)
        if not hasattr(lean if owner == "module" else getattr(lean, owner), name)
    ]
    assert missing == []
