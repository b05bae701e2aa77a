"""INT8 graphs from float ones: static quantization with explicit Q/DQ, without torch.

For CPUs activations are U8 with a zero point and weights S8 per channel; symmetric S8 activations, which
TensorRT wants, run at float speed there. Only convolutions are quantized: embeddings and adapters stay in
float, and so does every convolution that writes an output, because what the guard judges and the planes are
made from is not to be rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from vivant.engines.card import data_file
from vivant.runtime.frames import Array, VivantError

WHOLE_BYTES = 1_900_000_000  # a protobuf holds two gigabytes
LINEAR = ("MatMul", "Gemm")  # what linear layers become; a house student's stay float


class QuantizeError(VivantError):
    """A graph cannot be quantized."""


Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A float graph made ready; the lowest and highest value that each of its tensors is to hold; and what
    each channel of a convolution's input is in the mean."""

    model: Any  # onnx.ModelProto
    ranges: Ranges
    means: Mapping[str, Array]


def calibrate(
    float_onnx: Path,
    samples: Sequence[Mapping[str, Array]],
    groups: Sequence[str] | None = None,
    kinds: Sequence[str] = ("Conv",),
) -> Calibrated:
    """Run `samples` (inputs by name; sizes may differ) and see how far each tensor reaches.

    A group is what paints in one way, a style or an adapter. Within a group ranges are averaged, because a
    rare outlier would cost every picture 3 dB; over the groups they are joined, because an average over all
    would cut off the one style that reaches furthest (measured: it lost 20 dB).
    `kinds` are the operators that are to be quantized.
    Raises QuantizeError when there is nothing to calibrate with.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not samples:
        raise QuantizeError(f"{float_onnx}: no calibration samples; give at least one set of inputs")
    with TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        large = data_file(float_onnx).exists()
        quant_pre_process(
            float_onnx,
            prepared,
            skip_symbolic_shape=True,
            save_as_external_data=large,
            all_tensors_to_one_file=large,
            external_data_location="prepared.data" if large else None,
        )
        model = onnx.load(prepared)
    for node in model.graph.node:
        node.name = name_of(node)
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    ranged = {"Relu", *kinds}
    near = {name for n in model.graph.node if n.op_type in ranged for name in (n.input[0], *n.output)}
    wanted = sorted(near - {one.name for one in model.graph.initializer})
    inputs = {one.name for one in model.graph.input}
    already = {one.name for one in seen.graph.output}
    seen.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in wanted if name not in inputs | already
    )
    with TemporaryDirectory() as folder:
        save(seen, Path(folder) / "seen.onnx")
        session = onnxruntime.InferenceSession(Path(folder) / "seen.onnx", providers=["CPUExecutionProvider"])
    reached: dict[str, list[dict[str, tuple[float, float]]]] = {}
    entering = {node.input[0] for node in model.graph.node if node.op_type == "Conv"}
    channels: dict[str, list[Array]] = {name: [] for name in entering}
    for sample, group in zip(samples, groups or [""] * len(samples), strict=True):
        known = {one.name: sample[one.name] for one in session.get_inputs()}
        made = dict(zip(wanted, _of(session, known, wanted), strict=True))
        reached.setdefault(group, []).append({n: (float(v.min()), float(v.max())) for n, v in made.items()})
        for name in entering:
            channels[name].append(made[name].mean((0, 2, 3), dtype=np.float64))
    means = [
        {name: np.mean([one[name] for one in of_group], 0) for name in wanted}
        for of_group in reached.values()
    ]
    lows, highs = ({n: f(m[n][i] for m in means) for n in wanted} for i, f in ((0, min), (1, max)))
    ranges = {name: (float(lows[name]), float(highs[name])) for name in wanted}
    return Calibrated(model, ranges, {name: np.mean(seen_means, 0) for name, seen_means in channels.items()})


def name_of(node: Any) -> str:  # onnx.NodeProto
    """A node's name; that of its output where an exporter gave it none."""
    return str(node.name or node.output[0])


