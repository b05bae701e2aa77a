"""`vivant` with a render process in which some of the latents are spoiled: what tools/spoiled_show.py starts.

    VIVANT_TRIAL_SPOIL=0.05 VIVANT_TRIAL_LOG=FILE python -m vivant.tools.spoiling run SCENE ...

Nothing of a show reads these variables. A render process is spawned, and a spawned process imports the
module that its parent was started with: only so does this one come to be there. It replaces one method of the
student in use by one that spoils what it gives, and writes a line for each judgement.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from vivant.cli.app import main
from vivant.engines.student import Student
from vivant.guardrails.acts import Acts
from vivant.guardrails.guard import Guard
from vivant.guardrails.spoil import WAYS, changed
from vivant.runtime.frames import Controls, Latent, Verdict

SHARE: Final = float(os.environ.get("VIVANT_TRIAL_SPOIL", "0"))
LOG: Final = os.environ.get("VIVANT_TRIAL_LOG", "")
CALM: Final = 30  # frames at the start, the warm-up's among them, that stay as they are


class Spoiler:
    """Spoils each latent with the probability SHARE, in one of WAYS, and keeps which it was."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(20261122)
        self._seen = 0
        self._way = ""
        self._denoise, self._act = Student.denoise, Acts.act

    def denoise(self, student: Student, latent: Latent, controls: Controls) -> Latent:
        """As Student.denoise, and spoiled now and then."""
        found = self._denoise(student, latent, controls)
        self._seen += 1
        self._way = ""
        if self._seen <= CALM or self._rng.uniform() >= SHARE:
            return found
        way = str(self._rng.choice(list(WAYS)))
        code = np.asarray(WAYS[way](found.code, self._rng), np.float32)
        if not changed(found.code, code):
            return found
        self._way = way
        return Latent(code, found.guide, found.sigma, found.scaled)

    def act(self, acts: Acts, guard: Guard, latent: Latent, controls: Controls) -> tuple[Latent, Verdict]:
        """As Acts.act, and written down: what was spoiled, whether it is to be decoded, and as it was."""
        chosen, verdict = self._act(acts, guard, latent, controls)
        whole = chosen is latent
        line = {
            "frame": self._seen,
            "way": self._way,
            "verdict": verdict.judgement.name,
            "decoded": verdict.admits,
            "as_it_was": whole,
            "reason": verdict.reason,
        }
        with Path(LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        return chosen, verdict


def spoil() -> None:
    """Put the spoiler in the place of the student's and the acts' own methods, in this process."""
    spoiler = Spoiler()
    replaced: Any = Student  # a type checker rightly minds what a show never does
    replaced.denoise = lambda student, latent, controls: spoiler.denoise(student, latent, controls)
    replaced = Acts
    replaced.act = lambda acts, guard, latent, controls: spoiler.act(acts, guard, latent, controls)


if LOG:
    spoil()
if __name__ == "__main__":
    main()
