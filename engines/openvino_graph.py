"""A student's graph as OpenVINO runs it fastest: adapters' products on pictures as convolutions.

In a diffusion student's graph what an adapter adds to a convolution is a product with every tap, a fixed
convolution that puts the taps in place, and a second product (vivant.engines.diffusion.unet): what every
engine takes. OpenVINO also takes convolutions whose weights come in. They need no picture turned flat and
back, and the second is added to its layer in the same pass.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

WORN: Final = "adapters as convolutions"  # in manifests: engines of other graphs are compiled anew
PICTURE: Final = 4  # axes: (B, C, h, w)


def convolve_worn(model: Any) -> int:  # openvino has no types
    """Write products on pictures as convolutions, in a model of static shapes, where that changes nothing but
    the order of sums. Says how many products are convolutions now."""
    found = 0
    for kind, writer in (("GroupConvolution", _with_taps), ("Reshape", _as_picture)):
        for op in model.get_ordered_ops():
            made, count = writer(op) if op.get_type_name() == kind else (None, 0)
            if made is not None:
                op.output(0).replace(made.output(0))
                found += count
    model.validate_nodes_and_infer_types()
    return found


def _with_taps(group: Any) -> tuple[Any, int]:
    """The convolution that a product with every tap and the placing of the taps are together."""
    from openvino import opset13 as ops

    flat = group.input_value(0).get_node()
    weights = list(group.input_value(1).get_shape())  # (R, 1, taps, kh, kw)
    if flat.get_type_name() != "Reshape" or not _only_places(group.input_value(1), weights):
        return None, 0
    product = flat.input_value(0).get_node()
    down, x = _product(product)
    if x is None:
        return None, 0
    rows, channels = down.get_shape()
    if rows != weights[0] * weights[2]:
        return None, 0
    shape = [weights[0], *weights[3:], channels]
    turned = ops.transpose(ops.reshape(down, _constant(shape), False), _constant([0, 3, 1, 2]))
    asked = group.get_attributes()
    moves = [asked[name] for name in ("strides", "pads_begin", "pads_end", "dilations")]
    return ops.convolution(x, turned, *moves), 1


def _only_places(weights: Any, shape: list[int]) -> bool:
    node = weights.get_node()
    while node.get_type_name() in ("Reshape", "Convert"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or shape[1] != 1 or shape[2] != shape[3] * shape[4]:
        return False
    wanted = np.eye(shape[2]).reshape(1, 1, *shape[2:])
    return bool((np.reshape(node.get_data(), shape) == wanted).all())


def _as_picture(shaped: Any) -> tuple[Any, int]:
    """The convolutions that make what a product, flat, is shaped to: a picture."""
    from openvino import opset13 as ops

    flat, wanted = shaped.input_value(0), shaped.output(0).get_partial_shape()
    if wanted.rank.get_length() != PICTURE:
        return None, 0
    up, x = _product(flat.get_node())
    count = 1
    if x is None:  # a product of a product, for layers of 1x1
        up, low = _product(flat.get_node(), on_picture=False)
        if low is None:
            return None, 0
        down, first = _product(low.get_node())
        if first is None:
            return None, 0
        x, count = ops.convolution(first, _pointwise(down), *_still()).output(0), 2
    if list(x.get_shape())[2:] != list(wanted.to_shape())[2:]:
        return None, 0
    return ops.convolution(x, _pointwise(up), *_still()), count


def _product(node: Any, on_picture: bool = True) -> tuple[Any, Any]:
    """(R, C) and the picture that it is multiplied with, or what is flat; None twice for any other node."""
    from openvino import opset13 as ops

    if node.get_type_name() != "MatMul" or node.get_attributes()["transpose_b"]:
        return None, None
    factor, flat = node.input_value(0), node.input_value(1)
    if len(factor.get_shape()) != 2 or len(flat.get_shape()) != PICTURE - 1:
        return None, None
    if node.get_attributes()["transpose_a"]:
        factor = ops.transpose(factor, _constant([1, 0])).output(0)
    if not on_picture:
        return factor, flat
    turn = flat.get_node()
    if turn.get_type_name() != "Reshape" or len(turn.input_value(0).get_shape()) != PICTURE:
        return None, None
    picture = turn.input_value(0)
    same = list(picture.get_shape())[:2] == list(flat.get_shape())[:2]
    return (factor, picture) if same else (None, None)


def _pointwise(factor: Any) -> Any:
    from openvino import opset13 as ops

    return ops.reshape(factor, _constant([*factor.get_shape(), 1, 1]), False)


def _still() -> list[list[int]]:
    return [[1, 1], [0, 0], [0, 0], [1, 1]]  # strides, padding before and after, dilations


def _constant(values: list[int]) -> Any:
    from openvino import opset13 as ops

    return ops.constant(np.array(values, np.int64))
