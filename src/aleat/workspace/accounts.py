"""Who may come to our server: accounts of allies in `accounts.json`, with no secret in it that could be used.

An account is proved by a password (its argon2id hash is kept), a token (made here with 256 random bits, so that its
plain SHA-256 can't be guessed back), or a client certificate (its SHA-256). All accounts of one ally see the same
collection, whose id is random (TAXII 2.1 §5.1.1 wants a UUIDv4).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from aleat.errors import ObjectError, TrustError, WorkspaceError
from aleat.stix.times import format_timestamp, parse_timestamp
from aleat.store.files import write_file

__all__ = [
    "ACCOUNTS_NAME",
    "Account",
    "load_accounts",
    "make_account",
    "make_token",
    "rotate_token",
    "save_accounts",
    "token_digest",
]

ACCOUNTS_NAME = "accounts.json"

_MAX_FILE = 4 * 1024**2
_LONGEST_OVERLAP = timedelta(days=30)
_Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,63}\\Z")]
_Digest = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?\\Z")]


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account: whose (an identity's id), which collection it sees, whether it may push, and how it is proved."""

    name: _Name
    ally: str
    collection: str
    push: bool = False
    relay: bool = False
    """It may push what others made too."""
    password: str = ""
    """argon2id, in its own text form (PHC)."""
    token: _Digest = ""
    old_token: _Digest = ""
    """The token before the last rotation, which goes on until `old_until` (STIX timestamp)."""
    old_until: str = ""
    certificate: _Digest = ""
    made: str = ""
    made_by: str = ""
    approved_by: str = ""
    """The second releaser, for an ally whose agreement wants two people for what leaves."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    accounts: tuple[Account, ...]


def load_accounts(folder: Path) -> tuple[Account, ...]:
    """Return the accounts of the workspace in `folder`; raises `WorkspaceError` where their file is damaged."""
    path = folder / ACCOUNTS_NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except FileNotFoundError:
        return ()
    if len(data) > _MAX_FILE:
        raise WorkspaceError(f"{path} is longer than {_MAX_FILE:,} bytes.")
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{path} can't be read: {error}.") from None
    _check_times(path, found.accounts)
    if found.format != 1:
        raise WorkspaceError(f"{path} has format {found.format}; this Aleat knows format 1.")
    return found.accounts


def _check_times(path: Path, accounts: tuple[Account, ...]) -> None:
    try:
        for account in accounts:
            if account.old_token:
                parse_timestamp(account.old_until)
    except ObjectError as error:
        raise WorkspaceError(f"{path} can't be read: {error.reason}") from None


def save_accounts(folder: Path, accounts: tuple[Account, ...]) -> None:
    """Write the accounts, whole or not at all."""
    content = msgspec.json.encode(_File(1, tuple(sorted(accounts, key=lambda account: account.name))))
    write_file(folder / ACCOUNTS_NAME, msgspec.json.format(content, indent=2) + b"\n")


def make_account(
    there: tuple[Account, ...],
    *,
    name: str,
    ally: str,
    push: bool,
    relay: bool = False,
    made: str,
    made_by: str,
    approved_by: str = "",
    password: str = "",
    token: str = "",
    certificate: str = "",
) -> Account:
    """Return a new account; raises `TrustError` where the name is taken or no name, or nothing proves it.

    `certificate` is the SHA-256 of the client certificate (hex, colons allowed).
    """
    if any(account.name == name for account in there):
        raise TrustError(f"There is an account called {name} already. Remove it first: aleat account remove {name}")
    if not (password or token or certificate):
        raise TrustError("An account needs a token, a password, or a certificate.")
    if password and len(password) < 12:
        raise TrustError("The password is shorter than 12 characters. Take a longer one, or a token.")
    known = next((account.collection for account in there if account.ally == ally), None)
    fields = {
        "name": name,
        "ally": ally,
        "collection": known or str(uuid.uuid4()),
        "push": push or relay,
        "relay": relay,
        "password": _hash(password) if password else "",
        "token": token_digest(token) if token else "",
        "certificate": certificate.replace(":", "").strip().lower(),
        "made": made,
        "made_by": made_by,
        "approved_by": approved_by,
    }
    try:
        return msgspec.convert(fields, Account)
    except msgspec.ValidationError as error:
        raise TrustError(
            f"That account can't be made: {error}. Names are of small letters, digits and hyphens; a certificate is "
            "named by its SHA-256 (64 hex digits)."
        ) from None


def make_token() -> str:
    """Return a new token: 256 random bits."""
    return f"aleat-{secrets.token_urlsafe(32)}"


def token_digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_password(account: Account | None, password: str) -> bool:
    """Tell whether `password` is the account's; takes as long where there is no such account."""
    from argon2 import PasswordHasher  # noqa: PLC0415
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    stored = account.password if account is not None and account.password else _nobody()
    try:
        PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
    return account is not None and bool(account.password)


def find_by_token(accounts: tuple[Account, ...], token: str, time: datetime) -> Account | None:
    """Return the account that a token proves at `time` (aware)."""
    digest = token_digest(token)
    for one in accounts:
        if one.token and hmac.compare_digest(one.token, digest):
            return one
        if one.old_token and hmac.compare_digest(one.old_token, digest):
            return one if time < parse_timestamp(one.old_until) else None
    return None


def rotate_token(account: Account, token: str, *, time: datetime, overlap: timedelta) -> Account:
    """Return the account with a new token; the one that it has goes on for `overlap`.

    Raises `TrustError` where it isn't proved by a token, or the overlap is longer than thirty days.
    """
    if not account.token:
        raise TrustError(f"The account {account.name} is not proved by a token.")
    if not timedelta() <= overlap <= _LONGEST_OVERLAP:
        raise TrustError("An old token goes on for thirty days at most.")
    until = format_timestamp(time + overlap) if overlap else ""
    old = account.token if overlap else ""
    return msgspec.structs.replace(account, token=token_digest(token), old_token=old, old_until=until)


def find_by_certificate(accounts: tuple[Account, ...], digest: str) -> Account | None:
    """Return the account that a client certificate with this SHA-256 (hex) proves."""
    return next((one for one in accounts if one.certificate and hmac.compare_digest(one.certificate, digest)), None)


def _hash(password: str) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415

    return PasswordHasher().hash(password)


_NOBODY: list[str] = []


def _nobody() -> str:
    """Return a hash that no password has, made once with the same cost as the others."""
    if not _NOBODY:
        _NOBODY.append(_hash(secrets.token_hex(32)))
    return _NOBODY[0]
