"""Addresses inside: where a server of somebody else's must not send us.

A server that is asked for a file can answer "it is over there", and mean a machine of our own network, the cloud's
metadata service, or this computer. Such a redirect is refused, unless the address that was *given* is of the same kind
(a mirror in one's own network may lead on within it). Names are looked up before they are followed; the address that
the connection then really has is checked again, since a name can change its address in between. Through a proxy that
somebody set up the proxy decides: there only what is written in the redirect itself can be checked.

Which addresses are not global: https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-.
"""

from __future__ import annotations

import http.client
import socket
import urllib.request
from ipaddress import ip_address
from typing import Any

from aleat.errors import InputError, Place

__all__ = ["Inside", "guarded_handlers", "kind_of_address"]


def kind_of_address(text: str) -> str:
    """Return "" for an address that everybody reaches, else what it is: "loopback", "link-local" or "private".

    >>> [kind_of_address(one) for one in ("127.0.0.1", "169.254.169.254", "10.1.2.3", "::ffff:10.1.2.3", "9.9.9.9")]
    ['loopback', 'link-local', 'private', 'private', '']
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return "private"
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    address = mapped or address
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "" if address.is_global and not address.is_multicast else "private"


class Inside:
    """Which kinds of inside addresses one fetch may touch: those of the host that was given."""

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        self._kinds: frozenset[str] | None = None
        self._now = self._host

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the addresses of the host that was given, looked up when it is first asked for."""
        if self._kinds is None:
            self._kinds = frozenset(kind_of_address(address) for address in _addresses(self._host))
        return self._kinds

    def follow(self, host: str, shown: str) -> None:
        """Go on at another host; raises `InputError` where it is inside, and the one given is not."""
        self._now = host.lower()
        if self._now == self._host:
            return
        for address in _addresses(self._now):
            self._check(address, shown)

    def connected(self, address: str, shown: str) -> None:
        """Check the address that a connection really has."""
        if self._now != self._host:
            self._check(address, shown)

    def _check(self, address: str, shown: str) -> None:
        kind = kind_of_address(address)
        if kind and kind not in self.kinds:
            reason = f"The server leads to an inside address ({kind}); it wasn't followed."
            raise InputError(reason, Place(shown), advice="If you want what is there, give its own URL.")


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host name, none where it has none (the connection will say so)."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(item[4][0]) for item in found})


def guarded_handlers(inside: Inside) -> tuple[urllib.request.BaseHandler, ...]:
    """Return `urllib`'s handlers for HTTP and HTTPS that check where each connection ends."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            _checked(self, inside)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            _checked(self, inside)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> Any:
            return self.do_open(http.client.HTTPConnection if request.has_proxy() else Plain, request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> Any:
            kind = http.client.HTTPSConnection if getattr(request, "_tunnel_host", None) else Secure
            return self.do_open(kind, request, context=getattr(self, "_context", None))

    return PlainHandler(), SecureHandler()


def _checked(connection: http.client.HTTPConnection, inside: Inside) -> None:
    try:
        inside.connected(str(connection.sock.getpeername()[0]), f"{connection.host}")
    except InputError:
        connection.close()
        raise
