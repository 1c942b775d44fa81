"""Detached signatures over bytes: JSON Web Signatures (RFC 7515, appendix F) with Ed25519 (RFC 8037, RFC 9864).

Only ``alg`` "Ed25519" is made and accepted, the payload is never inside, and ``typ`` says what was signed, so
that a signature made for one purpose is worthless for another. `joserfc` does the work; this file narrows it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from aleat.errors import SignatureError
from aleat.trust.keys import PublicKey, SigningKey

__all__ = ["sign_detached", "verify_detached"]

_ALGORITHM = "Ed25519"
_MAX_JWS = 1024


def sign_detached(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """Return the detached JWS of `key` over `payload` (at most 90 kB), for the purpose `typ`."""
    from joserfc import jws  # noqa: PLC0415 (start-up)

    jwk = _jwk(key.public, base64.urlsafe_b64encode(key.private_raw()).rstrip(b"=").decode())
    header = {"alg": _ALGORITHM, "kid": key.key_id, "typ": typ}
    return jws.detach_content(jws.serialize_compact(header, payload, jwk, algorithms=[_ALGORITHM]))


def verify_detached(jws_text: str, payload: bytes, keys: Iterable[PublicKey], *, typ: str) -> PublicKey:
    """Return the one of `keys` that signed `payload` for `typ`; raises `SignatureError` where none did."""
    from joserfc import jws  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415

    parts = jws_text.split(".")
    if len(jws_text) > _MAX_JWS or not jws_text.isascii() or len(parts) != 3 or parts[1]:
        raise SignatureError("That is no detached signature (RFC 7515, appendix F).")
    try:
        header = jws.extract_compact(jws_text.encode(), payload).headers()
    except (JoseError, ValueError) as error:
        raise SignatureError("The signature can't be read.") from error
    if header.get("alg") != _ALGORITHM or header.get("typ") != typ or set(header) != {"alg", "kid", "typ"}:
        raise SignatureError(f"The signature is not one for {typ!r}.")
    for key in keys:
        if key.key_id == header["kid"]:
            try:
                jws.deserialize_compact(jws_text, _jwk(key), algorithms=[_ALGORITHM], payload=payload)
            except (JoseError, ValueError) as error:
                raise SignatureError(f"The signature is not that of key {key.key_id}.") from error
            return key
    raise SignatureError("Nobody known here has the key that signed this.")


def _jwk(key: PublicKey, private: str | None = None) -> Any:
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    parameters: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": key.text}
    if private is not None:
        parameters["d"] = private
    return OKPKey.import_key(parameters)
