"""Sealed files: signed by their sender, then encrypted to one named ally, for teams with no network between them.

Inside the encryption (age, https://age-encryption.org/v1, to the ally's X25519 recipient; or OpenPGP, to the
certificate in the ally's card: `aleat.trust.openpgp`) lie one after another::

    aleat-sealed 1\\n
    <detached JWS of the sender over the header>\\n
    <header: canonical JSON>\\n
    <the parts' bytes, in the header's order>
    <zeros, up to a length that tells little (Padmé, https://doi.org/10.2478/popets-2019-0056)>

The header names sender *and* recipient, so that a recipient can't pass the file on as if it had been meant for
another; a serial number for this pair and a random file id, so that a file counts once; and each part's size
and SHA-256. Outside the encryption there is nothing but what age needs (with OpenPGP the id of the key that opens
it), and the file's name is random.

Nothing is compressed: a length after compression tells more about what is inside. What this does not protect:
that a file was sent, when, and roughly how large it is; anything, once a recipient has opened it; old files, if
the recipient's private key is lost later (neither age nor OpenPGP has forward secrecy).
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from aleat.errors import SealError, SignatureError
from aleat.stix.canonical import canonical_json
from aleat.stix.times import format_timestamp
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import AgeKey, PublicKey, SigningKey
from aleat.trust.openpgp import PgpCertificate, PgpKey, is_openpgp

__all__ = ["MAX_SEALED", "Opened", "Part", "SealHeader", "is_sealed", "open_sealed", "seal", "sealed_name"]

MAX_SEALED = 512 * 1024 * 1024
"""The largest sealed file that is opened, in bytes: read no more than one byte beyond it."""

_AGE = b"age-encryption.org/v1\n"
_MAGIC = b"aleat-sealed 1\n"
_TYPE = "aleat-sealed"
_MAX_HEADER = 64 * 1024
_MAX_LINE = 2048
_Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_PartName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9.-]{0,63}\Z")]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a sealed file: its name inside, its size in bytes, its SHA-256 (hex)."""

    name: _PartName
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: _Hex


class SealHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the sender signs. `serial` counts the sender's files to this recipient from 1; `file` is random."""

    format: Literal[1] = 1
    sender: str
    recipient: str
    recipient_key: str
    serial: Annotated[int, msgspec.Meta(ge=1)]
    file: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}\Z")]
    sealed: str
    release: str = ""
    """The release that the file carries, if any: a withdrawn one is refused."""
    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=16)]


class Opened(msgspec.Struct, frozen=True):
    """An opened file: the header with the signature over its bytes (both worth keeping), and the parts by name."""

    header: SealHeader
    header_bytes: bytes
    signature: str
    parts: dict[str, bytes]


def sealed_name() -> str:
    """Return a file name that tells nothing."""
    return f"aleat-{secrets.token_hex(8)}.sealed"


def seal(
    parts: Mapping[str, bytes],
    *,
    sender: str,
    key: SigningKey,
    recipient: str,
    recipient_key: str,
    serial: int,
    time: datetime,
    release: str = "",
    certificate: str = "",
) -> tuple[bytes, Opened]:
    """Return the sealed file's bytes, and its inside as the sender keeps it.

    `sender` and `recipient` are STIX identity ids, `recipient_key` the ally's age recipient, `certificate` its OpenPGP
    certificate: where there is one, the file is encrypted to that. Raises `SealError`.
    """
    openpgp = PgpCertificate.from_bytes(certificate.encode()) if certificate else None
    header = SealHeader(
        sender=sender,
        recipient=recipient,
        recipient_key=recipient_key if openpgp is None else openpgp.recipient,
        serial=serial,
        file=str(uuid.uuid4()),
        sealed=format_timestamp(time),
        release=release,
        parts=tuple(Part(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in parts.items()),
    )
    header_bytes = canonical_json(msgspec.to_builtins(header))
    signature = sign_detached(header_bytes, key, typ=_TYPE)
    plain = b"".join((_MAGIC, signature.encode(), b"\n", header_bytes, b"\n", *parts.values()))
    plain += bytes(_padded(len(plain)) - len(plain))
    if len(plain) > MAX_SEALED - _MAX_HEADER:
        raise SealError(f"That is too much for one sealed file ({MAX_SEALED} bytes). Release fewer objects at once.")
    sealed = openpgp.encrypt(plain) if openpgp is not None else _encrypt_age(plain, recipient_key)
    return sealed, Opened(header, header_bytes, signature, dict(parts))


def _encrypt_age(plain: bytes, recipient_key: str) -> bytes:
    import pyrage  # noqa: PLC0415 (only those who seal and open pay for it)

    try:
        return bytes(pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient_key)]))
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise SealError("The ally's age recipient can't be used. Import the ally's card again.") from error


