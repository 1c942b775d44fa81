"""Two teams with a store each, who have compared cards and signed an agreement: what every exchange begins with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aleat.exchange import Desk
from aleat.stix import StixObject, make_object
from aleat.store.allies import add_agreement, add_ally
from aleat.store.database import Database
from aleat.store.decisions import set_roles
from aleat.store.objects import Provenance, put_objects
from aleat.trust.agreements import AllyCard, export_card, fingerprint
from aleat.trust.corpora import parse_policy, policy_bytes
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.markings import marking_id

START = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)

AGREEMENT = """\
# Mutual aid between two response teams.
format = 1
name = "mutual-aid"
version = 1
kind = "bilateral"
parties = ["{0}", "{1}"]
valid_from = 2022-09-01
valid_until = 2023-08-31
purposes = ["incident-response"]
communities = ["csirts"]
basis = "Letter of the two directors of 1 September 2022."

[release]
labels = ["clear", "green", "amber"]
default_label = "amber"
victims = "sector-country"
granularity = "day"

[[onward]]
labels = ["green"]
communities = ["csirts"]
"""


class Team:
    """One team: its database, keys and card, and a clock that moves an hour with each act."""

    def __init__(self, folder: Path, name: str, identity: str, country: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.name = name
        self.key = SigningKey.generate()
        self.age = AgeKey.generate()
        self.time = START
        self.actor = "ana"
        self.card = AllyCard(
            identity=identity,
            name=name,
            organisation=f"Team {name}",
            country=country,
            signing_key=self.key.public.text,
            age_recipient=self.age.recipient,
            issued="2022-09-01T00:00:00.000Z",
        )
        self.database = Database.at(folder / "aleat.db")
        self.database.create_tables()
        with self.database.write() as connection:
            roles = ("analyst", "releaser", "administrator")
            set_roles(connection, "ana", roles, actor="ana", time=START, key=self.key)

    @contextmanager
    def desk(self, actor: str | None = None) -> Iterator[Desk]:
        """A desk in one transaction, an hour after the last."""
        self.time += timedelta(hours=1)
        with self.database.write() as connection:
            yield Desk(
                connection=connection,
                card=self.card,
                key=self.key,
                age_keys=(self.age,),
                actor=actor or self.actor,
                time=self.time,
                root=self.folder,
                policy=parse_policy(policy_bytes()),
            )

    def copied(self, folder: Path) -> Team:
        """The same team, in a copy of its folder."""
        shutil.copytree(self.folder, folder)
        other = copy(self)
        other.folder = folder
        other.database = Database.at(folder / "aleat.db")
        return other

    def befriend(self, other: Team, agreement: str | None = None) -> None:
        """Take the other's card, its fingerprint compared, and sign the agreement."""
        text = agreement or AGREEMENT.format(*sorted((self.card.identity, other.card.identity)))
        with self.database.write() as connection:
            data = export_card(other.card, other.key)
            add_ally(connection, data, actor="ana", time=START, key=self.key, compared=fingerprint(other.card))
            add_agreement(connection, text.encode(), actor="ana", time=START, key=self.key)

    def know(self, *objects: StixObject, giver: str | None = None) -> None:
        """Put objects into the store, given by ourselves or by `giver`."""
        provenance = Provenance(giver=giver or self.card.identity, received=START)
        with self.database.write() as connection:
            put_objects(connection, [(item, provenance) for item in objects])

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def indicator(number: int, by: str | None, *labels: str, name: str = "") -> StixObject:
    """An indicator of a domain name."""
    return make_object(
        "indicator",
        f"indicator--00000000-0000-4000-8000-{number:012d}",
        created=START,
        created_by_ref=by,
        markings=[marking_id(f"tlp:{label}") for label in labels],
        name=name or f"Beacon number {number}",
        description="A domain name that malware calls.",
        indicator_types=["malicious-activity"],
        pattern=f"[domain-name:value = 'beacon-{number}.example']",
        pattern_type="stix",
        valid_from=START,
    )