def _of(session: Any, inputs: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
    """Tensors of a session by name, inputs among them."""
    asked = [name for name in names if name not in inputs]
    made = dict(zip(asked, session.run(asked, dict(inputs)), strict=True))
    return [inputs[name] if name in inputs else made[name] for name in names]


def quantize(
    calibrated: Calibrated,
    int8_onnx: Path,
    symmetric: bool = False,
    only: Sequence[str] | None = None,
    whole: Collection[str] = (),
    kinds: Sequence[str] = ("Conv",),
) -> None:
    """Write an INT8 graph. u8 inputs and outputs are quantized by their own exact steps.

    `symmetric` writes S8 activations without a zero point, and u8 inputs and outputs stay casts: what
    TensorRT takes. `only` quantizes the named convolutions alone. The outputs of those in `whole` are not
    rounded (in a symmetric graph none are); onnxruntime runs such a convolution in float. `kinds` are
    operators, of which those with fixed weights are quantized.
    """
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.ModelProto()
    model.CopyFrom(calibrated.model)
    outputs = {output.name for output in model.graph.output}
    fixed = {one.name for one in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in kinds]
    excluded = [
        n.name
        for n in layers
        if outputs & set(n.output) or n.input[1] not in fixed or (only is not None and n.name not in only)
    ]
    correct_biases(model, calibrated.means, {n.name for n in layers}.difference(excluded))
    data = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in calibrated.ranges.items()
    }
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],
        nodes_to_exclude=excluded,
        op_types_to_quantize=list(kinds),
        extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized = quantizer.model.model
    if not symmetric:
        enter_as_bytes(quantized)
        leave_as_bytes(quantized)
    keep_whole(quantized, {n.name for n in layers} if symmetric else set(whole))
    rectify_once(quantized)
    leave_unrounded(quantized)
    drop_unused(quantized)
    save(quantized, int8_onnx)
    onnx.checker.check_model(str(int8_onnx))


def save(model: Any, path: Path, whole_bytes: int = WHOLE_BYTES) -> None:  # onnx.ModelProto
    """Write a graph; above `whole_bytes` its weights go to one file beside it (data_file)."""
    import onnx

    data_file(path).unlink(missing_ok=True)  # onnx would write behind what is there
    large = model.ByteSize() > whole_bytes
    onnx.save(model, path, save_as_external_data=large, location=data_file(path).name)


def correct_biases(model: Any, means: Mapping[str, Array], names: Collection[str]) -> None:
    """Add to the biases of the named convolutions what rounding their weights takes away in the mean (Nagel
    et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019)."""
    from onnx import numpy_helper

    values = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name not in names or len(node.input) < 3:
            continue
        weight, bias = (numpy_helper.to_array(values[name]) for name in node.input[1:3])
        step = np.abs(weight).max((1, 2, 3), keepdims=True) / 127 + 1e-12
        lost = (weight - np.rint(weight / step) * step).sum((2, 3))
        corrected = (bias + lost @ means[node.input[0]]).astype(np.float32)
        values[node.input[2]].CopyFrom(numpy_helper.from_array(corrected, node.input[2]))


class _Links:
    """Who makes and who uses each tensor of a graph. Made anew after each change."""

    def __init__(self, graph: Any) -> None:  # onnx.GraphProto
        self.graph = graph
        self.maker = {name: node for node in graph.node for name in node.output}
        self.users: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def after(self, node: Any, kinds: tuple[str, ...]) -> list[Any] | None:
        """The nodes that follow `node` one by one, if they are of these kinds and nothing else uses them
        but the last; None where the graph goes otherwise."""
        chain = []
        for kind in kinds:
            users = self.users.get(node.output[0], [])
            if len(users) != 1 or users[0].op_type != kind:
                return None
            node = users[0]
            chain.append(node)
        return chain

    def value(self, name: str) -> float:
        """The scalar constant behind a tensor name."""
        from onnx import numpy_helper

        for initializer in self.graph.initializer:
            if initializer.name == name:
                return float(numpy_helper.to_array(initializer))
        return float(numpy_helper.to_array(self.maker[name].attribute[0].t))


def _put_scale(graph: Any, name: str, scale: float, zero: int) -> list[str]:
    from onnx import numpy_helper

    arrays = {f"{name}_step": np.float32(scale), f"{name}_zero": np.uint8(zero)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items())
    return list(arrays)


def _replace(graph: Any, old: list[Any], new: Any) -> None:
    at = min(list(graph.node).index(node) for node in old)
    for node in old:
        graph.node.remove(node)
    graph.node.insert(at, new)


