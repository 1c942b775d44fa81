"""Where a server may not send us."""

from __future__ import annotations

import pytest

from aleat.errors import InputError
from aleat.opening.addresses import Inside, kind_of_address


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("0.0.0.0", "private"),  # noqa: S104 - an address that is looked at
        ("224.0.0.1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("no address", "private"),
        ("9.9.9.9", ""),
        ("2620:fe::fe", ""),
    ],
)
def test_addresses_inside_are_known(address: str, kind: str) -> None:
    """Also in the forms that hide them."""
    assert kind_of_address(address) == kind


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]".strip("[]"), "10.1.1.1", "169.254.169.254"])
def test_a_server_outside_leads_nowhere_inside(host: str) -> None:
    """Neither by the address in the redirect, nor by the one that the connection then has."""
    inside = Inside("9.9.9.9")
    with pytest.raises(InputError, match="inside address") as caught:
        inside.follow(host, "https://9.9.9.9/x")
    assert "its own URL" in caught.value.advice
    with pytest.raises(InputError, match="inside address"):
        inside.connected(host, "https://9.9.9.9/x")


def test_a_server_inside_leads_on_among_its_own_kind() -> None:
    """A mirror in one's own network; never to another kind of inside, such as a cloud's metadata service."""
    inside = Inside("127.0.0.1")
    inside.follow("127.0.0.2", "shown")
    inside.connected("127.0.0.2", "shown")
    with pytest.raises(InputError, match="link-local"):
        inside.follow("169.254.169.254", "shown")


def test_the_host_that_was_given_is_never_in_question() -> None:
    """Whoever gives an inside URL means it."""
    inside = Inside("10.1.1.1")
    inside.connected("10.1.1.1", "shown")
    inside.follow("10.1.1.1", "shown")
    inside.connected("10.1.1.1", "shown")
