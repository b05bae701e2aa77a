"""A student of three tiny ONNX graphs with random weights, for tests of whatever runs students."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

STYLES = ["oil", "ink", "engraving", "mosaic"]
SLOTS, RANK = 2, 3
SITES = {"denoise": {"styled": [4, 32]}, "decode": {"styled": [4, 32], "stained": [32, 32]}}
HEAD = '<ir_version: 10, opset_import: ["" : 17]>\n'
ADAPTER_INPUTS = ", float[R,I] adapter_down, float[R,O] adapter_up, float[1,N] adapter_scale"
GRAPHS = {
    "encode": """
encode (uint8[1,H,W,3] frame) => (float[1,16,h,w] code, float[1,1,g,k] guide) {
  whole = Cast <to = 1> (frame)
  light = Mul (whole, byte)
  rgb = Transpose <perm = [0, 3, 1, 2]> (light)
  guide = Conv <strides = [2, 2]> (rgb, luma)
  quarter = Conv <strides = [4, 4]> (rgb, w_32_3_4_4)
  active = Relu (quarter)
  code = Conv <strides = [2, 2]> (active, w_16_32_2_2)
}""",
    "denoise": """
denoise (float[1,16,h,w] code, float[1,1,g,k] guide, float[1,1] sigma, float[1,4] styleADAPTERS)
    => (float[1,16,h,w] denoised) {
  seen = Conv <pads = [1, 1, 1, 1]> (code, w_32_16_3_3)
  looked = Conv <strides = [4, 4]> (guide, w_32_1_4_4)
  styled = MatMul (style, w_4_32)
  shift = Reshape (styled, places)
  both = Sum (seen, looked, shift)
  active = Relu (both)
  change = Conv <pads = [1, 1, 1, 1]> (active, w_16_32_3_3)
  changed = Add (code, change)
  clean = Sub (one, sigma)
  denoised = Mul (changed, clean)
}""",
    "decode": """
