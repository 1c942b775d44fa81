"""Whose address counts behind a proxy: the one that a proxy of ours names, and nobody's own word."""

from __future__ import annotations

import pytest

from aleat.errors import InputError
from aleat.web.proxies import Proxies, address_group, read_proxies

PROXY, CLIENT, LIAR = "192.0.2.1", "203.0.113.7", "198.51.100.9"


def client(proxies: Proxies, *said: str, peer: str = PROXY, header: str = "X-Forwarded-For") -> str:
    """Whose request it is, by what stands in the header's lines."""
    return proxies.client(peer, [(header.encode(), value.encode()) for value in said])


def test_a_trusted_proxy_is_believed() -> None:
    """The last address that a proxy of ours named counts, also behind two of them."""
    proxies = read_proxies(["192.0.2.0/28"])
    assert client(proxies, CLIENT) == CLIENT
    assert client(proxies, f"{CLIENT}, 192.0.2.5") == CLIENT
    assert client(proxies, f"{CLIENT}:4711") == CLIENT
    assert client(proxies, "[2001:db8::7]:4711") == "2001:db8::7"
    assert client(proxies, CLIENT, peer="::ffff:192.0.2.1") == CLIENT


def test_what_the_client_wrote_itself_is_not_believed() -> None:
    """What stands before the proxy's own word is the client's; so is everything where no proxy is trusted."""
    proxies = read_proxies([PROXY])
    assert client(proxies, f"{LIAR}, {CLIENT}") == CLIENT
    assert client(proxies, LIAR, CLIENT) == CLIENT
    assert client(proxies, LIAR, peer=CLIENT) == CLIENT
    assert client(Proxies(), LIAR) == PROXY
    assert client(proxies, f"for={LIAR}", header="Forwarded") == PROXY


def test_the_other_header_is_read_when_named() -> None:
    """RFC 7239's, with its quotes and parameters; then the first one is the client's word."""
    proxies = read_proxies([PROXY], "Forwarded")
    assert client(proxies, f"for={CLIENT};proto=https", header="forwarded") == CLIENT
    assert client(proxies, 'by=x; For="[2001:db8::7]:80"', header="forwarded") == "2001:db8::7"
    assert client(proxies, LIAR) == PROXY


@pytest.mark.parametrize("said", ["", "unknown", "_hidden", "x" * 10_000, ",,,", "999.1.1.1", "\x00", "for=;"])
def test_what_is_no_address_leaves_the_proxys(said: str) -> None:
    """Nothing is made up: whoever is behind a proxy that says nothing counts as that proxy."""
    for header in ("x-forwarded-for", "forwarded"):
        assert client(read_proxies([PROXY], header), said, header=header) == PROXY


def test_a_chain_of_any_length_ends() -> None:
    """A list of nothing but trusted addresses is bounded, and gives one of them."""
    proxies = read_proxies(["192.0.2.0/24"])
    assert client(proxies, ",".join(["192.0.2.9"] * 100_000)) == "192.0.2.9"


def test_an_ipv6_host_has_one_network() -> None:
    """It can take any address of its /64, and is counted as one."""
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff:2") == "2001:db8::/64"
    assert address_group("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    assert address_group("::ffff:192.0.2.7") == "192.0.2.7"


def test_options_that_mean_nothing() -> None:
    """No network, host bits, another header."""
    for text in ("", "proxy.example.org", "192.0.2.1/24"):
        with pytest.raises(InputError, match="no address of a proxy"):
            read_proxies([text])
    with pytest.raises(InputError, match="No proxy header"):
        read_proxies([], "x-real-ip")
