"""The messages of a thread between two teams: asked, offered, accepted or refused, delivered, answered, closed.

A thread begins with a request for support, a request for information (inquiry), a request for permission, or an
offer, and bears its id; what may follow on what stands in `aleat.exchange.threads`.

They are typed messages in the signed part of a sealed file, beside the STIX bundle that goes with them (see
docs/decisions/0003-sealed-files.md). A message never changes: its id is random, and the same id with other content
is refused.
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
    "Asked",
    "AskedObject",
    "Closing",
    "Delivery",
    "Findings",
    "Grant",
    "Help",
    "Inquiry",
    "Message",
    "Offer",
    "PermissionRequest",
    "Receipt",
    "Refusal",
    "Request",
    "Results",
    "Retraction",
    "Withdrawal",
    "carried_release",
    "decode_messages",
    "encode_messages",
    "message_row",
    "read_message",
]

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_Id = Annotated[str, msgspec.Meta(pattern=rf"^message--{_UUID}\Z")]
_Identity = Annotated[str, msgspec.Meta(pattern=rf"^identity--{_UUID}\Z")]
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_HexOrNone = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
_Line = Annotated[str, msgspec.Meta(max_length=500)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_Lines = Annotated[tuple[_Line, ...], msgspec.Meta(max_length=100)]
_Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\Z")]
_Release = Annotated[str, msgspec.Meta(max_length=60)]

Help = Literal["knowledge", "playbooks", "tools", "people", "other"]
"""What an offer offers, or a delivery brings."""

_StixId = Annotated[str, msgspec.Meta(pattern=rf"^[a-z][a-z0-9-]{{2,100}}--{_UUID}\Z")]
_StixIds = Annotated[tuple[_StixId, ...], msgspec.Meta(max_length=10_000)]

_MAX_MESSAGES = 100
_MAX_BYTES = 16 * 1024 * 1024
_MAX_OBJECTS = 10_000


class _Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: _Id
    thread: _Id
    sender: _Identity
    recipient: _Identity
    time: _Time
    person: _Line
    """Who of the sender's people decided this."""
    label: Label = "amber"
    """How far the message itself may go, on the recipient's side."""


class Affected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is affected, as far as the asker says: `sector` in STIX's words, `country` in ISO 3166 alpha-2."""

    entity: _Line = ""
    sector: _Line = ""
    country: Annotated[str, msgspec.Meta(max_length=2)] = ""


class Request(_Base, frozen=True, kw_only=True, tag="request"):
    """A request for support in incident response.

    The fields are those of a request for support from the EU Cybersecurity Reserve (Regulation (EU) 2025/38,
    the Cyber Solidarity Act, article 15(5)): the affected entity and the impact, the risk that it spreads to other
    states, the estimated needs and the planned use of the support, the measures taken, and the other support that
    the affected entity can have (contracts with others, insurance). See docs/concepts/asks-and-gives.md.
    """

    title: _Line
    affected: Affected
    impact: _Text
    needs: _Lines
    spillover: _Text = ""
    planned_use: _Text = ""
    measures_taken: _Text = ""
    other_support: _Text = ""
    needed_by: date | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that an inquiry asks for: the indicator in its bundle by id, and what it looks for, for people."""

    indicator: _StixId
    what: Annotated[str, msgspec.Meta(max_length=2000)]


class Inquiry(_Base, frozen=True, kw_only=True, tag="inquiry"):
    """A request for information: "have you seen …?". The indicators go with it, as a release.

    What is asked shows what the asker knows, so it passes the asker's gate; `sha256` is `Release.sha256`. The other
    side hunts with them and answers with findings, which pass its own gate.
    """

    question: _Text
    asked: Annotated[tuple[Asked, ...], msgspec.Meta(min_length=1, max_length=_MAX_OBJECTS)]
    release: _Release
    sha256: _Hex
    needed_by: date | None = None


class AskedObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object that a permission is asked for, in the version that the asker holds."""

    id: _StixId
    version: Annotated[str, msgspec.Meta(max_length=40)]


class PermissionRequest(_Base, frozen=True, kw_only=True, tag="permission-request"):
    """An originator is asked to let objects of its own go on: which, to whom, for what, until when.

    The originator decides for this very recipient, so it is told who that is (`onward_to`, a STIX identity); it
    is told nothing of what others gave, or of what the recipient asked for.
    """

    objects: Annotated[tuple[AskedObject, ...], msgspec.Meta(min_length=1, max_length=_MAX_OBJECTS)]
    onward_to: _Identity
    onward_name: _Line
    onward_country: Annotated[str, msgspec.Meta(max_length=2)] = ""
    purpose: _Text
    until: date


