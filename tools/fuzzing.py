"""What a stranger may send to a show's doors, endlessly and at random: OSC, MIDI bytes, HTTP, websockets."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vivant.runtime.packets import message, time_tag

HOST: Final = "127.0.0.1"
GIVE_UP_S: Final = 0.5  # for the other side to take something
UGLY: Final = (math.nan, math.inf, -math.inf, 3.4e38, -3.4e38, 1e-45, -0.0)
CHOICES: Final = ("nan", "", "\x00", "a" * 900, "NaN")


@dataclass(frozen=True, slots=True)
class Target:
    """A show: its ports, and the addresses of its float parameters."""

    osc: int
    midi: int
    query: int
    floats: tuple[str, ...]


Attack = Callable[[Target, random.Random, float], int]
"""Goes on until the monotonic time in seconds; answers how many things it sent."""


def paced(a_second: float, until_s: float, at_once: int = 20) -> Iterator[int]:
    """Turns of `at_once` things each, so that `a_second` things are sent a second."""
    began_s = time.monotonic()
    turn = 0
    while (now_s := time.monotonic()) < until_s:
        ahead_s = began_s + turn * at_once / a_second - now_s
        if ahead_s > 0:
            time.sleep(min(ahead_s, until_s - now_s))
        yield turn
        turn += 1


def _datagrams(target: Target, until_s: float, a_second: float, make: Callable[[], bytes]) -> int:
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in paced(a_second, until_s):
            for _ in range(20):
                with contextlib.suppress(OSError):  # a full buffer, a datagram that is too long
                    out.sendto(make(), (HOST, target.osc))
                    sent += 1
    return sent


def osc_noise(target: Target, chance: random.Random, until_s: float) -> int:
    """Random bytes, with and without the beginning of a message or a bundle."""
    starts = (b"", b"/", b"/vivant/look/exposure\0\0\0", b"#bundle\0", b"#bundle\0\0\0\0\0\0\0\0\1")
    lengths = (0, 1, 3, 4, 17, 64, 400, 1500, 20_000, 65_000)
    weights = (5, 5, 5, 5, 20, 20, 20, 10, 1, 1)

    def make() -> bytes:
        return chance.choice(starts) + chance.randbytes(chance.choices(lengths, weights)[0])

    return _datagrams(target, until_s, 4_000, make)


def osc_types(target: Target, chance: random.Random, until_s: float) -> int:
    """Known addresses with type tags that are wrong, unknown, too many, or lie about what follows."""
    tags = (
        b",s",
        b",b",
        b",zz",
        b"f",
        b"",
        b",[[[[f",
        b",ffff",
        b",t",
        b"," + b"f" * 600,
        b",\xff\xfe",
        b",I",
    )
    bodies = (b"", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xffabc", b"half past nine\0\0", b"\0" * 900, b"\x3f")

    def make() -> bytes:
        address = chance.choice(target.floats).encode()
        tag = chance.choice(tags)
        return _padded(address) + _padded(tag) + chance.choice(bodies)

    return _datagrams(target, until_s, 4_000, make)


def osc_bundles(target: Target, chance: random.Random, until_s: float) -> int:
    """Bundles that lie about their lengths, hold themselves a hundred deep, or are for another century."""
    inner = message(target.floats[0], (0.5,))

    def bundle(part: bytes, size: int | None = None, tag: int = 1) -> bytes:
        shown = len(part) if size is None else size
        return b"#bundle\0" + struct.pack(">QI", tag, shown & 0xFFFFFFFF) + part

    def make() -> bytes:
        kind = chance.randrange(5)
        if kind == 0:
            return bundle(inner, chance.choice((-4, 0, 3, 2**31 - 4, 2**31, 400)))
        if kind == 1:
            deep = inner
            for _ in range(chance.choice((15, 17, 100, 400))):
                deep = bundle(deep)
            return deep
        if kind == 2:
            return bundle(inner, tag=chance.choice((2**64 - 1, 2, time_tag(time.time() + 3600))))
        if kind == 3:
            return bundle(inner * 40)
        return bundle(inner, tag=time_tag(time.time() + chance.uniform(-1, 50)))

    return _datagrams(target, until_s, 2_000, make)


def osc_numbers(target: Target, chance: random.Random, until_s: float) -> int:
    """NaN, infinities and the ends of what a float holds, to every parameter, as 32 and as 64 bits."""
    everything = [address + tail for address in target.floats for tail in ("", "/norm")]
    turn = 0

    def make() -> bytes:
        nonlocal turn
        turn += 1
        address, value = everything[turn % len(everything)], chance.choice(UGLY)
        if turn % 3:
            return _padded(address.encode()) + _padded(b",f") + struct.pack(">f", value)
        return _padded(address.encode()) + _padded(b",d") + struct.pack(">d", value)

    return _datagrams(target, until_s, 4_000, make)


def osc_unknown(target: Target, chance: random.Random, until_s: float) -> int:
    """Addresses that nobody has, among them patterns and very long ones."""
    tails = ("*", "{a,b}", "[!a]", "../..", "look/exposure/norm/norm", "%s%n", "\u00e9\u4e2d", "x" * 1500)

    def make() -> bytes:
        return message(f"/vivant/{chance.choice(tails)}{chance.randrange(10**9)}", (chance.random(),))

    return _datagrams(target, until_s, 4_000, make)


def osc_flood(target: Target, chance: random.Random, until_s: float) -> int:
    """Twenty thousand valid messages a second."""
    ready = [message(address + "/norm", (chance.random(),)) for address in target.floats for _ in range(8)]
    chance.shuffle(ready)
    return _datagrams(target, until_s, 20_000, lambda: ready[chance.randrange(len(ready))])


def sender_alone(target: Target, chance: random.Random, until_s: float) -> int:
    """The same to a port that nobody serves: what the sender itself costs this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        nobody = Target(deaf.getsockname()[1], 0, 0, target.floats)
        return osc_flood(nobody, chance, until_s)


