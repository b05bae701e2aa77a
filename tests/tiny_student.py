"""A student of three tiny ONNX graphs with random weights, for tests of whatever runs students."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

STYLES = ["mosaic", "ink", "engraving", "strokes"]
PLANES = 20
HEAD = '<ir_version: 10, opset_import: ["" : 17]>\n'
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
denoise (float[1,16,h,w] code, float[1,1,g,k] guide, float[1,1] sigma, float[1,4] style)
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
decode (float[1,16,h,w] code, float[1,1,g,k] guide, uint8[1,20,H,W] planes, float[1,4] style)
    => (uint8[1,H,W,4] picture) {
  whole = Cast <to = 1> (planes)
  relief = Mul (whole, byte)
  woven = Conv <pads = [1, 1, 1, 1]> (relief, w_32_20_3_3)
  styled = MatMul (style, w_4_32)
  shift = Reshape (styled, places)
  colour = Conv <pads = [1, 1, 1, 1]> (code, v_32_16_3_3)
  tinted = Add (colour, shift)
  wide = Resize <mode = "nearest"> (tinted, , eightfold)
  sum = Add (woven, wide)
  active = Relu (sum)
  rgb = Conv <pads = [1, 1, 1, 1]> (active, w_3_32_3_3)
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
    "eightfold": np.array([1, 1, 8, 8], np.float32),
    "luma": np.repeat(np.array([0.299, 0.587, 0.114], np.float32) / 4, 4).reshape(1, 3, 2, 2),
}


def write_tiny_student(folder: Path) -> Path:
    """Writes graphs (float, and int8 by onnxruntime's quantizer) and card.json; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in GRAPHS:
        _write_graph(part, folder / f"{part}.float.onnx")
        _quantize(folder / f"{part}.float.onnx", folder / f"{part}.int8.onnx")
    card = {
        "name": "tiny",
        "version": "1",
        "summary": "random weights, for tests",
        "styles": STYLES,
        "planes": [f"plane{i}" for i in range(PLANES)],
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


def changed_student(folder, target, change):
    """A copy of a student in `target` whose card went through `change`."""
    if folder != target:
        for path in folder.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    card = json.loads((folder / "card.json").read_text())
    change(card | {"folder": target})
    (target / "card.json").write_text(json.dumps(card))
    return target


def _write_graph(part: str, path: Path) -> None:
    import onnx
    from onnx import numpy_helper, parser

    model = parser.parse_model(HEAD + GRAPHS[part].strip())
    rng = np.random.Generator(np.random.Philox(key=7))
    made = {node.output[0] for node in model.graph.node} | {each.name for each in model.graph.input}
    for name in dict.fromkeys(name for node in model.graph.node for name in node.input):
        if name and name not in made:
            model.graph.initializer.append(numpy_helper.from_array(_weight(name, rng), name))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _weight(name: str, rng: np.random.Generator) -> np.ndarray:
    """A constant, or for "w_16_32_3_3" random weights of that shape."""
    if name in CONSTANTS:
        return np.asarray(CONSTANTS[name])
    shape = [int(length) for length in name.split("_")[1:]]
    return rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32)


def _quantize(source: Path, target: Path) -> None:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    shapes = {
        "frame": (1, 64, 64, 3),
        "code": (1, 16, 8, 8),
        "guide": (1, 1, 32, 32),
        "planes": (1, 20, 64, 64),
    }
    shapes |= {"sigma": (1, 1), "style": (1, 4)}
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