def enter_as_bytes(model: Any) -> None:
    """u8 -> (x - zero) * step -> Q -> DQ becomes u8 -> DQ: the input already is the quantized tensor.

    There may be no zero to subtract, and a transposition before Q; that one stays, after DQ.
    """
    from onnx import helper

    graph = model.graph
    ends = ("QuantizeLinear", "DequantizeLinear")
    ways = [(*sub, "Mul", *turn, *ends) for sub in ((), ("Sub",)) for turn in ((), ("Transpose",))]
    for cast in [node for node in graph.node if node.op_type == "Cast"]:
        links = _Links(graph)
        chain = next((found for way in ways if (found := links.after(cast, way))), None)
        if chain is None:
            continue
        kinds = {node.op_type: node for node in chain}
        zero = round(links.value(kinds["Sub"].input[1])) if "Sub" in kinds else 0
        steps = _put_scale(graph, cast.output[0], links.value(kinds["Mul"].input[1]), zero)
        output, turn = kinds["DequantizeLinear"].output[0], kinds.get("Transpose")
        if turn is not None:
            turn.output[0], output = output, turn.input[0]
        new = helper.make_node("DequantizeLinear", [cast.input[0], *steps], [output])
        _replace(graph, [cast, *(node for node in chain if node is not turn)], new)


def leave_as_bytes(model: Any) -> None:
    """(Q -> DQ ->) round -> clip -> u8 becomes one Q by steps of 1: the output is the quantized tensor.

    (Preparing the graph has folded a gain before the rounding into the convolution.) Rounded to calibrated
    steps first, a value that is always 255 could leave as 254.
    """
    from onnx import helper

    graph = model.graph
    for node in [node for node in graph.node if node.op_type == "Round"]:
        chain = _Links(graph).after(node, ("Clip", "Cast"))
        if chain is None:
            continue
        steps = _put_scale(graph, chain[-1].output[0], 1.0, 0)
        source, pair = _before_rounding(graph, node)
        new = helper.make_node("QuantizeLinear", [source, *steps], [chain[-1].output[0]])
        _replace(graph, [*pair, node, *chain], new)


def _before_rounding(graph: Any, node: Any) -> tuple[str, list[Any]]:
    """What enters the Q -> DQ in front of a node, and that pair where nobody else uses it; else what enters
    the node."""
    links = _Links(graph)
    dequantize = links.maker.get(node.input[0])
    quantize = links.maker.get(dequantize.input[0]) if dequantize is not None else None
    if dequantize is None or quantize is None:
        return node.input[0], []
    if (quantize.op_type, dequantize.op_type) != ("QuantizeLinear", "DequantizeLinear"):
        return node.input[0], []
    if len(links.users[node.input[0]]) > 1 or len(links.users[dequantize.input[0]]) > 1:
        return node.input[0], []
    return quantize.input[0], [quantize, dequantize]


def leave_unrounded(model: Any) -> None:
    """x -> Q -> DQ -> Conv -> output becomes x -> Conv -> output: another user of x had it rounded."""
    graph = model.graph
    outputs = {output.name for output in graph.output}
    links = _Links(graph)
    for conv in [n for n in graph.node if n.op_type == "Conv" and n.output[0] in outputs]:
        dequantize = links.maker.get(conv.input[0])
        quantize = links.maker.get(dequantize.input[0]) if dequantize is not None else None
        if quantize is not None and quantize.op_type == "QuantizeLinear":
            conv.input[0] = quantize.input[0]


def rectify_once(model: Any) -> None:
    """Conv -> Q -> DQ -> Relu becomes Conv -> Relu: half of the range before a Relu is thrown away."""
    graph = model.graph
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        chain = _Links(graph).after(conv, ("QuantizeLinear", "DequantizeLinear", "Relu"))
        if chain is None:
            continue
        chain[2].input[0] = conv.output[0]
        graph.node.remove(chain[0])
        graph.node.remove(chain[1])


def keep_whole(model: Any, names: Collection[str]) -> None:
    """Conv -> Q -> DQ -> anything becomes Conv -> anything, for the layers named: where outputs are
    added, or a style scales them, rounding them first and again after costs 1 to 6 dB."""
    graph = model.graph
    for conv in [node for node in graph.node if node.name in names]:
        links = _Links(graph)
        chain = links.after(conv, ("QuantizeLinear", "DequantizeLinear"))
        if chain is None:
            continue
        for user in links.users.get(chain[1].output[0], []):
            user.input[:] = [conv.output[0] if n == chain[1].output[0] else n for n in user.input]
        for node in chain:
            graph.node.remove(node)


def drop_unused(model: Any) -> None:
    """Forget constants that no node reads any more."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] not in read]:
        graph.node.remove(node)
    for initializer in [i for i in graph.initializer if i.name not in read]:
        graph.initializer.remove(initializer)