def _stream(port: int, until_s: float, a_second: float, make: Callable[[], bytes]) -> int:
    """Bytes to one connection after the other, whenever one breaks; no more than `a_second` pieces."""
    sent = 0
    while time.monotonic() < until_s:
        try:
            with socket.create_connection((HOST, port), GIVE_UP_S) as out:
                for _ in paced(a_second, until_s, 1):
                    piece = make()
                    out.sendall(piece)
                    sent += 1
        except OSError:
            time.sleep(0.01)
    return sent


def midi_sysex(target: Target, chance: random.Random, until_s: float) -> int:
    """System exclusive without an end, and whole ones between."""

    def make() -> bytes:
        body = bytes(chance.choices(range(128), k=4096))
        return (
            (b"\xf0" if chance.random() < 0.2 else b"") + body + (b"\xf7" if chance.random() < 0.1 else b"")
        )

    ready = [make() for _ in range(32)]
    return _stream(target.midi, until_s, 1_000, lambda: chance.choice(ready))


def midi_stray(target: Target, chance: random.Random, until_s: float) -> int:
    """Data without a status, running status, undefined ones, and clock in the middle of messages."""
    parts = (b"\x40", b"\x7f\x00", b"\xb0\x10\x20\x30\x40\x50", b"\xf4", b"\xf5\xf9\xfd",
             b"\x90\xf8\x40\xf8", b"\xb0\x10\x40",
             b"\xc0", b"\xe0\x00", b"\xf2\x01", b"\xf7", b"\xff", b"\x90\x40\x40")  # fmt: skip
    return _stream(target.midi, until_s, 2_000, lambda: b"".join(chance.choices(parts, k=20)))


def midi_clock(target: Target, chance: random.Random, until_s: float) -> int:
    """Clock ticks, starts, stops and song positions, some 100,000 a second."""
    words = (b"\xf8" * 90, b"\xfa", b"\xfb", b"\xfc", b"\xf2\x7f\x7f")
    return _stream(target.midi, until_s, 1_000, lambda: b"".join(chance.choices(words, (9, 1, 1, 1, 1), k=1)))


