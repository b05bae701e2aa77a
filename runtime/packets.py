"""OSC datagrams taken apart: hostile bytes in, messages or `Malformed` out, never anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import OscMessageBuilder

BUNDLE: Final = b"#bundle\0"
AT_ONCE: Final = 1  # the time tag that means now
LARGEST_DATAGRAM: Final = 16_384  # bytes; larger ones are refused unread, so that none costs much
DEEPEST: Final = 16  # bundles in bundles; nobody means more, and each level copies what is in it
LARGEST_MESSAGE: Final = 1_024  # bytes; the longest message that means anything here has about a hundred
KNOWN_TAGS: Final = b"ifsbhdtrmTFN[]"
IMPULSE: Final = b"I"  # OSC 1.1's bang; python-osc does not know it
NOTHING: Final = b"N"  # what OSCQuery's clients may send instead of no argument
SECONDS_1900_TO_1970: Final = 2_208_988_800  # OSC counts like NTP


class Malformed(Exception):
    """The bytes are no OSC."""


def time_tag(wall_s: float) -> int:
    """The OSC time tag (1/2**32 s since 1900) of `wall_s`, seconds since 1970."""
    return int((wall_s + SECONDS_1900_TO_1970) * 2**32)


def split(datagram: bytes) -> list[tuple[bytes, int]]:
    """Every message of a datagram with its time tag, in order, out of bundles in bundles.

    All or nothing. python-osc's own OscBundle is not asked: an element of negative size sends it round in
    a circle for ever, and a deep nest ends in a RecursionError.
    """
    if len(datagram) > LARGEST_DATAGRAM:
        raise Malformed("too long")
    if datagram[:1] == b"/":
        return [(datagram, AT_ONCE)]
    found: list[tuple[bytes, int]] = []
    waiting = [(datagram, AT_ONCE, 0)]
    while waiting:
        element, tag, depth = waiting.pop()
        if element[:1] == b"/":
            found.append((element, tag))
        elif element[:8] == BUNDLE and len(element) >= 16 and depth < DEEPEST:
            inner = int.from_bytes(element[8:16], "big")
            waiting.extend((part, inner, depth + 1) for part in reversed(_elements(element)))
        else:
            raise Malformed("neither a message nor a bundle, or nested too deep")
    return found


def in_time(datagram: bytes, shift: int) -> bytes:
    """The same datagram with every time tag but the one that means now moved by `shift`, in 1/2**32 s.
    Raises Malformed."""
    split(datagram)
    return _shifted(datagram, shift)


def _shifted(element: bytes, shift: int) -> bytes:
    """No deeper than DEEPEST: `split` was asked before."""
    if element[:8] != BUNDLE:
        return element
    tag = int.from_bytes(element[8:16], "big")
    moved = tag if tag <= AT_ONCE else min(max(tag + shift, AT_ONCE + 1), 2**64 - 1)
    parts = [_shifted(part, shift) for part in _elements(element)]
    return b"".join(
        [BUNDLE, moved.to_bytes(8, "big"), *(len(part).to_bytes(4, "big") + part for part in parts)]
    )


def _elements(bundle: bytes) -> list[bytes]:
    parts, at = [], 16
    while at < len(bundle):
        size = int.from_bytes(bundle[at : at + 4], "big", signed=True)
        if size <= 0 or size % 4 or at + 4 + size > len(bundle):
            raise Malformed("an element of a bundle is longer than the bundle, or of no length")
        parts.append(bundle[at + 4 : at + 4 + size])
        at += 4 + size
    return parts


def address_of(message: bytes) -> bytes:
    """The address of a message that `split` found, as it stands there."""
    return message.partition(b"\0")[0]


def arguments(message: bytes) -> Sequence[object]:
    """The arguments of a message that `split` found. Raises Malformed.

    The type tags are looked at first, because python-osc logs a line for each one that it does not know.
    """
    if len(message) > LARGEST_MESSAGE:
        raise Malformed("too long")
    start = len(address_of(message)) // 4 * 4 + 4
    tags = message[start:].partition(b"\0")[0]
    if tags == b"," + IMPULSE:
        return (True,)
    if tags == b"," + NOTHING:
        return ()
    if tags[1:].strip(KNOWN_TAGS):
        raise Malformed("an argument of a type that is not known")
    try:
        found: list[object] = OscMessage(message).params
    except (ParseError, ValueError, OverflowError) as error:  # no UTF-8, a time tag beyond the calendar
        raise Malformed(str(error)) from error
    return found


def message(address: str, args: Sequence[object]) -> bytes:
    """The datagram of one message with int, float, bool and str arguments; a bool goes as 0 or 1, which
    every controller understands."""
    return typed_message(address, [int(value) if isinstance(value, bool) else value for value in args])


def typed_message(address: str, args: Sequence[object]) -> bytes:
    """Like `message`, but a bool goes as T or F."""
    builder = OscMessageBuilder(address)
    for value in args:
        builder.add_arg(value)
    datagram: bytes = builder.build().dgram
    return datagram
