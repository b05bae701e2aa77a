"""One client on the websocket: what it listens to, and what it is to be told."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

from vivant.runtime.oscquery.namespace import READ, Board, access, differences
from vivant.runtime.packets import typed_message

MOST_REFUSALS: Final = 32  # that wait for a client; more are not told
UNTOLD: Final = object()


class Session:
    """The server's thread owns it; `refusals` is filled by the present loop's."""

    def __init__(self, board: Board) -> None:
        self._parameters, self._events = board.parameters, board.events
        self._told: dict[str, Any] = {}
        self._awaited: set[str] = set()
        self._heard = board.happened[-1].number if board.happened else 0
        self.refusals: deque[bytes] = deque(maxlen=MOST_REFUSALS)

    def obey(self, text: str, board: Board) -> bool:
        """Act upon a command: LISTEN and IGNORE. False for what is none."""
        try:
            asked = json.loads(text)
            command, address = asked["COMMAND"], asked["DATA"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        if not isinstance(address, str) or command not in ("LISTEN", "IGNORE"):
            return False
        meant, events = _readable(board, address), _events(board, address)
        for one in meant:
            if command == "LISTEN":
                self._told[one] = UNTOLD
            else:
                self._told.pop(one, None)
        if command == "LISTEN":
            self._awaited |= events
        else:
            self._awaited -= events
        return bool(meant or events)

    def news(self, board: Board) -> list[str | bytes]:
        """What has to be sent now: commands as text, values, events and refusals as OSC packets."""
        found: list[str | bytes] = []
        if board.parameters is not self._parameters:
            became = [
                *differences(self._parameters, board.parameters),
                *differences(self._events, board.events),
            ]
            for command, address in became:
                found.append(json.dumps({"COMMAND": command, "DATA": address}))
                if command == "PATH_REMOVED":
                    self._told.pop(address, None)
                    self._awaited.discard(address)
            self._parameters, self._events = board.parameters, board.events
        for address, told in self._told.items():
            value = board.said(address)
            if value is not None and (told is UNTOLD or value != told):
                self._told[address] = value
                found.append(typed_message(address, (value,)))
        for event in board.happened:
            if event.number > self._heard:
                self._heard = event.number
                if event.address in self._awaited:
                    found.append(typed_message(event.address, event.args))
        while self.refusals:
            found.append(self.refusals.popleft())
        return found


def _readable(board: Board, address: str) -> list[str]:
    """The readable parameters that `address` means: itself, or where it is a container all that lies in it,
    because some programs listen to containers only."""
    inside = f"{address.rstrip('/')}/"
    found = (
        [address] if address in board.parameters else [a for a in board.parameters if a.startswith(inside)]
    )
    return [one for one in found if access(board.parameters[one]) & READ]


def _events(board: Board, address: str) -> set[str]:
    """The events that `address` means: itself, and all that lie in it."""
    inside = f"{address.rstrip('/')}/"
    return {one for one in board.events if one == address or one.startswith(inside)}
