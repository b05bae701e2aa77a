"""Network addresses as people write them: where a door listens and who may send to it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

Endpoint = tuple[str, int]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def endpoint(text: str) -> Endpoint:
    """(host, port) of `HOST:PORT`, such as 127.0.0.1:9000. Raises ValueError in words for a person."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not port.isascii() or not 1 <= int(port[:6]) <= 65535:
        raise ValueError("should be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:9000")
    if not host.isascii() or not host.isprintable() or " " in host or ":" in host or len(host) > 253:
        raise ValueError("should begin with an IPv4 address or the name of a machine, such as 127.0.0.1:9000")
    return host, int(port)


def network(text: str) -> Network:
    """The senders that `text` names: one address (192.168.1.20) or a network (192.168.1.0/24).

    Raises ValueError in words for a person.
    """
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError("should be an address such as 192.168.1.20 or 192.168.1.0/24") from error


def among(host: str, named: Sequence[Network]) -> bool:
    """Whether `host`, a numeric address, is one of those `named`; anyone is, when nobody was named."""
    if not named:
        return True
    address = ipaddress.ip_address(host)
    return any(address in one for one in named)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def outward() -> str:
    """The address by which others in the network reach this machine; that of the loopback where there is no
    network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
