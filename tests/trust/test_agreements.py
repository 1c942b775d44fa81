"""Agreements that a lawyer can read, and cards whose owner only a comparison proves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, IntegrityError, NotPermittedError, SignatureError, TrustError
from aleat.store.allies import add_agreement, add_ally, find_ally, read_agreements
from aleat.store.database import Database
from aleat.store.decisions import lift_hold, place_hold, read_holds, read_people, require, set_roles
from aleat.trust.agreements import (
    AllyCard,
    Person,
    export_card,
    fingerprint,
    in_force,
    read_agreement,
    read_card,
    sign_agreement,
    verify_agreement,
)
from aleat.trust.keys import AgeKey, SigningKey

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
KEY, AGE = SigningKey.generate(), AgeKey.generate()
CARD = AllyCard(
    identity="identity--11111111-1111-4111-8111-111111111111",
    name="cert-north",
    organisation="The northern response team",
    country="NO",
    sectors=("government",),
    constituency="Public bodies",
    signing_key=KEY.public.text,
    age_recipient=AGE.recipient,
    people=(Person(name="Ada", role="duty officer", contact="+47 …"),),
    issued="2022-09-01T00:00:00.000Z",
)

TEXT = """\
# What we agreed.
format = 1
name = "mutual-aid"
version = 3
kind = "bilateral"
parties = [
  "identity--11111111-1111-4111-8111-111111111111",
  "identity--22222222-2222-4222-8222-222222222222",
]
valid_from = 2022-09-01
valid_until = 2023-08-31
purposes = ["incident-response"]

[release]
labels = ["clear", "green"]

