"""Whether a playbook's signatures fit it: the JSON Signature Scheme (CACAO 2.0 §10.15, ITU-T X.590 §8).

A signature stands in the list `signatures`; what is signed is the hash of the RFC 8785 form of the playbook with that
signature alone in the list, without its `value`. "Intact" says that the playbook is as it was when the key signed it
(the key that the signature names itself: that proves no author). A signature with a key elsewhere (an address, a
thumbprint), or an algorithm that isn't known here, is "not-verified"; nothing is fetched. Countersignatures are not
looked into.

The texts leave open whether the hash is signed as bytes or as its hexadecimal text; either counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from aleat.stix.canonical import canonical_json_parsed

__all__ = ["signature_states"]

_MOST = 10
_HASHES = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_LONGEST = 16_384  # characters of a key, a certificate or a signature


def signature_states(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return "intact", "broken" or "not-verified" for each of a playbook's signatures (the first ten)."""
    listed = content.get("signatures")
    if not isinstance(listed, list):
        return ()
    return tuple(_state(content, one) if isinstance(one, dict) else "not-verified" for one in listed[:_MOST])


def _state(content: Mapping[str, Any], signature: Mapping[str, Any]) -> str:
    value = _url_bytes(signature.get("value"))
    hashed = _HASHES.get(str(signature.get("hash_algorithm")).lower())
    key = _key(signature)
    if value is None or hashed is None or key is None:
        return "not-verified"
    unsigned = {name: item for name, item in signature.items() if name != "value"}
    try:
        canonical = canonical_json_parsed({**content, "signatures": [unsigned]})
    except ValueError:
        return "not-verified"
    digest = hashlib.new(hashed, canonical)
    fits = [_fits(key, str(signature.get("algorithm")), value, text) for text in _forms(digest.digest())]
    if any(fit is None for fit in fits):
        return "not-verified"
    return "intact" if any(fits) else "broken"


def _forms(digest: bytes) -> tuple[bytes, bytes]:
    return digest, digest.hex().encode()


def _key(signature: Mapping[str, Any]) -> Any:
    """Return the public key that a signature carries, or None."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 (heavy)
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    chain = signature.get("public_cert_chain")
    certificate = _bytes(chain[0]) if isinstance(chain, list) and chain else None
    bare = _bytes(signature.get("public_key"))
    try:
        if bare is not None:
            return load_der_public_key(bare)
        if certificate is not None:
            return load_der_x509_certificate(certificate).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return None


def _fits(key: Any, algorithm: str, value: bytes, signed: bytes) -> bool | None:
    """Say whether a signature fits; None where the algorithm isn't one of JWA's for that key."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415

    kinds: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    chosen = kinds.get(algorithm[2:])
    try:
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            if algorithm not in {"Ed25519", "Ed448", "EdDSA"}:
                return None
            key.verify(value, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.startswith("ES") and chosen:
            half = len(value) // 2
            pair = encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))
            key.verify(pair, signed, ec.ECDSA(chosen))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.startswith("RS") and chosen:
            key.verify(value, signed, padding.PKCS1v15(), chosen)
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.startswith("PS") and chosen:
            key.verify(value, signed, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
        else:
            return None
    except (InvalidSignature, ValueError):
        return False
    except UnsupportedAlgorithm:
        return None
    return True


def _bytes(text: object) -> bytes | None:
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _url_bytes(text: object) -> bytes | None:
    if not isinstance(text, str) or not text or len(text) > _LONGEST or not text.isascii():
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
