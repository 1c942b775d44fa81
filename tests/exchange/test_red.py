"""TLP:RED is for named people: ours goes into a sealed file for one whom the agreement names, and nowhere else."""

from __future__ import annotations

import orjson
import pytest

from aleat.errors import InputError, NotPermittedError
from aleat.exchange import Received, deliver, prepare_release, receive
from aleat.store.ledger import read_entries
from aleat.trust.agreements import fingerprint, read_agreement
from tests.exchange.teams import AGREEMENT, Team, indicator

THIRD = "identity--33333333-3333-4333-8333-333333333333"

ALLY = """
[[ally]]
identity = "{identity}"
organisation = "Team south"
country = "AL"
constituency = "The government's networks."
fingerprint = "{keys}"

[[ally.people]]
name = "Sokol Shembull"
role = "head of the response team"
contact = "+355 69 000 0000"
red = true

[[ally.people]]
name = "Teuta Shembull"
"""


def named(north: Team, south: Team, *, keys: str | None = None, version: int = 2) -> None:
    """North's agreement says who south is, and whom of it RED may be for."""
    text = AGREEMENT.format(*sorted((north.card.identity, south.card.identity)))
    text = text.replace("version = 1", f"version = {version}")
    keys = fingerprint(south.card) if keys is None else keys
    north.befriend(south, text + ALLY.format(identity=south.card.identity, keys=keys))


def test_red_goes_to_a_named_person_and_says_so(teams: tuple[Team, Team]) -> None:
    """In the manifest, in the ledger, on the other side; and from there it goes nowhere."""
    north, south = teams
    named(north, south)
    red, green = indicator(1, north.card.identity, "red"), indicator(2, north.card.identity, "green")
    north.know(red, green)
    with north.desk() as desk:
        release = prepare_release(desk, "south", reader="Sokol Shembull")
        sent = deliver(desk, "south", release)
    assert {red.id, green.id} <= {item.id for item in release.objects}
    assert orjson.loads(release.manifest)["readers"] == ["Sokol Shembull"]
    with north.database.read() as connection:
        (entry,) = read_entries(connection, "release", "release")
    assert entry.data["reader"] == "Sokol Shembull"
    with south.desk() as desk:
        got: Received = receive(desk, sent.data)
    assert got.readers == ("Sokol Shembull",)
    for reader in ("", "Sokol Shembull"):
        if reader:
            named(south, north)
        with south.desk() as desk:
            assert red.id not in {item.id for item in prepare_release(desk, "north").objects}


@pytest.mark.parametrize("reader", ["Teuta Shembull", "Nobody", "sokol shembull"])
def test_red_goes_to_nobody_else(reader: str, teams: tuple[Team, Team]) -> None:
    """Somebody named for other things, somebody who isn't named, another spelling."""
    north, south = teams
    named(north, south)
    north.know(indicator(1, north.card.identity, "red"))
    with north.desk() as desk, pytest.raises(NotPermittedError, match="names nobody"):
        prepare_release(desk, "south", reader=reader)


def test_red_goes_by_no_server_and_not_without_a_name(teams: tuple[Team, Team]) -> None:
    """Whatever the agreement says; and what another marked RED goes to nobody at all."""
    north, south = teams
    named(north, south)
    red, thirds = indicator(1, north.card.identity, "red"), indicator(3, THIRD, "red")
    north.know(red)
    north.know(thirds, giver=THIRD)
    with north.desk() as desk:
        assert red.id not in {item.id for item in prepare_release(desk, "south").objects}
        leaving = {item.id for item in prepare_release(desk, "south", reader="Sokol Shembull").objects}
        assert (red.id in leaving, thirds.id in leaving) == (True, False)
        for channel in ("tls", "plain"):
            with pytest.raises(NotPermittedError):
                prepare_release(desk, "south", channel=channel, reader="Sokol Shembull")  # type: ignore[arg-type]


def test_nothing_leaves_for_other_keys_than_the_agreement_names(teams: tuple[Team, Team]) -> None:
    """Until a new version of the agreement names those."""
    north, south = teams
    named(north, south, keys=fingerprint(north.card))
    north.know(indicator(1, north.card.identity, "green"))
    with north.desk() as desk:
        release = prepare_release(desk, "south")
        assert release.objects == ()
        assert {one.rule for one in release.decisions} == {"keys-not-agreed"}
    named(north, south, version=3)
    with north.desk() as desk:
        assert prepare_release(desk, "south").objects


def test_an_agreement_that_names_a_stranger_is_refused() -> None:
    """The ally that it describes is one of its parties."""
    ids = [f"identity--{digit * 8}-1111-4111-8111-111111111111" for digit in "123"]
    text = AGREEMENT.format(*ids[:2]) + ALLY.format(identity=ids[2], keys="")
    with pytest.raises(InputError, match="none of its parties"):
        read_agreement(text.encode())
    good = read_agreement((AGREEMENT.format(*ids[:2]) + ALLY.format(identity=ids[1], keys="")).encode())
    assert good.ally[0].people[0].name == "Sokol Shembull"
    assert good.ally[0].constituency == "The government's networks."
