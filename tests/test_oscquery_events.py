"""Which events a show has: those that its cues, triggers, adapters and effects say."""

from __future__ import annotations

import pytest

from vivant.runtime.oscquery.events import events_of
from vivant.runtime.scene import find_scene, load_scene, tree_of


@pytest.mark.parametrize(
    ("scene", "has", "lacks"),
    [
        ("vj", {"/vivant/refused", "/vivant/cues/current", "/vivant/cues/next"}, {"/vivant/trigger/a"}),
        ("attract", {"/vivant/trigger/engage"}, {"/vivant/cues/current", "/vivant/effects/refused"}),
    ],
)  # fmt: skip
def test_a_scene_has_the_events_of_its_parts(scene: str, has: set[str], lacks: set[str]) -> None:
    tree = tree_of(load_scene(find_scene(scene)))
    found = events_of(tree.parameters)
    assert has <= set(found) and not lacks & set(found)
    assert not set(found) & set(tree.parameters)  # a node is one or the other
    assert all(set(event.types) <= set("is") and event.meaning for event in found.values())