def midi_notes(target: Target, chance: random.Random, until_s: float) -> int:
    """Notes and controllers of all channels, as fast as the other side takes them."""
    ready = [
        bytes((chance.choice((0x80, 0x90, 0xB0)) + chance.randrange(16), *chance.choices(range(128), k=2)))
        for _ in range(5_000)
    ]
    piece = b"".join(ready)
    return _stream(target.midi, until_s, 100, lambda: piece)


def midi_halves(target: Target, chance: random.Random, until_s: float) -> int:
    """Connections that end within a message, or stay and say half of one."""
    kept: list[socket.socket] = []
    sent = 0
    for _ in paced(300, until_s, 1):
        try:
            out = socket.create_connection((HOST, target.midi), GIVE_UP_S)
            out.sendall(
                chance.choice((b"\x90", b"\x90\x40", b"\xb0\x10\x40\x90", b"\xf0\x01", b"\xb0\x10\x40"))
            )
        except OSError:
            continue
        sent += 1
        kept.append(out)
        while len(kept) > 40:
            kept.pop(chance.randrange(len(kept))).close()
    for one in kept:
        one.close()
    return sent


def http_noise(target: Target, chance: random.Random, until_s: float) -> int:
    """What is no request, or one that no server should answer with more than a refusal."""
    lines = (
        b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%00%ff%zz?VALUE HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /?" + b"VALUE&" * 900 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"\r\n\r\n\r\n", b"GET",
    )  # fmt: skip

    def make() -> bytes:
        return chance.choice(lines) if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 3000))

    return _connections(target.query, until_s, 400, make)


def http_headers(target: Target, chance: random.Random, until_s: float) -> int:
    """Headers that are too long, and too many."""
    start = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    ready = (
        start + b"X: " + b"a" * 300_000,
        start + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 300_000,
        start + b"Cookie: " + b"\xff" * 8_000 + b"\r\n\r\n",
    )
    return _connections(target.query, until_s, 200, lambda: chance.choice(ready))


def _connections(port: int, until_s: float, a_second: float, make: Callable[[], bytes]) -> int:
    """A connection for each piece; what is answered is thrown away."""
    sent = 0
    for _ in paced(a_second, until_s, 1):
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), GIVE_UP_S) as out:
            out.settimeout(GIVE_UP_S)
            sent += 1
            out.sendall(make())
            out.recv(65_536)
    return sent


def http_slow(target: Target, chance: random.Random, until_s: float) -> int:
    """A hundred clients that send one byte now and then, and read nothing."""
    words = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 10_000
    held: list[tuple[socket.socket, Iterator[int]]] = []
    sent = 0
    for _ in paced(1_000, until_s, 1):
        try:
            if len(held) < 100:
                held.append((socket.create_connection((HOST, target.query), GIVE_UP_S), iter(words)))
                sent += 1
            out, letters = held[chance.randrange(len(held))]
            out.send(bytes((next(letters),)))
        except OSError:
            held = [(one, left) for one, left in held if one is not out]
    for one, _ in held:
        one.close()
    return sent


def http_many(target: Target, chance: random.Random, until_s: float) -> int:
    """Thousands of connections, opened, held for a while and dropped."""
    kept: list[socket.socket] = []
    sent = 0
    for _ in paced(1_000, until_s, 1):
        with contextlib.suppress(OSError):
            out = socket.create_connection((HOST, target.query), GIVE_UP_S)
            kept.append(out)
            sent += 1
        if len(kept) > 400:
            for _ in range(300):
                kept.pop(0).close()
    for one in kept:
        one.close()
    return sent


def frame(opcode: int, body: bytes, first: int = 0x80, mask: bytes = b"\1\2\3\4") -> bytes:
    """A websocket frame of a client; `first` holds FIN and the reserved bits."""
    size = len(body)
    if size < 126:
        head = bytes((first | opcode, 0x80 | size))
    else:
        head = bytes((first | opcode, 0x80 | 126)) + struct.pack(">H", size)
    covered = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
    return head + mask + covered


