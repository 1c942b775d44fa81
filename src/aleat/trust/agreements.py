"""Allies and the agreements with them: files that a person can read, checked, and signed.

An *ally card* is what a team says about itself: its STIX identity, its public keys, its named people. It is
signed with the very key that it names, which proves only that the card is whole: compare `fingerprint` over
another channel (telephone, in person) before trusting it.

An *agreement* is a TOML file that a lawyer can read: between whom, for what, from when to when, under which
labels we may give, and what of theirs we may pass on to whom. What it doesn't say is not allowed. It is
signed by the key of the workspace that goes by it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from aleat.errors import InputError, LimitError, Place, SignatureError, TrustError
from aleat.stix.canonical import canonical_json
from aleat.trust.decay import DecayTerms
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import PublicKey, SigningKey, check_age_recipient
from aleat.trust.openpgp import PgpCertificate

__all__ = [
    "Agreement",
    "AllyCard",
    "AllyParty",
    "Label",
    "MispTerms",
    "NamedPerson",
    "OnwardTerm",
    "Permission",
    "Person",
    "ReleaseTerms",
    "export_card",
    "fingerprint",
    "in_force",
    "read_agreement",
    "read_card",
    "sign_agreement",
    "verify_agreement",
]

Label = Literal["clear", "green", "amber", "amber+strict", "red"]
"""TLP 2.0 in lower case (https://www.first.org/tlp/); TLP 1.0's white is clear."""

_MAX_DOCUMENT = 256 * 1024
_CARD_TYPE = "aleat-card"
_AGREEMENT_TYPE = "aleat-agreement"

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IdentityId = Annotated[str, msgspec.Meta(pattern=f"^identity--{_UUID}\\Z")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Word = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,63}\\Z")]
_Country = Annotated[str, msgspec.Meta(pattern="^([A-Z]{2})?\\Z")]


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A named person of an ally: what they do, and how to reach them."""

    name: _Name
    role: Annotated[str, msgspec.Meta(max_length=200)] = ""
    contact: Annotated[str, msgspec.Meta(max_length=200)] = ""


class AllyCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team's public face: `country` in ISO 3166 alpha-2, `sectors` from STIX's industry-sector-ov."""

    format: Literal[1] = 1
    identity: _IdentityId
    name: _Word
    """The short name by which the team is called (``release --to cert-il``)."""
    organisation: _Name
    country: _Country = ""
    sectors: tuple[_Word, ...] = ()
    constituency: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    signing_key: str
    age_recipient: str
    people: tuple[Person, ...] = ()
    issued: str
    openpgp: Annotated[str, msgspec.Meta(max_length=65536)] = ""
    """The team's OpenPGP certificate in ASCII armour: with one, sealed files for it are OpenPGP messages."""

    @property
    def public_key(self) -> PublicKey:
        """The Ed25519 key with which the team signs."""
        return PublicKey.from_text(self.signing_key)


class NamedPerson(Person, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person whom an agreement names; `red`: TLP:RED of ours may be given to this very person, in a sealed file."""

    red: bool = False


class AllyParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the other party is, as the agreement says: for people to read, and its `fingerprint` for the gate.

    `constituency` says for whom it works; what it is to us (`Agreement.relation`) decides. With a `fingerprint`
    (`fingerprint` of its card) nothing leaves for a card with other keys until the agreement says the new one.
    """

    identity: _IdentityId
    organisation: _Name
    country: _Country = ""
    constituency: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    fingerprint: Annotated[str, msgspec.Meta(pattern=r"^(([0-9A-Fa-f]{4} ?){10})?\Z")] = ""
    people: tuple[NamedPerson, ...] = ()


class ReleaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of *ours* the other party may get, and how much of a victim it shows.

    `labels` are those under which objects of ours may leave; `default_label` is given to objects of ours that
    carry none (without it they stay). `granularity` coarsens the times of sightings, `threshold` withholds
    sightings of fewer events, `internal` lets internal addresses, hosts and accounts through,
    `personal` e-mail addresses and telephone numbers in texts of ours.
    """

    labels: tuple[Label, ...] = ()
    default_label: Label | None = None
    victims: Literal["name", "sector-country", "country", "none"] = "sector-country"
    granularity: Literal["exact", "hour", "day", "month"] = "day"
    threshold: Annotated[int, msgspec.Meta(ge=1)] = 1
    internal: bool = False
    personal: bool = False


class OnwardTerm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of *theirs* we may pass on: objects under `labels`, to these identities, or members of communities."""

    labels: tuple[Label, ...]
    to: tuple[_IdentityId, ...] = ()
    communities: tuple[_Word, ...] = ()


class MispTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far what leaves may travel on the other party's MISP servers.

    `servers` are the URLs that may be written to (none: any that is named when it is done). `amber` is how far
    TLP:AMBER goes there: to our own organisation's users, to the sharing group with the UUID `sharing_group`, or to all
    of the server's community, if that is just the other party's organisation and its clients. `green` is how far
    TLP:GREEN goes: to the server's community, or to those connected to it.
    """

    servers: tuple[Annotated[str, msgspec.Meta(max_length=2000)], ...] = ()
    sharing_group: Annotated[str, msgspec.Meta(pattern=f"^({_UUID})?\\Z")] = ""
    amber: Literal["organisation", "sharing-group", "community"] | None = None
    green: Literal["community", "connected"] = "community"


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agreement between `parties` (STIX identities, ours among them), in force on both of its dates too.

    `relation` says what the other party is to us, for TLP:AMBER ("own organisation and its clients") and
    AMBER+STRICT ("own organisation"): an "ally" is neither.
    """

    format: Literal[1]
    name: _Word
    version: Annotated[int, msgspec.Meta(ge=1)]
    kind: Literal["bilateral", "alliance", "sector-group"]
    parties: Annotated[tuple[_IdentityId, ...], msgspec.Meta(min_length=2)]
    valid_from: date
    valid_until: date
    purposes: tuple[_Word, ...]
    ally: tuple[AllyParty, ...] = ()
    """The other party or parties: who they are, by which keys they are known, whom of them it names."""
    relation: Literal["ally", "constituent", "own-organisation"] = "ally"
    communities: tuple[_Word, ...] = ()
    two_people: bool = False
    basis: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """The law, treaty or letter that it rests on, in words."""
    release: ReleaseTerms = ReleaseTerms()
    onward: tuple[OnwardTerm, ...] = ()
    decay: DecayTerms | None = None
    """How what the other party gives ages (`aleat.trust.decay`); None: it doesn't."""
    misp: MispTerms = MispTerms()


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """An originator's recorded leave to pass something on: `objects` (STIX ids) to `recipient`, between two dates."""

    id: str
    originator: str
    recipient: str
    objects: frozenset[str]
    valid_from: date
    valid_until: date


def in_force(agreement: Agreement | Permission, time: datetime) -> bool:
    """Return whether the agreement or permission holds on the (UTC) day of `time`."""
    return agreement.valid_from <= time.date() <= agreement.valid_until


@lru_cache(256)
def read_agreement(text: bytes, path: str = "agreement") -> Agreement:
    """Read and check an agreement's TOML; raises `InputError` with line and field where it is not one."""
    document = _toml(text, path)
    try:
        agreement = msgspec.convert(document, Agreement)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).partition(" - at ")
        place = Place(path, _line_of(text, field.strip("`"), reason))
        where = f" (at {field.strip('`').removeprefix('$.')})" if field else ""
        raise InputError(f"{reason}{where}.", place, advice="See docs/concepts/release.md for the fields.") from error
    if strangers := [one.organisation for one in agreement.ally if one.identity not in agreement.parties]:
        raise InputError(f"{strangers[0]} is an ally in it, and none of its parties.", Place(path))
    if agreement.valid_until < agreement.valid_from:
        raise InputError("It ends before it begins.", Place(path, _line_of(text, "$.valid_until", "")))
    if agreement.misp.amber == "sharing-group" and not agreement.misp.sharing_group:
        raise InputError(
            "It gives TLP:AMBER to a sharing group of a MISP server, and names no group.",
            Place(path, _line_of(text, "$.misp", "")),
            advice="Add its UUID: sharing_group.",
        )
    return agreement


def sign_agreement(text: bytes, key: SigningKey) -> str:
    """Return the workspace's detached signature over an agreement's file."""
    return sign_detached(_digest(text), key, typ=_AGREEMENT_TYPE)


def verify_agreement(text: bytes, signature: str, key: PublicKey) -> None:
    """Raise `SignatureError` unless `signature` is that of `key` over the agreement's file."""
    verify_detached(signature, _digest(text), [key], typ=_AGREEMENT_TYPE)


def export_card(card: AllyCard, key: SigningKey) -> bytes:
    """Return the card as a signed file (JSON); raises `TrustError` if `key` is not the one that it names."""
    if card.signing_key != key.public.text:
        raise TrustError("The card names another signing key than the one that signs it.")
    fields = msgspec.to_builtins(card)
    if not card.openpgp:
        del fields["openpgp"]
    signature = sign_detached(canonical_json(fields), key, typ=_CARD_TYPE)
    return msgspec.json.format(msgspec.json.encode({"card": fields, "signature": signature}), indent=2) + b"\n"


@lru_cache(256)
def read_card(data: bytes, path: str = "card") -> AllyCard:
    """Read an ally's card and check that it is whole; whose it is, only `fingerprint` can tell."""
    if len(data) > _MAX_DOCUMENT:
        raise LimitError(f"The file is larger than a card may be ({_MAX_DOCUMENT} bytes).", Place(path))
    try:
        document = msgspec.json.decode(data, type=dict[str, Any])
        card = msgspec.convert(document.get("card"), AllyCard)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"That is no ally's card: {error}.", Place(path)) from error
    try:
        check_age_recipient(card.age_recipient)
        if card.openpgp:
            PgpCertificate.from_bytes(card.openpgp.encode())
        verify_detached(
            str(document.get("signature")), canonical_json(document["card"]), [card.public_key], typ=_CARD_TYPE
        )
    except SignatureError as error:
        raise SignatureError(f"{path}: the card was changed after it was signed. Ask for a new one.") from error
    except TrustError as error:
        raise InputError(str(error), Place(path)) from error
    return card


