"""NDI there and back on this machine: the real library, with addresses instead of multicast."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyndilib", reason="the extra 'ndi' is not installed")

from vivant.runtime.frames import MonotonicClock
from vivant.runtime.outputs.registry import Outputs
from vivant.runtime.senses.registry import check_sense, open_sense

CLOCK = MonotonicClock()
NAME = f"vivant-test-{os.getpid()}"


@pytest.fixture(scope="module", autouse=True)
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """NDI finds by multicast, which a test machine may not have; it asks the addresses in this file too.
    Read once, when the library is first used."""
    folder: Path = tmp_path_factory.mktemp("ndi")
    (folder / "ndi-config.v1.json").write_text(json.dumps({"ndi": {"networks": {"ips": "127.0.0.1,"}}}))
    os.environ["NDI_CONFIG_DIR"] = str(folder)
    yield
    del os.environ["NDI_CONFIG_DIR"]


def test_what_is_sent_is_what_comes_and_its_end_is_a_loss() -> None:
    check_sense(f"ndi:{NAME}")
    outputs, sense = Outputs([f"ndi:{NAME}"], CLOCK), open_sense(f"ndi:{NAME}", CLOCK)
    sent = np.zeros((48, 66, 4), np.uint8)  # a width whose rows NDI pads
    sent[..., 3], sent[:24, :, 0], sent[24:, 33:, 1] = 255, 200, 160
    try:
        frame, until = None, time.monotonic() + 30
        while frame is None and time.monotonic() < until:
            outputs.offer(sent)
            frame = sense.wait_newer(0, 0.05)
        assert frame is not None, "NDI found nothing on 127.0.0.1 in thirty seconds"
        assert frame.pixels.shape == (48, 66, 3)
        apart = np.abs(frame.pixels.astype(int) - sent[..., :3])
        assert np.median(apart) <= 3  # NDI compresses, and halves the colour's resolution
        outputs.close()
        until = time.monotonic() + 20
        while sense.state != "lost" and time.monotonic() < until:
            time.sleep(0.05)
        assert sense.state == "lost"
    finally:
        outputs.close()
        sense.close()