class Grant(_Base, frozen=True, kw_only=True, tag="grant"):
    """The originator's permission: these objects, to this recipient, between two dates (both included).

    It is as good as the sealed file that it came in, whose signed header is kept. What it names beyond what was
    asked for counts for nothing.
    """

    of: _Id
    objects: Annotated[tuple[_StixId, ...], msgspec.Meta(min_length=1, max_length=_MAX_OBJECTS)]
    onward_to: _Identity
    valid_from: date
    valid_until: date
    conditions: _Text = ""

    @property
    def permission(self) -> str:
        """The id under which the permission is recorded: it follows from the message's."""
        return f"permission--{self.id.removeprefix('message--')}"


class Offer(_Base, frozen=True, kw_only=True, tag="offer"):
    """An offer, to a request (`of`) or unasked: what, for which purposes, on which conditions, until when.

    `valid_until` is its last day (UTC): an acceptance that was written later doesn't count.
    """

    of: _Id | None = None
    what: _Text
    kinds: tuple[Help, ...] = ("knowledge",)
    people: _Lines = ()
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
    """What is given: a release that goes with this message (`sha256` is `Release.sha256`), or people or tools.

    A delivery without a release says in `what` and `people` what or who comes, and from when to when.
    """

    of: _Id
    release: _Release = ""
    sha256: _HexOrNone = ""
    kinds: tuple[Help, ...] = ("knowledge",)
    what: _Text = ""
    people: _Lines = ()
    begins: date | None = None
    ends: date | None = None
    remarks: _Text = ""


class Results(_Base, frozen=True, kw_only=True, tag="results"):
    """What came of a delivery, in words: what the people did, what the tool or the playbook was good for."""

    of: _Id
    what: _Text
    lessons: _Text = ""


class Findings(_Base, frozen=True, kw_only=True, tag="findings"):
    """What the recipient of a delivery or inquiry found with it: STIX sightings go with this message, as a release.

    The counts are of the delivery's indicators; those `withheld` are findings that the sender's gate kept.
    """

    of: _Id
    release: _Release
    sha256: _Hex
    seen: Annotated[int, msgspec.Meta(ge=0)]
    not_seen: Annotated[int, msgspec.Meta(ge=0)]
    false_positives: Annotated[int, msgspec.Meta(ge=0)]
    not_evaluated: Annotated[int, msgspec.Meta(ge=0)]
    remarks: _Text = ""


class Closing(_Base, frozen=True, kw_only=True, tag="closing"):
    """The thread ends: what was given, what came of it, and what was learned.

    These are what the summary report at the end of a support action holds (Regulation (EU) 2025/38, article 16).
    """

    outcome: _Text
    lessons: _Text = ""
    provided: _Text = ""


class Retraction(_Base, frozen=True, kw_only=True, tag="retraction"):
    """The sender takes back what it said before: a request, an offer, an acceptance, a permission. Not what it gave."""

    of: _Id
    reason: _Text


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


Message = (
    Request
    | Inquiry
    | PermissionRequest
    | Offer
    | Acceptance
    | Refusal
    | Grant
    | Delivery
    | Findings
    | Results
    | Retraction
    | Withdrawal
    | Receipt
    | Closing
)

_decoder = msgspec.json.Decoder(tuple[Message, ...])
_one: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def carried_release(message: Message) -> str:
    """Return the id of the release that comes with a message, "" where none does."""
    if isinstance(message, Withdrawal):
        return message.carries
    return message.release if isinstance(message, Inquiry | Delivery | Findings) else ""


def encode_messages(messages: tuple[Message, ...]) -> bytes:
    """Return messages as the canonical JSON that goes into a sealed file."""
    return canonical_json(msgspec.to_builtins(messages))


def decode_messages(data: bytes) -> tuple[Message, ...]:
    """Read what `encode_messages` gives; raises `ObjectError`."""
    if len(data) > _MAX_BYTES:
        raise ObjectError(f"The file's messages are longer than {_MAX_BYTES:,} bytes.")
    try:
        messages = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
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
