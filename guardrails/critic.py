"""The critic's eye: an image classifier in ONNX that the user brings, run on pictures that were decoded."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from vivant.runtime.frames import F32, U8, Array, VivantError

Layout = Literal["nchw", "nhwc"]
Order = Literal["rgb", "bgr"]
Scores = Literal["softmax", "sigmoid", "plain"]
SHOWN: Final = 12  # characters of a hash
INPUTS: Final[Mapping[str, type]] = MappingProxyType(
    {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
)
NO_LABELS: Final = "Give its labels in the order of its outputs, one a line"


class CriticError(VivantError):
    """The classifier that a scene names cannot be used."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which classifier, and how pictures are given to it. `size_px` (width, height); `mean` and `std` of its
    training for values in [0, 1], by channel in RGB; `forbidden` thresholds in [0, 1] by label. `scores` says
    what its output is: logits of one label (softmax) or of each alone (sigmoid), or probabilities (plain).
    `output` is empty for its first. `sha256` may be shortened, or empty."""

    file: Path
    labels: tuple[str, ...]
    forbidden: Mapping[str, float]
    size_px: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    layout: Layout = "nchw"
    order: Order = "rgb"
    scores: Scores = "softmax"
    output: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the critic says of one picture: the forbidden label that is nearest to its threshold or farthest
    beyond, its score in [0, 1], and whether that is too much."""

    label: str
    score: float
    threshold: float

    @property
    def forbidden(self) -> bool:
        return self.score >= self.threshold


class Critic:
    """A classifier in use, on one thread of the processor. Owned by one thread."""

    def __init__(self, plan: Plan) -> None:
        """Raises CriticError for a file that is missing, of another hash, no such model, or one whose input,
        output or labels are others than the plan says."""
        self._plan = plan
        self._session = _session(plan)
        given = self._session.get_inputs()
        if len(given) != 1 or given[0].type not in INPUTS:
            found = ", ".join(f"{one.name} {one.type}" for one in given)
            raise CriticError(f"critic {plan.file} takes {found}; it should take one picture: {_known()}")
        self._input, self._dtype = given[0].name, INPUTS[given[0].type]
        self._output = _output_of(plan, [one.name for one in self._session.get_outputs()])
        _refuse_shape(plan, given[0].shape)
        self._places = {label: plan.labels.index(label) for label in plan.forbidden}
        self._try()

    def look(self, pixels: U8) -> Finding:
        """One picture, u8 (H, W, 3 or 4). Raises CriticError where the model gives no usable scores, and
        whatever else it raises."""
        scores = self._scores(pixels)
        beyond = {label: scores[place] - self._plan.forbidden[label] for label, place in self._places.items()}
        worst = max(beyond, key=lambda label: float(beyond[label]))
        return Finding(worst, float(scores[self._places[worst]]), self._plan.forbidden[worst])

    def _scores(self, pixels: U8) -> F32:
        (raw,) = self._session.run([self._output], {self._input: self._given(pixels)})
        flat = np.asarray(raw, np.float32).reshape(-1)
        if flat.size != len(self._plan.labels):
            raise CriticError(
                f"critic {self._plan.file} gives {flat.size} scores, and {len(self._plan.labels)} labels are "
                f"named. {NO_LABELS}"
            )
        scores = SCORES[self._plan.scores](flat)
        if not np.isfinite(scores).all() or scores.min() < -1e-3 or scores.max() > 1 + 1e-3:
            raise CriticError(
                f"critic {self._plan.file} gives scores from {scores.min():.3g} to {scores.max():.3g}, not "
                f"within [0, 1]. Write what they are: scores = one of {', '.join(SCORES)}"
            )
        return scores

    def _given(self, pixels: U8) -> Array:
        import cv2

        plan = self._plan
        small = cv2.resize(np.ascontiguousarray(pixels[..., :3]), plan.size_px, interpolation=cv2.INTER_AREA)
        if self._dtype is np.uint8:
            picture: Array = small
        else:
            mean, std = (np.array(one, np.float32) for one in (plan.mean, plan.std))
            picture = ((small.astype(np.float32) / 255 - mean) / std).astype(self._dtype)
        if plan.order == "bgr":
            picture = picture[..., ::-1]
        if plan.layout == "nchw":
            picture = picture.transpose(2, 0, 1)
        return np.ascontiguousarray(picture[None])

    def _try(self) -> None:
        """One grey picture, so that what does not fit is said before the show."""
        try:
            self.look(np.full((64, 64, 3), 128, np.uint8))
        except CriticError:
            raise
        except Exception as error:
            raise CriticError(f"critic {self._plan.file} cannot judge a picture: {error}") from error


def labels_in(file: Path) -> tuple[str, ...]:
    """The labels of a text file, one a line. Raises CriticError."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise CriticError(f"labels {file} cannot be read: {why}. {NO_LABELS}") from error
    return tuple(line for line in lines if line)


def unknown_label(label: str, labels: tuple[str, ...]) -> str:
    """What is wrong with a label that is not among them."""
    near = difflib.get_close_matches(label, labels, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(labels[:8])}"
    return f"'{label}' is none of the {len(labels)} labels{hint}"


def _softmax(logits: F32) -> F32:
    raised = np.exp(logits - logits.max())
    return np.asarray(raised / raised.sum(), np.float32)


def _sigmoid(logits: F32) -> F32:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)


def _plain(scores: F32) -> F32:
    return scores


SCORES: Final = MappingProxyType({"softmax": _softmax, "sigmoid": _sigmoid, "plain": _plain})


def _session(plan: Plan) -> Any:  # onnxruntime has no types
    try:
        data = plan.file.read_bytes()
    except OSError as error:
        raise CriticError(f"critic {plan.file} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(plan.sha256):
        raise CriticError(
            f"critic {plan.file} has sha256 {found[:SHOWN]}, and the scene says {plan.sha256[:SHOWN]}. Put "
            "that file back, or write the new hash once you trust it"
        )
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:  # by its path, since a large model has its weights in a file beside it
        return ort.InferenceSession(str(plan.file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class but this
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CriticError(f"critic {plan.file} is no model that onnxruntime runs: {first}") from error


def _output_of(plan: Plan, names: list[str]) -> str:
    if plan.output and plan.output not in names:
        raise CriticError(f"critic {plan.file} has no output {plan.output}; it has {', '.join(names)}")
    return plan.output or names[0]


def _refuse_shape(plan: Plan, shape: list[object]) -> None:
    """`shape` has numbers, and names where any size will do."""
    width, height = plan.size_px
    asked = (1, 3, height, width) if plan.layout == "nchw" else (1, height, width, 3)
    bound = [isinstance(one, int) for one in shape]
    if len(shape) != 4 or any(b and x != y for b, x, y in zip(bound, shape, asked, strict=True)):
        raise CriticError(
            f"critic {plan.file} takes pictures of shape {shape}, and the scene gives {list(asked)} "
            f"({plan.layout}). Change size or layout"
        )


def _known() -> str:
    return ", ".join(INPUTS)
