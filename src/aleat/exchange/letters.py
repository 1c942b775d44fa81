"""Letters: sealed files as they travel over TAXII, each a STIX `artifact` (STIX 2.1 §6.1) in a collection of messages.

An artifact's id is random, its marking is the same for all, and it names nobody: what a server, or whoever else
reads the collection, learns is that a file went, when, and roughly how large it is. All else is inside the seal
(`aleat.trust.seal`), and only its recipient can open that. Any TAXII client may read the collection; only Aleat does
anything with it.
"""

from __future__ import annotations

import base64
import binascii
import uuid

import msgspec

from aleat.errors import ObjectError, Place, SealError
from aleat.exchange.desk import Desk
from aleat.exchange.sending import Sent
from aleat.stix.canonical import canonical_json
from aleat.stix.objects import StixObject, parse_object
from aleat.store.post import add_post
from aleat.trust.markings import marking_id
from aleat.trust.seal import is_sealed

__all__ = ["MAX_LETTER", "MESSAGES_ALIAS", "letter_object", "open_letter", "post_letter"]

MESSAGES_ALIAS = "aleat-messages"
"""The alias (TAXII 2.1 §5.1.1) of a collection of sealed files, by which Aleat knows one."""

MAX_LETTER = 20 * 1024**2
"""The largest sealed file that travels over TAXII, in bytes: with a server's usual limit on bodies, in base64."""

_MIME_TYPE = "application/x-aleat-sealed"
_MARKING = "tlp:amber+strict"  # one for all: a letter's label would tell what is inside


class _Artifact(msgspec.Struct):
    id: str
    mime_type: str = ""
    payload_bin: str = ""


def post_letter(desk: Desk, sent: Sent) -> str:
    """Put a sealed file into the post box, in the desk's transaction, and return its name there.

    Its letter's id is random, so that it confirms no guess at what is inside. Raises `SealError` where it is too large.
    """
    if len(sent.data) > MAX_LETTER:
        raise SealError(
            f"That makes a sealed file of {len(sent.data):,} bytes; over TAXII at most {MAX_LETTER:,} go. Write it to "
            "a folder (--output), or let the ally poll what it may have from our server."
        )
    add_post(
        desk.connection,
        sent.recipient,
        file=sent.file,
        name=sent.name,
        letter=f"artifact--{uuid.uuid4()}",
        release=sent.release_id,
        data=sent.data,
        time=desk.time,
    )
    return sent.name


def letter_object(id_: str, sealed: bytes) -> StixObject:
    """Return the artifact that carries a sealed file."""
    content = {
        "type": "artifact",
        "spec_version": "2.1",
        "id": id_,
        "mime_type": _MIME_TYPE,
        "payload_bin": base64.b64encode(sealed).decode("ascii"),
        "object_marking_refs": [marking_id(_MARKING)],
    }
    return parse_object(canonical_json(content), Place(id_))


def open_letter(raw: bytes) -> tuple[str, bytes]:
    """Return id and sealed file of an artifact, the file still shut; raises `ObjectError` where it is no letter."""
    try:
        found = msgspec.json.decode(raw, type=_Artifact)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ObjectError("The object is no letter.") from None
    if not found.id.startswith("artifact--") or len(found.id) > 80 or found.mime_type != _MIME_TYPE:
        raise ObjectError(f"The object is no letter: that is an artifact of {_MIME_TYPE}.")
    if len(found.payload_bin) > MAX_LETTER * 4 // 3 + 4:
        raise ObjectError(f"The letter is larger than {MAX_LETTER:,} bytes.")
    try:
        sealed = base64.b64decode(found.payload_bin, validate=True)
    except (binascii.Error, ValueError):
        raise ObjectError("The letter's content is no base64.") from None
    if not is_sealed(sealed):
        raise ObjectError("The letter holds no sealed file.")
    return found.id, sealed