def is_sealed(start: bytes) -> bool:
    """Tell whether a file that begins with `start` may be a sealed one."""
    return start.startswith(_AGE) or is_openpgp(start)


def open_sealed(
    data: bytes,
    *,
    own: str,
    age_keys: Sequence[AgeKey],
    senders: Mapping[str, Sequence[PublicKey]],
    received: Container[str] = frozenset(),
    withdrawn: Container[str] = frozenset(),
    openpgp_keys: Sequence[PgpKey] = (),
) -> Opened:
    """Decrypt and check a sealed file; nothing of it is returned before everything fits.

    `own` is our STIX identity id, `senders` the known allies' keys by identity, `received` the file ids that
    were opened before, `withdrawn` the releases that were withdrawn. Raises `SealError`, `SignatureError`.
    """
    plain = _decrypt(data, age_keys, openpgp_keys)
    signature, header_bytes, header, start = _split(plain)
    keys = senders.get(header.sender)
    if not keys:
        raise SignatureError(
            "The file's sender is not known here, or nobody has compared the fingerprint of that ally's card yet. "
            "Import the card with the fingerprint that its people read to you."
        )
    verify_detached(signature, header_bytes, keys, typ=_TYPE)
    ours = {key.recipient for key in age_keys} | {key.certificate.recipient for key in openpgp_keys}
    if header.recipient != own or header.recipient_key not in ours:
        raise SealError("The file was sealed for somebody else, and passed on. Tell its sender.")
    if header.release and header.release in withdrawn:
        raise SealError("Its sender has withdrawn this release. It stays shut.")
    if header.file in received:
        raise SealError("This file was opened before: a file counts once.")
    return Opened(header, header_bytes, signature, _parts(plain, header, start))


def _decrypt(data: bytes, age_keys: Sequence[AgeKey], openpgp_keys: Sequence[PgpKey]) -> bytes:
    import pyrage  # noqa: PLC0415

    if len(data) > MAX_SEALED:
        raise SealError(f"The file is larger than a sealed file may be ({MAX_SEALED} bytes).")
    if not is_sealed(data):
        raise SealError("That is no sealed file (it does not begin as age's or OpenPGP's do).")
    if not data.startswith(_AGE):
        return _decrypt_openpgp(data, openpgp_keys)
    try:
        plain: bytes = pyrage.decrypt(data, [key.identity for key in age_keys])
    except pyrage.DecryptError as error:
        raise SealError("The file can't be decrypted: it was damaged, or is not for a key of ours.") from error
    return plain


def _decrypt_openpgp(data: bytes, keys: Sequence[PgpKey]) -> bytes:
    if not keys:
        raise SealError("That is an OpenPGP message, and this workspace has no OpenPGP key. See: aleat openpgp --help.")
    for key in keys[:-1]:
        try:
            return key.decrypt(data)
        except SealError:
            continue
    return keys[-1].decrypt(data)


def _split(plain: bytes) -> tuple[str, bytes, SealHeader, int]:
    """Return (signature, header's bytes, header, where the parts begin)."""
    if not plain.startswith(_MAGIC):
        raise SealError("The file's inside is of a format that this version does not know.")
    first = plain.find(b"\n", len(_MAGIC), len(_MAGIC) + _MAX_LINE)
    second = plain.find(b"\n", first + 1, first + 1 + _MAX_HEADER) if first > 0 else -1
    if second < 0:
        raise SealError("The file's inside is cut off or too long: it has no header.")
    header_bytes = plain[first + 1 : second]
    try:
        signature = plain[len(_MAGIC) : first].decode("ascii")
        header = msgspec.json.decode(header_bytes, type=SealHeader)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        raise SealError("The file's header can't be read.") from error
    return signature, header_bytes, header, second + 1


def _parts(plain: bytes, header: SealHeader, start: int) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    for part in header.parts:
        content = plain[start : start + part.size]
        if part.name in parts or hashlib.sha256(content).hexdigest() != part.sha256:
            raise SealError(f"The part {part.name} is not the one that was signed.")
        parts[part.name] = content
        start += part.size
    if plain.count(0, start) != len(plain) - start or len(plain) != _padded(start):
        raise SealError("The file holds more than what was signed.")
    return parts


def _padded(length: int) -> int:
    """Return the next Padmé length: at most 12% more, and only O(log log length) bits told.

    >>> _padded(9), _padded(1000), _padded(1_000_003)
    (10, 1024, 1015808)
    """
    exponent = length.bit_length() - 1
    mask = (1 << max(exponent - exponent.bit_length(), 0)) - 1
    return (length + mask) & ~mask
