"""The registry: what is usable, what is chosen and why, and that looking costs nothing."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from vivant.engines import registry
from vivant.engines.contract import Availability, EngineError

USABLE = [name for name, found in registry.usable().items() if found.usable]


def test_an_unknown_backend_is_answered_with_the_near_one():
    with pytest.raises(EngineError, match=r"unknown backend 'openvion'; did you mean 'openvino'\?"):
        registry.choose("openvion")


def installed(*names):
    return lambda entry: Availability(
        any(registry.BACKENDS[name] is entry for name in names), "1.0", f"no {entry.packages}"
    )


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        (("openvino", "onnxruntime", "torch", "null"), "openvino"),
        (("onnxruntime", "torch", "null"), "onnxruntime"),
    ],
)
def test_auto_takes_the_first_usable_and_says_why(monkeypatch, caplog, here, chosen):
    monkeypatch.setattr(registry, "_installed", installed(*here))
    with caplog.at_level(logging.INFO, "vivant.engines.registry"):
        name, reason = registry.choose("auto")
    assert name == chosen and chosen in reason and reason in caplog.text
    assert ("openvino" in reason) == (chosen == "openvino" or "no ('openvino',)" in reason)


@pytest.mark.parametrize(("built", "chosen"), [(True, "tensorrt"), (False, "openvino")])
def test_auto_takes_engines_that_were_built_for_this_machine_and_else_says_what_is_missing(
    monkeypatch, built, chosen
):
    from vivant.engines import tensorrt_backend

    monkeypatch.setattr(registry, "_installed", installed("tensorrt", "openvino"))
    monkeypatch.setattr(tensorrt_backend, "ready", lambda: Availability(built, "11.4", "no engine was built"))
    name, reason = registry.choose("auto")
    assert name == chosen
    assert ("tensorrt: no engine was built" in reason) == (not built)


def test_auto_never_takes_torch_or_null_on_its_own(monkeypatch):
    monkeypatch.setattr(registry, "_installed", installed("torch", "null"))
    with pytest.raises(EngineError, match=r"here: tensorrt: .*openvino: .*onnxruntime: "):
        registry.choose("auto")
    assert registry.choose("null")[0] == "null"
    with pytest.raises(EngineError, match="openvino was asked for and cannot be used"):
        registry.choose("openvino")


def test_looking_at_what_is_usable_imports_nothing_heavy():
    code = "import sys; from vivant.engines import registry; registry.usable(); registry.choose('null')\n"
    code += "print([n for n in ('openvino', 'onnxruntime', 'torch', 'numpy.f2py') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", USABLE)
def test_a_usable_backend_says_so_when_imported(backend):
    assert registry.look(backend, deep=True).usable


@pytest.mark.parametrize(
    ("name", "precision"), [("openvino", "half"), ("onnxruntime", "bf16"), ("torch", "int8")]
)
def test_a_precision_that_a_backend_would_replace_by_another_is_refused(name, precision):
    from vivant.engines.kinds import load_student

    with pytest.raises(EngineError, match=f"{name} does not run precision {precision}; it runs"):
        registry.check_precision(name, precision)
    if registry.look(name).usable:
        with pytest.raises(EngineError, match="does not run"):
            load_student("house", name, precision, (64, 64), 1)
    for known in registry.BACKENDS[name].precisions:
        registry.check_precision(name, known)