decode (float[1,16,h,w] code, float[1,1,g,k] guide, uint8[1,g,k,112] planes, float[1,4] styleADAPTERS)
    => (uint8[1,H,W,4] picture) {
  whole = Cast <to = 1> (planes)
  relief = Mul (whole, byte)
  deep = Transpose <perm = [0, 3, 1, 2]> (relief)
  woven = Conv (deep, w_32_112_1_1)
  styled = MatMul (style, w_4_32)
  stained = MatMul (styled, w_32_32)
  shift = Reshape (stained, places)
  colour = Conv <pads = [1, 1, 1, 1]> (code, v_32_16_3_3)
  tinted = Add (colour, shift)
  wide = Resize <mode = "nearest"> (tinted, , fourfold)
  sum = Add (woven, wide)
  active = Relu (sum)
  quads = Conv <pads = [1, 1, 1, 1]> (active, w_12_32_3_3)
  rgb = DepthToSpace <blocksize = 2, mode = "CRD"> (quads)
  lit = Resize <mode = "nearest"> (guide, , twofold)
  shaded = Add (rgb, lit)
  none = Mul (lit, zero)
  alpha = Add (none, one)
  rgba = Concat <axis = 1> (shaded, alpha)
  bright = Mul (rgba, full)
  limited = Clip (bright, zero, full)
  round = Round (limited)
  bytes = Cast <to = 2> (round)
  picture = Transpose <perm = [0, 2, 3, 1]> (bytes)
}""",
}
CONSTANTS = {
    "byte": np.float32(1 / 255),
    "zero": np.float32(0),
    "one": np.float32(1),
    "full": np.float32(255),
    "places": np.array([1, 32, 1, 1], np.int64),
    "twofold": np.array([1, 1, 2, 2], np.float32),
    "fourfold": np.array([1, 1, 4, 4], np.float32),
    "luma": np.repeat(np.array([0.299, 0.587, 0.114], np.float32) / 4, 4).reshape(1, 3, 2, 2),
    "spread": np.repeat(np.eye(SLOTS, dtype=np.float32), RANK, 1),
}
SHAPES = {
    "frame": (1, 64, 64, 3),
    "code": (1, 16, 8, 8),
    "guide": (1, 1, 32, 32),
    "planes": (1, 32, 32, 112),
    "sigma": (1, 1),
    "style": (1, 4),
}


def write_tiny_student(folder: Path, adapted: bool = False) -> Path:
    """Writes graphs (float, and int8 by onnxruntime's quantizer) and card.json; returns `folder`. When
    `adapted`, its graphs take adapters at SITES, and their base weights are those of the plain student."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in GRAPHS:
        _write_graph(part, folder / f"{part}.float.onnx", adapted)
        _quantize(part, folder / f"{part}.float.onnx", folder / f"{part}.int8.onnx")
    card = {
        "name": "tiny",
        "version": "1",
        "summary": "random weights, for tests",
        "styles": STYLES,
        "planes": "blocks-112",
        "adapters": {"slots": SLOTS, "rank": RANK, "sites": SITES} if adapted else None,
        "code_channels": 16,
        "size_multiple": 32,
        "default_size": 64,
        "sigma_range": [0.1, 0.8],
        "graphs": {
            part: {kind: entry(folder / f"{part}.{kind}.onnx") for kind in ("float", "int8")}
            for part in GRAPHS
        },
        "made_with": "tests/tiny_student.py",
        "trained": {},
        "license": "Apache-2.0",
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def entry(path: Path) -> dict[str, str]:
    """What a card says of a file."""
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def changed_student(folder: Path, target: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of a student in `target` whose card went through `change`."""
    if folder != target:
        target.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    card = json.loads((folder / "card.json").read_text())
    card["folder"] = target
    change(card)
    del card["folder"]
    (target / "card.json").write_text(json.dumps(card))
    return target


def _with_adapters(part: str, text: str) -> str:
    """The graph with low-rank pairs added to its sites, side by side in their order."""
    sites = SITES[part]
    text = text.replace("ADAPTERS", ADAPTER_INPUTS)
    inputs, outputs = ("_".join(str(size[i]) for size in sites.values()) for i in (0, 1))
    lines = [
        "share = MatMul (adapter_scale, spread)",
        f"{', '.join(f'{site}_down' for site in sites)} = Split <axis = 1> (adapter_down, split_{inputs})",
        f"{', '.join(f'{site}_up' for site in sites)} = Split <axis = 1> (adapter_up, split_{outputs})",
    ]
    text = text.replace(") {\n", ") {\n" + "".join(f"  {line}\n" for line in lines), 1)
    for site in sites:
        plain = next(line for line in text.splitlines() if line.startswith(f"  {site} = MatMul"))
        source = plain.split("(")[1].split(",")[0]
        added = [
            plain.replace(f"{site} =", f"{site}_base ="),
            f"  {site}_turned = Transpose <perm = [1, 0]> ({site}_down)",
            f"  {site}_low = MatMul ({source}, {site}_turned)",
            f"  {site}_scaled = Mul ({site}_low, share)",
            f"  {site}_more = MatMul ({site}_scaled, {site}_up)",
            f"  {site} = Add ({site}_base, {site}_more)",
        ]
        text = text.replace(plain, "\n".join(added))
    return text


def _write_graph(part: str, path: Path, adapted: bool) -> None:
    import onnx
    from onnx import numpy_helper, parser

    text = _with_adapters(part, GRAPHS[part]) if adapted and part in SITES else GRAPHS[part]
    model = parser.parse_model(HEAD + text.replace("ADAPTERS", "").strip())
    made = {name for node in model.graph.node for name in node.output}
    made |= {each.name for each in model.graph.input}
    for name in dict.fromkeys(name for node in model.graph.node for name in node.input):
        if name and name not in made:
            model.graph.initializer.append(numpy_helper.from_array(_weight(name), name))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _weight(name: str) -> np.ndarray:
    """A constant; for "split_4_32" these lengths; for "w_16_32_3_3" random weights of that shape."""
    if name in CONSTANTS:
        return np.asarray(CONSTANTS[name])
    kind, *sizes = name.split("_")
    shape = [int(length) for length in sizes]
    if kind == "split":
        return np.array(shape, np.int64)
    rng = np.random.Generator(
        np.random.Philox(key=int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
    )
    return rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)


def _quantize(part: str, source: Path, target: Path) -> None:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    inputs, outputs = [sum(size[i] for size in SITES.get(part, {}).values()) for i in (0, 1)]
    shapes = SHAPES | {
        "adapter_down": (SLOTS * RANK, inputs),
        "adapter_up": (SLOTS * RANK, outputs),
        "adapter_scale": (1, SLOTS),
    }
    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = 4
            self.rng = np.random.Generator(np.random.Philox(key=8))

        def get_next(self):
            self.left -= 1
            return {name: self._draw(name) for name in names} if self.left >= 0 else None

        def _draw(self, name):
            if name in ("frame", "planes"):
                return self.rng.integers(0, 256, shapes[name], dtype=np.uint8)
            spread = self.rng.normal if name == "code" else self.rng.random
            return spread(size=shapes[name]).astype(np.float32)

    logging.getLogger().setLevel(logging.ERROR)  # it advises on preprocessing these graphs do not need
    quantize_static(
        source,
        target,
        Batches(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
    )
    logging.getLogger().setLevel(logging.WARNING)
