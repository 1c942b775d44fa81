"""The messages of a thread between two teams: asked, offered, accepted or refused, delivered, answered, closed.

They are typed messages in the signed part of a sealed file, beside the STIX bundle that goes with them (see
docs/decisions/0003-sealed-files.md). A thread begins with a request or an offer, and bears its id. A message
never changes: its id is random, and the same id with other content is refused.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from aleat.errors import ObjectError
from aleat.stix.canonical import canonical_json
from aleat.store.exchanges import MessageRow
from aleat.trust.agreements import Label

__all__ = [
    "Acceptance",
    "Affected",
    "Closing",
    "Delivery",
    "Findings",
    "Message",
    "Offer",
    "Receipt",
    "Refusal",
    "Request",
    "Withdrawal",
    "decode_messages",
    "encode_messages",
    "message_row",
    "read_message",
]

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_Id = Annotated[str, msgspec.Meta(pattern=rf"^message--{_UUID}\Z")]
_Identity = Annotated[str, msgspec.Meta(pattern=rf"^identity--{_UUID}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Line = Annotated[str, msgspec.Meta(max_length=500)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Lines = Annotated[tuple[_Line, ...], msgspec.Meta(max_length=100)]
_StixId = Annotated[str, msgspec.Meta(pattern=rf"^[a-z][a-z0-9-]{{2,100}}--{_UUID}\Z")]
_StixIds = Annotated[tuple[_StixId, ...], msgspec.Meta(max_length=10_000)]

_MAX_MESSAGES = 100


class _Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: _Id
    thread: _Id
    sender: _Identity
    recipient: _Identity
    time: Annotated[str, msgspec.Meta(max_length=40)]
    person: _Line
    """Who of the sender's people decided this."""
    label: Label = "amber"


class Affected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is affected, as far as the asker says: `sector` in STIX's words, `country` in ISO 3166 alpha-2."""

    entity: _Line = ""
    sector: _Line = ""
    country: Annotated[str, msgspec.Meta(max_length=2)] = ""


class Request(_Base, frozen=True, kw_only=True, tag="request"):
    """A request for support in incident response.

    The fields are those of a request for support from the EU Cybersecurity Reserve (Regulation (EU) 2025/38,
    the Cyber Solidarity Act, article 15): the affected entity and the impact, the estimated needs and the
    planned use of the support, the measures taken, and the other support that the affected entity can have.
    """

    title: _Line
    affected: Affected
    impact: _Text
    needs: _Lines
    planned_use: _Text = ""
    measures_taken: _Text = ""
    other_support: _Text = ""


class Offer(_Base, frozen=True, kw_only=True, tag="offer"):
    """An offer, to a request (`of`) or unasked: what, for which purposes, on which conditions, until when."""

    of: _Id | None = None
    what: _Text
    kinds: tuple[Literal["knowledge", "tools", "people", "other"], ...] = ("knowledge",)
    purposes: _Lines = ()
    conditions: _Text = ""
    valid_until: date | None = None


class Acceptance(_Base, frozen=True, kw_only=True, tag="acceptance"):
    """The other side takes an offer, or takes on a request."""

    of: _Id
    remarks: _Text = ""


class Refusal(_Base, frozen=True, kw_only=True, tag="refusal"):
    """The other side refuses an offer or a request, and says why."""

    of: _Id
    reason: _Text


class Delivery(_Base, frozen=True, kw_only=True, tag="delivery"):
    """A release goes with this message; `sha256` is `Release.sha256`."""

    of: _Id
    release: Annotated[str, msgspec.Meta(max_length=60)]
    sha256: _Hex
    remarks: _Text = ""


class Findings(_Base, frozen=True, kw_only=True, tag="findings"):
    """What the recipient of a delivery found with it: STIX sightings go with this message, as a release.

    The counts are of the delivery's indicators; those `withheld` are findings that the sender's gate kept.
    """

    of: _Id
    release: Annotated[str, msgspec.Meta(max_length=60)]
    sha256: _Hex
    seen: Annotated[int, msgspec.Meta(ge=0)]
    not_seen: Annotated[int, msgspec.Meta(ge=0)]
    false_positives: Annotated[int, msgspec.Meta(ge=0)]
    not_evaluated: Annotated[int, msgspec.Meta(ge=0)]
    remarks: _Text = ""


class Closing(_Base, frozen=True, kw_only=True, tag="closing"):
    """The thread ends: what came of it, and what was learned."""

    outcome: _Text
    lessons: _Text = ""


class Withdrawal(_Base, frozen=True, kw_only=True, tag="withdrawal"):
    """What the sender gave no longer holds; its recipients stop using it.

    Either a whole `release`; or `objects` (STIX ids, as the recipient got them), however they came. What of these
    the sender made itself comes with the message, revoked, as the release `carries` with the hash `sha256`.
    """

    release: Annotated[str, msgspec.Meta(max_length=60)] = ""
    reason: _Text
    objects: _StixIds = ()
    carries: Annotated[str, msgspec.Meta(max_length=60)] = ""
    sha256: _Hex | None = None


class Receipt(_Base, frozen=True, kw_only=True, tag="receipt"):
    """A delivery, findings or a withdrawal (`of`) was opened, and kept: `sha256` is that of the sealed file."""

    of: _Id
    sha256: _Hex


Message = Request | Offer | Acceptance | Refusal | Delivery | Findings | Closing | Withdrawal | Receipt

_decoder = msgspec.json.Decoder(tuple[Message, ...])
_one: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_messages(messages: tuple[Message, ...]) -> bytes:
    """Return messages as the canonical JSON that goes into a sealed file."""
    return canonical_json(msgspec.to_builtins(messages))


def decode_messages(data: bytes) -> tuple[Message, ...]:
    """Read what `encode_messages` gives; raises `ObjectError`."""
    try:
        messages = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ObjectError(f"The file's messages can't be read: {error}.") from error
    if len(messages) > _MAX_MESSAGES:
        raise ObjectError(f"The file has more messages than {_MAX_MESSAGES}.")
    return messages


def message_row(message: Message) -> MessageRow:
    """Return a message as the store keeps it."""
    kind = str(message.__struct_config__.tag)
    return MessageRow(
        id=message.id,
        thread=message.thread,
        kind=kind,
        sender=message.sender,
        recipient=message.recipient,
        time=message.time,
        body=canonical_json(msgspec.to_builtins(message)),
    )


def read_message(row: MessageRow) -> Message:
    """Return the message in a store's row."""
    return _one.decode(row.body)
