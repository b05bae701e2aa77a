"""Try the OSC door by hand: send a message, flood it, fuzz it, or listen to what it says.

python -m vivant.tools.osc_send /vivant/style/choose ink
python -m vivant.tools.osc_send --flood 100000 --rate 20000
python -m vivant.tools.osc_send --fuzz 10000 --seed 1
python -m vivant.tools.osc_send --listen
"""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections.abc import Sequence
from typing import Final

from vivant.runtime.frames import Value
from vivant.runtime.packets import BUNDLE, Malformed, address_of, arguments, message, split
from vivant.runtime.parameters import Parameter, parameters_for

ANSWER_S: Final = 0.3  # how long a single message waits for a refusal
RENEW_S: Final = 30.0  # half of what a subscription lasts
BURST_S: Final = 0.001


def main(argv: Sequence[str] | None = None) -> None:
    """Entry of `python -m vivant.tools.osc_send`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", nargs="?", help="where to, such as /vivant/style/ink")
    parser.add_argument("values", nargs="*", help="numbers, true, false, or words")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--flood", type=int, metavar="N", help="send N messages to all parameters")
    parser.add_argument("--rate", type=float, default=20_000.0, help="messages a second of the flood")
    parser.add_argument("--fuzz", type=int, metavar="N", help="send N hostile datagrams")
    parser.add_argument("--seed", type=int, default=0, help="of the flood and of the fuzz")
    parser.add_argument("--listen", action="store_true", help="subscribe and print what comes, until Ctrl-C")
    wish = parser.parse_args(argv)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.connect((wish.host, wish.port))
        draw = random.Random(wish.seed)
        if wish.flood is not None:
            send_all(door, [_sensible(draw) for _ in range(1000)], wish.flood, wish.rate)
        elif wish.fuzz is not None:
            send_all(door, [hostile(draw) for _ in range(wish.fuzz)], wish.fuzz, wish.rate)
        elif wish.listen:
            listen(door)
        elif wish.address is not None:
            send_one(door, wish.address, [value_of(word) for word in wish.values])
        else:
            parser.error("give an address, or --flood, --fuzz or --listen")


def value_of(word: str) -> Value:
    """What a word of the command line means as an OSC argument: a number, a truth value, or itself."""
    if word in ("true", "false"):
        return word == "true"
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word


def send_one(door: socket.socket, address: str, values: Sequence[Value]) -> None:
    """Send one message and print what comes back at once, such as a refusal or a pong."""
    door.send(message(address, values))
    door.settimeout(ANSWER_S)
    try:
        while True:
            _print(door.recv(65536))
    except TimeoutError:
        return
    except ConnectionRefusedError:
        print(f"nobody listens on port {door.getpeername()[1]}")


def send_all(door: socket.socket, datagrams: Sequence[bytes], count: int, rate: float) -> None:
    """Send `count` datagrams, over and over those given, at `rate` a second; print how it went."""
    began, sent, unheard = time.perf_counter(), 0, 0
    while sent < count:
        due = min(count, int((time.perf_counter() - began) * rate) + 1)
        while sent < due:
            try:
                door.send(datagrams[sent % len(datagrams)])
            except ConnectionRefusedError:
                unheard += 1
            sent += 1
        time.sleep(BURST_S)
    seconds = time.perf_counter() - began
    print(
        f"sent {sent} datagrams in {seconds:.2f} s, {sent / seconds:.0f} a second; nobody there for {unheard}"
    )


def listen(door: socket.socket) -> None:
    """Subscribe, print every message, and renew the subscription."""
    renewed = -RENEW_S
    door.settimeout(1.0)
    while True:
        if time.monotonic() - renewed >= RENEW_S:
            renewed = time.monotonic()
            door.send(message("/vivant/subscribe", ()))
        try:
            _print(door.recv(65536))
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            print(f"nobody listens on port {door.getpeername()[1]}; trying again")
            time.sleep(1.0)
            renewed = -RENEW_S


def hostile(draw: random.Random) -> bytes:
    """A datagram that no honest program sends: noise, broken messages, bundles that lie about themselves."""
    honest = _sensible(draw)
    match draw.randrange(6):
        case 0:
            return draw.randbytes(draw.randrange(200))
        case 1:
            broken = bytearray(honest)
            for _ in range(draw.randrange(1, 6)):
                broken[draw.randrange(len(broken))] = draw.randrange(256)
            return bytes(broken)
        case 2:
            return honest[: draw.randrange(len(honest))]
        case 3:
            size = draw.choice((-4, -8, 0, 2, len(honest), 2**31 - 1, -(2**31)))
            return BUNDLE + draw.randbytes(8) + size.to_bytes(4, "big", signed=True) + honest
        case 4:
            nested = honest
            for _ in range(draw.randrange(1, 400)):
                nested = BUNDLE + draw.randbytes(8) + len(nested).to_bytes(4, "big") + nested
            return nested
        case _:
            word = draw.choice((float("nan"), float("inf"), -1e30, 2**62, "0.5", "", "x" * 900))
            return message(_parameter(draw).address, [word] * draw.randrange(1, 4))


def _sensible(draw: random.Random) -> bytes:
    one = _parameter(draw)
    if one.kind == "choice":
        return message(one.address, (draw.choice(one.choices),))
    return message(one.address, (draw.uniform(one.minimum, one.maximum),))


def _parameter(draw: random.Random) -> Parameter:
    settable = [
        one for one in parameters_for() if not one.read_only and one.kind in ("float", "int", "choice")
    ]
    return draw.choice(settable)


def _print(datagram: bytes) -> None:
    try:
        for found, _ in split(datagram):
            print(address_of(found).decode(), *arguments(found), flush=True)
    except (Malformed, UnicodeDecodeError):
        print("(no OSC)", datagram[:40], flush=True)


if __name__ == "__main__":
    main()
