"""What is answered to a request: a page for people, JSON for programs. Functions of what was published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from vivant.runtime.endpoints import Endpoint
from vivant.runtime.oscquery.namespace import ATTRIBUTES, READ, UNKNOWN_HERE, Board, node

JSON: Final = "application/json"
EVERYWHERE: Final = "0.0.0.0"
LONGEST: Final = 1_000  # characters of a request that are read


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status with a body."""

    status: int
    body: bytes = b""
    content: str = JSON


@dataclass(frozen=True, slots=True)
class Host:
    """What HOST_INFO says: the show's name, where OSC is heard (None for nowhere), where this server is."""

    name: str
    osc: Endpoint | None
    served: Endpoint

    def info(self) -> dict[str, Any]:
        """HOST_INFO. An address is left out where it is the one that the request went to."""
        optional = sorted(ATTRIBUTES - {"FULL_PATH", "CONTENTS", "TYPE"})
        streamed = ("LISTEN", "PATH_ADDED", "PATH_CHANGED", "PATH_REMOVED")
        found: dict[str, Any] = {
            "NAME": self.name,
            "EXTENSIONS": dict.fromkeys((*optional, *streamed), True),
            "WS_PORT": self.served[1],
        }
        if self.served[0] != EVERYWHERE:
            found["WS_IP"] = self.served[0]
        if self.osc is not None:
            found |= {"OSC_PORT": self.osc[1], "OSC_TRANSPORT": "UDP"}
            if self.osc[0] != EVERYWHERE:
                found["OSC_IP"] = self.osc[0]
        return found


def answer(target: str, accept: str, board: Board, host: Host) -> Answer:
    """The answer to `GET target`. A browser, which accepts text/html, gets the page of sliders at `/`."""
    split = urlsplit(target[:LONGEST])
    path, queries = unquote(split.path).rstrip("/"), [part.partition("=")[0] for part in _parts(split.query)]
    if "HOST_INFO" in queries:
        return _json(host.info())
    if "HTML" in queries or (not path and not queries and "text/html" in accept):
        return Answer(200, page(), "text/html; charset=utf-8")
    found = node(board, path)
    if found is None:
        return Answer(404)
    if not queries:
        return _json(found)
    if not set(queries) <= ATTRIBUTES | UNKNOWN_HERE:
        return Answer(400)
    if set(queries) & UNKNOWN_HERE or ("VALUE" in queries and not found["ACCESS"] & READ):
        return Answer(204)
    return _json({name: found[name] for name in queries if name in found})


def _parts(query: str) -> list[str]:
    return [part for part in query.split("&") if part]


def _json(found: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(found).encode())


@cache
def page() -> bytes:
    """The page of sliders: one file that needs no other."""
    return (resources.files(__package__ or "vivant.runtime.oscquery") / "page.html").read_bytes()


def speaks_to_us(host: str, origin: str | None, own_names: frozenset[str]) -> bool:
    """Whether a browser's request is meant for this server: `Host` names an address or this machine, not some
    site whose name was pointed here, and `Origin`, which a page of another site cannot hide, is our own."""
    name = host.rpartition(":")[0] if ":" in host else host
    numeric = bool(name) and all(part.isdecimal() for part in name.split("."))
    short = name.lower().removesuffix(".local").removesuffix(".lan")
    if not numeric and short not in own_names:
        return False
    return origin is None or origin.lower() == f"http://{host}".lower()
