"""A classifier in ONNX of a few bytes: how red, and how green, a picture is on the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("red", "green", "neither")
STEEP = 12.0


def write_classifier(
    path: Path, size: int = 32, layout: str = "nchw", weights: np.ndarray | None = None, labels: int = 3
) -> Path:
    """Logits of each label; red is 1 where the mean of the red channel is above that of green by 0.5."""
    table = STEEP * np.array([[1, -1, 0], [-1, 1, 0], [0, 0, 0]], np.float32)
    table = table if weights is None else weights
    shape = [1, 3, "H", "W"] if layout == "nchw" else [1, size, size, 3]
    axes = [2, 3] if layout == "nchw" else [1, 2]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["picture", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "table"], ["turned"]),
            helper.make_node("Add", ["turned", "bias"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, labels])],
        [
            numpy_helper.from_array(table.T.copy(), "table"),
            numpy_helper.from_array(np.array([0, 0, STEEP / 2], np.float32)[:labels], "bias"),
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