def _websocket(port: int) -> socket.socket:
    """A websocket after its handshake. Raises OSError."""
    out = socket.create_connection((HOST, port), GIVE_UP_S)
    key = base64.b64encode(random.randbytes(16))
    out.sendall(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    out.settimeout(2.0)
    if not out.recv(65_536).startswith(b"HTTP/1.1 101"):
        out.close()
        raise ConnectionRefusedError("no websocket")
    return out


def _talk(port: int, until_s: float, a_second: float, make: Callable[[], bytes]) -> int:
    """Pieces over one websocket after the other; what comes back is thrown away."""
    sent = 0
    while time.monotonic() < until_s:
        try:
            with _websocket(port) as out:
                for _ in paced(a_second, until_s, 1):
                    out.settimeout(GIVE_UP_S)
                    out.sendall(make())
                    sent += 1
                    out.settimeout(0)
                    with contextlib.suppress(BlockingIOError):
                        out.recv(1 << 18)
        except OSError:
            time.sleep(0.005)
    return sent


def ws_frames(target: Target, chance: random.Random, until_s: float) -> int:
    """Frames that no client may send; the server ends the connection at each."""
    ready = (
        frame(2, b"abc", first=0xF0), b"\x82\x03abc", frame(3, b"x"), frame(9, b"p" * 120, first=0),
        b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"\1\2\3\4", frame(1, b"\xff\xfe\xfd"), frame(0, b"more"),
        frame(8, b"\x00"), frame(2, b"x" * 60_000), b"\x82\xfe\xff\xff",
    )  # fmt: skip

    sent = 0
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError), _websocket(target.query) as out:
            out.sendall(chance.choice(ready) if chance.random() < 0.8 else chance.randbytes(200))
            sent += 1
            out.settimeout(0.1)
            out.recv(1 << 16)
    return sent


def ws_listen(target: Target, chance: random.Random, until_s: float) -> int:
    """LISTEN to everything, and IGNORE it, a thousand times a second."""
    ready = [
        frame(1, json.dumps({"COMMAND": word, "DATA": at}).encode())
        for word in ("LISTEN", "IGNORE")
        for at in ("/", "/vivant", target.floats[0])
    ]
    return _talk(target.query, until_s, 1_000, lambda: chance.choice(ready))


def ws_json(target: Target, chance: random.Random, until_s: float) -> int:
    """Text that is no JSON, or none that means anything, or too deep to be read."""
    texts = (
        "", "null", "[]", "{}", "NaN", "[" * 7_000, '{"COMMAND":' * 1_000, '{"COMMAND":[],"DATA":{}}',
        '{"COMMAND":"LISTEN","DATA":1}', '{"COMMAND":"LISTEN","DATA":"/nowhere"}', '"' + "a" * 15_000,
        '{"COMMAND":"QUIT","DATA":"/"}', '{"COMMAND":"LISTEN","DATA":"' + "/" * 9_000 + '"}', "9" * 5_000,
    )  # fmt: skip
    ready = [frame(1, text.encode()) for text in texts]
    return _talk(target.query, until_s, 1_000, lambda: chance.choice(ready))


def ws_osc(target: Target, chance: random.Random, until_s: float) -> int:
    """Valid OSC in binary frames, fifteen thousand a second at most."""
    ready = [frame(2, message(address, (chance.random(),))) for address in target.floats for _ in range(8)]
    pieces = [b"".join(chance.choices(ready, k=50)) for _ in range(64)]
    return 50 * _talk(target.query, until_s, 300, lambda: chance.choice(pieces))


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def together(attacks: Sequence[Attack], target: Target, seed: int, begin_s: float, until_s: float) -> None:
    """Run attacks beside each other, one thread for each, between two monotonic times. A process's whole
    work: its priority is lowered first, as the senders of a real attack are on other machines."""
    import os
    import threading

    with contextlib.suppress(AttributeError, OSError):  # Windows has no nice
        os.nice(15)
    time.sleep(max(0.0, begin_s - time.monotonic()))
    threads = [
        threading.Thread(target=one, args=(target, random.Random(seed + number), until_s))
        for number, one in enumerate(attacks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