[[onward]]
labels = ["green"]
communities = ["csirts"]
"""


def test_an_agreement_is_read_with_what_it_allows_and_nothing_more() -> None:
    """What isn't written isn't allowed."""
    agreement = read_agreement(TEXT.encode())
    assert agreement.release.labels == ("clear", "green")
    assert agreement.release.default_label is None
    assert not agreement.release.internal
    assert agreement.relation == "ally"
    assert in_force(agreement, datetime(2023, 8, 31, 23, tzinfo=UTC))
    assert not in_force(agreement, datetime(2023, 9, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("format = 1", "format = 2", 2, "format"),
        ('kind = "bilateral"', 'kind = "friendship"', 5, "kind"),
        ("version = 3", "version = 0", 4, "version"),
        ("valid_from = 2022-09-01", 'valid_from = "soon"', 10, "valid_from"),
        ('labels = ["clear", "green"]', 'labels = ["clear", "grün"]', 15, "release.labels"),
        ('labels = ["clear", "green"]', "lables = []", 15, "lables"),
        ("valid_until = 2023-08-31", "valid_until = 2021-08-31", 11, "before it begins"),
        ('kind = "bilateral"', 'kind = "bilateral', 5, "TOML"),
        ('purposes = ["incident-response"]\n', "", None, "purposes"),
        ("identity--1", "identity-1", 6, "parties"),
        ("[[onward]]", '[misp]\namber = "everybody"\n[[onward]]', 18, "misp.amber"),
        ("[[onward]]", '[misp]\namber = "sharing-group"\n[[onward]]', 17, "names no group"),
        ("[[onward]]", '[misp]\nsharing_group = "five"\n[[onward]]', 18, "misp.sharing_group"),
    ],
)
def test_a_faulty_agreement_is_named_by_line_and_field(old: str, new: str, line: int | None, word: str) -> None:
    """So that who wrote it can mend it."""
    with pytest.raises(InputError, match=word) as caught:
        read_agreement(TEXT.replace(old, new, 1).encode(), "aid.toml")
    assert caught.value.place is not None
    assert (caught.value.place.path, caught.value.place.line) == ("aid.toml", line)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_agreement_or_an_error_of_ours(data: bytes) -> None:
    """No other error escapes."""
    for read in (read_agreement, read_card):
        with pytest.raises((InputError, TrustError)):
            read(data)


def test_a_signed_agreement_can_not_be_changed() -> None:
    """Not by a letter, not under another key."""
    signature = sign_agreement(TEXT.encode(), KEY)
    verify_agreement(TEXT.encode(), signature, KEY.public)
    for text, key in ((TEXT.replace("green", "amber"), KEY), (TEXT, SigningKey.generate())):
        with pytest.raises(SignatureError):
            verify_agreement(text.encode(), signature, key.public)


def test_a_card_reads_back() -> None:
    """As its owner wrote it, with a fingerprint that a person can read out."""
    assert read_card(export_card(CARD, KEY)) == CARD
    words = fingerprint(CARD).split()
    assert len(words) == 10
    assert all(len(word) == 4 for word in words)
    other = msgspec.structs.replace(CARD, age_recipient=AgeKey.generate().recipient)
    assert fingerprint(other) != fingerprint(CARD)


@pytest.mark.parametrize("field", ["name", "organisation", "identity", "age_recipient", "signing_key", "issued"])
def test_a_changed_card_is_refused(field: str) -> None:
    """Whoever changed it."""
    document = json.loads(export_card(CARD, KEY))
    other = msgspec.to_builtins(
        AllyCard(
            identity="identity--22222222-2222-4222-8222-222222222222",
            name="x",
            organisation="y",
            signing_key=SigningKey.generate().public.text,
            age_recipient=AgeKey.generate().recipient,
            issued="2023-01-01T00:00:00.000Z",
        )
    )
    document["card"][field] = other[field]
    with pytest.raises(TrustError):
        read_card(json.dumps(document).encode())


def test_a_card_can_not_be_signed_with_another_key() -> None:
    """It would be refused by everybody."""
    with pytest.raises(TrustError):
        export_card(CARD, SigningKey.generate())


@pytest.fixture
def database(tmp_path: Path):  # type: ignore[no-untyped-def]
    """An empty store whose first person has every role."""
    database = Database.at(tmp_path / "a.db")
    database.create_tables()
    with database.write() as connection:
        roles = ["analyst", "releaser", "administrator"]
        set_roles(connection, "ana", roles, actor="ana", time=NOW, key=KEY)
    yield database
    database.close()


def test_a_fingerprint_that_differs_stops_the_import(database: Database) -> None:
    """And one that fits is remembered until a key changes."""
    data = export_card(CARD, KEY)
    with database.write() as connection:
        with pytest.raises(SignatureError, match="Do not trust"):
            add_ally(connection, data, actor="ana", time=NOW, key=KEY, compared="0000 1111")
        assert add_ally(connection, data, actor="ana", time=NOW, key=KEY).compared_by is None
        spoken = fingerprint(CARD).lower()
        assert add_ally(connection, data, actor="ana", time=NOW, key=KEY, compared=spoken).compared_by == "ana"
        renamed = msgspec.structs.replace(CARD, organisation="New name", issued="2022-09-02T00:00:00.000Z")
        assert add_ally(connection, export_card(renamed, KEY), actor="ana", time=NOW, key=KEY).compared_by == "ana"
        fresh = SigningKey.generate()
        rekeyed = msgspec.structs.replace(renamed, signing_key=fresh.public.text, issued="2022-09-03T00:00:00.000Z")
        assert add_ally(connection, export_card(rekeyed, fresh), actor="ana", time=NOW, key=KEY).compared_by is None
        with pytest.raises(TrustError, match="newer card"):
            add_ally(connection, data, actor="ana", time=NOW, key=KEY)
        assert find_ally(connection, "cert-north").card == rekeyed


def test_nobody_takes_another_allys_name(database: Database) -> None:
    """A name is how people address a release."""
    other = SigningKey.generate()
    imposter = msgspec.structs.replace(
        CARD, identity="identity--99999999-9999-4999-8999-999999999999", signing_key=other.public.text
    )
    with database.write() as connection:
        add_ally(connection, export_card(CARD, KEY), actor="ana", time=NOW, key=KEY)
        with pytest.raises(TrustError, match="called cert-north already"):
            add_ally(connection, export_card(imposter, other), actor="ana", time=NOW, key=KEY)


def test_agreements_keep_their_versions_and_notice_changes(database: Database) -> None:
    """The latest counts; the same version with another text is refused; a changed row is found."""
    with database.write() as connection:
        add_agreement(connection, TEXT.encode(), actor="ana", time=NOW, key=KEY)
        add_agreement(connection, TEXT.encode(), actor="ana", time=NOW, key=KEY)
        with pytest.raises(TrustError, match="reads differently"):
            add_agreement(connection, (TEXT + "# more\n").encode(), actor="ana", time=NOW, key=KEY)
        newer = TEXT.replace("version = 3", "version = 4").replace('"green"]', '"green", "amber"]', 1)
        add_agreement(connection, newer.encode(), actor="ana", time=NOW, key=KEY)
        (latest,) = read_agreements(connection, KEY.public)
        assert (latest.version, latest.release.labels) == (4, ("clear", "green", "amber"))
        connection.exec_driver_sql("UPDATE agreements SET text = replace(text, 'amber', 'red') WHERE version = 4")
        with pytest.raises(IntegrityError, match="changed after it was signed"):
            list(read_agreements(connection, KEY.public))


def test_roles_are_given_by_administrators(database: Database) -> None:
    """The last one can't go, a guest is nothing else, and who lacks a role is told whom to ask."""
    with database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=NOW, key=KEY)
        assert read_people(connection)["ben"] == ("analyst",)
        for roles, actor, error in (
            (["releaser"], "ben", NotPermittedError),
            (["releaser", "guest"], "ana", TrustError),
            (["king"], "ana", TrustError),
        ):
            with pytest.raises(error):
                set_roles(connection, "cas", roles, actor=actor, time=NOW, key=KEY)
        with pytest.raises(NotPermittedError, match="at least one administrator"):
            set_roles(connection, "ana", ["analyst"], actor="ana", time=NOW, key=KEY)
        with pytest.raises(NotPermittedError, match="Ask ana"):
            require(connection, "ben", "releaser")


def test_a_hold_is_lifted_by_a_releaser_for_a_reason(database: Database) -> None:
    """An analyst may place one."""
    with database.write() as connection:
        set_roles(connection, "ben", ["analyst"], actor="ana", time=NOW, key=KEY)
        place_hold(connection, ["malware--1"], "legal-hold", "court", actor="ben", time=NOW, key=KEY)
        assert read_holds(connection) == {"malware--1": ("legal-hold",)}
        with pytest.raises(NotPermittedError):
            lift_hold(connection, "malware--1", "legal-hold", "over", actor="ben", time=NOW, key=KEY)
        with pytest.raises(TrustError, match="reason"):
            lift_hold(connection, "malware--1", "legal-hold", " ", actor="ana", time=NOW, key=KEY)
        lift_hold(connection, "malware--1", "legal-hold", "the case is closed", actor="ana", time=NOW, key=KEY)
        assert read_holds(connection) == {}
