"""The ledgers' heads on a signed page, which allies sign too: then nobody can rewrite or cut a ledger unseen.

A chain proves nothing against its own key's holder, nor that its end is there. Whoever holds a copy of this page can
check the ledgers against it; an ally that countersigns keeps one. The page is JSON: ``statement`` (whose ledgers, when,
how many entries each has and the last one's hash), the owner's ``signature``, and ``countersignatures``, each over
statement, owner's signature and countersigner. All are detached JWS (`aleat.trust.jws`).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

from aleat.errors import InputError, LimitError, Place, SignatureError, TrustError
from aleat.stix.canonical import canonical_json
from aleat.trust.chain import Head
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import PublicKey, SigningKey

__all__ = ["Countersignature", "HeadPage", "HeadStatement", "countersign_heads", "read_head_page", "sign_heads"]

MAX_PAGE = 1024 * 1024
"""`head_page_bytes`: a page is some kilobytes; what is longer is none."""

_HEADS_TYPE = "aleat-heads+jws"
_COUNTER_TYPE = "aleat-heads-countersignature+jws"

_Text = Annotated[str, msgspec.Meta(max_length=400)]


class HeadStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose ledgers they are (`identity`, and the public `key` that signs them), and their heads at `time`."""

    workspace: _Text
    identity: _Text
    organisation: _Text
    key: _Text
    time: _Text
    heads: Annotated[tuple[Head, ...], msgspec.Meta(max_length=100)]


class Countersignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ally's signature over another team's heads."""

    identity: _Text
    organisation: _Text
    key: _Text
    time: _Text
    signature: str


class HeadPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page: what is stated, and who signed it."""

    statement: HeadStatement
    signature: str
    countersignatures: Annotated[tuple[Countersignature, ...], msgspec.Meta(max_length=100)] = ()

    def encode(self) -> bytes:
        """Return the page as it is passed on: JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def sign_heads(statement: HeadStatement, key: SigningKey) -> HeadPage:
    """Return the signed page; raises `TrustError` if `key` is not the one that the statement names."""
    if statement.key != key.public.text:
        raise TrustError("The statement names another key than the one that signs it.")
    return HeadPage(statement=statement, signature=sign_detached(_stated(statement), key, typ=_HEADS_TYPE))


def countersign_heads(page: HeadPage, key: SigningKey, *, identity: str, organisation: str, time: str) -> HeadPage:
    """Return the page with one more countersignature."""
    unsigned = Countersignature(
        identity=identity, organisation=organisation, key=key.public.text, time=time, signature=""
    )
    signature = sign_detached(_countersigned(page, unsigned), key, typ=_COUNTER_TYPE)
    signed = msgspec.structs.replace(unsigned, signature=signature)
    return msgspec.structs.replace(page, countersignatures=(*page.countersignatures, signed))


def read_head_page(data: bytes, path: str = "heads") -> HeadPage:
    """Read a page and check each of its signatures by the key that it names; whose keys they are, cards tell.

    Raises `InputError` where it is no page, `SignatureError` where it was changed after somebody signed it.
    """
    if len(data) > MAX_PAGE:
        raise LimitError(f"It is longer than a page of heads may be ({MAX_PAGE} bytes; head_page_bytes).", Place(path))
    try:
        page = msgspec.json.decode(data, type=HeadPage)
        keys = [PublicKey.from_text(page.statement.key)]
        keys += [PublicKey.from_text(one.key) for one in page.countersignatures]
    except (msgspec.MsgspecError, RecursionError, TrustError) as error:
        advice = "aleat ledger head makes one."
        raise InputError(f"That is no page of ledger heads: {error}.", Place(path), advice=advice) from error
    try:
        verify_detached(page.signature, _stated(page.statement), keys[:1], typ=_HEADS_TYPE)
        for one, key in zip(page.countersignatures, keys[1:], strict=True):
            verify_detached(one.signature, _countersigned(page, one), [key], typ=_COUNTER_TYPE)
    except SignatureError as error:
        raise SignatureError(f"{path}: the page was changed after it was signed. Ask for it again.") from error
    return page


def _stated(statement: HeadStatement) -> bytes:
    return _digest(msgspec.to_builtins(statement))


def _countersigned(page: HeadPage, by: Countersignature) -> bytes:
    """Return what a countersignature is over: statement, owner's signature, and who countersigns when."""
    who = {name: value for name, value in msgspec.to_builtins(by).items() if name != "signature"}
    return _digest([msgspec.to_builtins(page.statement), page.signature, who])


def _digest(value: Any) -> bytes:
    return hashlib.sha256(canonical_json(value)).hexdigest().encode()
