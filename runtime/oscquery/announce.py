"""What makes a show appear in the lists of other programs: zeroconf (mDNS, RFC 6762), where installed."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

from vivant.runtime.endpoints import is_loopback
from vivant.runtime.oscquery.answers import EVERYWHERE, Host

if TYPE_CHECKING:
    from zeroconf import ServiceInfo

LOG = logging.getLogger("vivant.oscquery")
INSTALL: Final = "pip install 'vivant[discovery]'"
LONGEST_NAME: Final = 60  # bytes; DNS has 63 for one label


def can_announce() -> bool:
    """Whether zeroconf is installed."""
    return importlib.util.find_spec("zeroconf") is not None


class Announcement:
    """Tells the network of a server and of its OSC port; one that only this machine reaches is told to this
    machine only. The server's thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._zeroconf: Any = None  # an optional library's
        self.state = "not installed" if not can_announce() else "beginning"

    async def begin(self) -> None:
        """Announce. Without zeroconf, or with a network that does not let it, the show is found by hand."""
        if not can_announce():
            LOG.info("OSCQuery is not announced to the network; for that: %s", INSTALL)
            return
        from zeroconf import Error, InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncZeroconf

        where = self._host.served[0]
        interfaces = InterfaceChoice.All if where == EVERYWHERE else [where]
        try:
            self._zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
            for info in services(self._host):
                await (await self._zeroconf.async_register_service(info, allow_name_change=True))
            self.state = "announced"
        except (OSError, Error) as error:
            self.state = f"failed: {error}"
            LOG.warning("OSCQuery could not be announced, so enter its address by hand: %s", error)

    async def end(self) -> None:
        """Take it back. Calling it again does nothing."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            with contextlib.suppress(OSError):
                await zeroconf.async_unregister_all_services()
                await zeroconf.async_close()


def services(host: Host) -> list[ServiceInfo]:
    """What is announced: the server as _oscjson._tcp, and the OSC port as _osc._udp when others reach it."""
    from zeroconf import ServiceInfo

    name = host.name.encode()[:LONGEST_NAME].decode("utf-8", "ignore").replace(".", " ").strip()
    machine = f"{socket.gethostname().partition('.')[0]}-vivant.local."
    found = [("_oscjson._tcp.local.", host.served)]
    if host.osc is not None and is_loopback(host.osc[0]) == is_loopback(host.served[0]):
        found.append(("_osc._udp.local.", host.osc))
    return [
        ServiceInfo(kind, f"{name}.{kind}", port=port, parsed_addresses=_addresses(where), server=machine)
        for kind, (where, port) in found
    ]


def _addresses(host: str) -> list[str]:
    """The addresses by which others reach `host`, which may mean all of this machine's."""
    if host != EVERYWHERE:
        return [socket.gethostbyname(host)]
    import ifaddr

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [str(ip) for ip in found if not is_loopback(str(ip))] or ["127.0.0.1"]
