"""What every cue comes to: all the values that the list names, tracked through it as on a light desk.

A value that a cue does not name is the one that the last cue before it in the list gave it, or else the one
that the show began with. So a cue always gives the same picture, whichever way one came to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vivant.runtime.cues.listing import LONGEST_WAIT_S, START, Aim, Cue
from vivant.runtime.frames import Value
from vivant.runtime.parameters import (
    BACK,
    CHOOSE,
    GO,
    GOTO,
    NORM,
    PANIC,
    PANIC_RELEASE,
    RESET,
    ROOT,
    STATUS,
    Parameter,
)
from vivant.runtime.problems import problem
from vivant.runtime.tree import Tree

CUES = ROOT + "cues/"
CUE = ROOT + "cue/"
AUTO = CUES + "auto"
NOT_OURS = (CUES, CUE, ROOT + "scene/", ROOT + "signal/", ROOT + "trigger/", PANIC, PANIC_RELEASE, RESET)

END = "end"

State = Mapping[str, Value]


def cue_parameters(cues: Sequence[Cue]) -> Iterator[Parameter]:
    """The parameters that a cue list adds; none where there is no cue."""
    if not cues:
        return
    names = (START, *(cue.name for cue in cues))
    yield Parameter(GO, "action", "the next cue of the list")
    yield Parameter(BACK, "action", "the cue before, in the time in which the last one came")
    yield Parameter(
        GOTO, "choice", "the cue that stands; set it to go to one", START, choices=names, acts=True
    )
    yield Parameter(AUTO, "bool", "whether cues go by themselves: after a time, at a time of day", True)
    for cue in cues:
        meaning = f"go to the cue {cue.name}" + (f": {cue.note}" if cue.note else "")
        yield Parameter(f"{CUE}{cue.name}/go", "action", meaning)
    stands, following = "the cue that stands", "the cue that go calls"
    yield Parameter(STATUS + "cue", "choice", stands, START, choices=names, read_only=True)
    yield Parameter(
        STATUS + "cue_next", "choice", following, names[1], choices=(*names[1:], END), read_only=True
    )
    yield Parameter(STATUS + "cue_progress", "float", "how far the cue's fades are", 1.0, read_only=True)
    yield Parameter(
        STATUS + "cue_follow_s",
        "float",
        "until another cue follows by itself; 0: none does",
        0.0,
        maximum=LONGEST_WAIT_S,
        unit="s",
        read_only=True,
    )


def disagreements(cues: Sequence[Cue], tree: Tree) -> list[str]:
    """Every value of `cues` that means nothing in this show, or that its parameter would not take."""
    return [line for cue in cues for line in _troubles(cue, tree)]


def _troubles(cue: Cue, tree: Tree) -> Iterator[str]:
    meant: set[str] = set()
    for address, aim in cue.aims.items():
        parameter = tree.parameters.get(address.removesuffix(NORM))
        if address.startswith(NOT_OURS):
            yield problem(aim.key, aim.value, "is for people and triggers; cues do not set it")
        elif address == CHOOSE and parameter is None:
            yield problem(aim.key, aim.value, "this student has no styles; set its prompt")
        elif (trouble := tree.problem(address, aim.value)) is not None:
            yield problem(aim.key, aim.value, trouble)
        elif address.removesuffix(NORM) in meant:
            yield problem(aim.key, aim.value, "is set twice")
        elif aim.fade_s is not None and parameter is not None and not _fades(parameter):
            yield problem((*aim.key, "fade_s"), aim.fade_s, f"{address} is there at once; it does not fade")
        meant.add(address.removesuffix(NORM))


def _fades(parameter: Parameter) -> bool:
    return parameter.kind == "float" or parameter.address == CHOOSE or parameter.kind == "text"


def aims_of(cue: Cue, tree: Tree) -> dict[str, Aim]:
    """A cue's aims by plain address, as values of their kind. What chooses a medium is followed by the
    weights that it comes to; weights that the cue names itself go before those."""
    found: dict[str, Aim] = {}
    for address, aim in sorted(cue.aims.items(), key=lambda item: item[0] != CHOOSE):
        outcome = tree.check(address, (aim.value,))
        if not outcome.taken:
            continue
        found[address.removesuffix(NORM)] = Aim(outcome.value, aim.fade_s, aim.curve, aim.key)
        if address == CHOOSE:
            for weight, goal in tree.weights_of(str(outcome.value)).items():
                found[weight] = Aim(goal, aim.fade_s, aim.curve, aim.key)
    return found


def states(aims: Sequence[Mapping[str, Aim]], begun: Mapping[str, Value]) -> tuple[State, ...]:
    """The whole of each cue, the start's first; `begun` are the values that the show began with."""
    named: dict[str, None] = {address: None for one in aims for address in one}
    state = {address: begun[address] for address in named}
    found = [dict(state)]
    for one in aims:
        state |= {address: aim.value for address, aim in one.items()}
        found.append(dict(state))
    return tuple(found)
