"""The policy that a user fits: a small network that looks for forbidden kinds of pictures in a latent.

Fitted by vivant.guardrails.probe_fit; at run time one ONNX graph on one thread. A forbidden thing is not a
matter of degree: what it holds is not softened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from vivant.guardrails.sanity import malformed
from vivant.runtime.frames import F32, Array, Controls, Judgement, Latent, Verdict

VERSION: Final = 1  # of the graph's inputs and of what the thresholds mean


class Probe:
    """`graph` is ONNX: code f32 (1, C, h, w) and, if `guided`, guide f32 (1, 1, 4h, 4w), to one logit a kind;
    `thresholds` of the logits, f32 (K,). Raises ValueError when they do not belong together."""

    def __init__(
        self, graph: bytes, kinds: tuple[str, ...], thresholds: F32, guided: bool, name: str = "probe"
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the other cores paint
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own exceptions have no common base but this one
            raise ValueError(f"its graph cannot be loaded: {error}") from error
        self._inputs = {one.name: one.shape for one in self._session.get_inputs()}
        if set(self._inputs) != ({"code", "guide"} if guided else {"code"}):
            raise ValueError(f"its graph takes {', '.join(self._inputs)}")
        if thresholds.shape != (len(kinds),) or not kinds or not np.isfinite(thresholds).all():
            raise ValueError(f"thresholds {thresholds.shape} for {len(kinds)} kinds")
        self.name, self.kinds, self._thresholds, self._guided = name, kinds, thresholds, guided

    def judge(self, latent: Latent, controls: Controls) -> Verdict:
        fault = malformed(latent)
        if fault:
            return Verdict(Judgement.HOLD, 0.0, fault)
        if latent.code.shape[1] != self._inputs["code"][1] or (latent.guide is not None) != self._guided:
            return Verdict(Judgement.HOLD, 0.0, "the probe was fitted to latents of another shape")
        beyond = self.logits(latent) - self._thresholds
        worst = int(np.argmax(beyond))  # the first NaN, if there is one
        return passed_or_held(float(beyond[worst]), self.kinds[worst])

    def logits(self, latent: Latent) -> F32:
        """One a kind, f32 (K,), of a well-formed latent."""
        given = {"code": latent.code} | ({"guide": latent.guide} if self._guided else {})
        return np.asarray(self._session.run(None, given)[0], np.float32).reshape(-1)


def passed_or_held(beyond: float, kind: str) -> Verdict:
    """The verdict on a logit, by how far it is beyond the threshold of its kind."""
    if beyond <= 0.0:  # false for a NaN
        return Verdict(Judgement.PASS, _score(beyond), "nothing forbidden found")
    return Verdict(Judgement.HOLD, _score(beyond), f"looks like {kind}")


def _score(beyond: float) -> float:
    """1 far below the threshold, 0.5 at it; 0 for a NaN."""
    return 1 / (1 + math.exp(min(max(beyond, -50.0), 50.0))) if math.isfinite(beyond) else 0.0


def policy_of(kept: Mapping[str, Array]) -> Probe:
    """As vivant.guardrails.guard_file.PolicyKind."""
    if int(kept["version"]) != VERSION:
        raise ValueError(f"version {int(kept['version'])}, and this is version {VERSION}. Fit it again")
    kinds = tuple(json.loads(str(kept["kinds"])))
    return Probe(kept["graph"].tobytes(), kinds, kept["thresholds"].astype(np.float32), bool(kept["guided"]))