def fingerprint(card: AllyCard) -> str:
    """Return what two people read to each other: 40 hex digits in groups of four, over identity and keys."""
    keys = [_CARD_TYPE, card.identity, card.signing_key, card.age_recipient]
    if card.openpgp:
        keys.append(PgpCertificate.from_bytes(card.openpgp.encode()).recipient)
    digest = hashlib.sha256(canonical_json(keys))
    text = digest.hexdigest()[:40].upper()
    return " ".join(text[start : start + 4] for start in range(0, 40, 4))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _toml(text: bytes, path: str) -> dict[str, Any]:
    if len(text) > _MAX_DOCUMENT:
        raise LimitError(f"The file is larger than an agreement may be ({_MAX_DOCUMENT} bytes).", Place(path))
    try:
        return tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError("The file is not UTF-8.", Place(path, offset=error.start)) from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d{1,9}), column (\d{1,9})\)", str(error))
        place = Place(path, int(found[1]), int(found[2])) if found else Place(path)
        raise InputError(f"The file is not TOML: {str(error).split(' (at ')[0]}.", place) from error
    except RecursionError as error:
        raise InputError("The file is nested too deeply.", Place(path)) from error


def _line_of(text: bytes, field: str, reason: str) -> int | None:
    """Return the line (from 1) of the field at a msgspec path as ``$.release.labels[0]``, as well as can be told."""
    names = re.findall(r"[A-Za-z_]+", field)
    if unknown := re.search(r"unknown field `([^`]{1,100})`", reason):
        names.append(unknown[1])
    if not names:
        return None
    table = ".".join(names[:-1])
    section = ""
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped.split("]")[0].strip("[ ")
            if section == ".".join(names):
                return number
        elif section == table and stripped.partition("=")[0].strip().strip('"') == names[-1]:
            return number
    return None
