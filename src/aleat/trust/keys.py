"""Ed25519 keys (RFC 8032): who signs a ledger, a policy, a sealed file; and age keys: who may open one.

Private keys live outside the workspace (`aleat.store.keyring` keeps them); the workspace holds public keys
only. A signing key's id is the JWK thumbprint (RFC 7638) of its public half.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aleat.errors import SignatureError, TrustError
from aleat.stix.canonical import canonical_json

__all__ = ["AgeKey", "PublicKey", "SigningKey", "check_age_recipient"]


class PublicKey:
    """The public half of an Ed25519 key."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @property
    def text(self) -> str:
        """The 32 raw bytes in unpadded base64url, as in a JWK's `x`."""
        return base64.urlsafe_b64encode(self.raw).rstrip(b"=").decode()

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read what `text` gives, and nothing else: one key has one spelling."""
        try:
            key = cls(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError as error:
            raise TrustError("That is no Ed25519 public key (32 bytes in base64url).") from error
        if key.text != text:
            raise TrustError("That is no Ed25519 public key (32 bytes in base64url).")
        return key

    @property
    def key_id(self) -> str:
        """The JWK thumbprint (RFC 7638, SHA-256, base64url)."""
        digest = hashlib.sha256(canonical_json({"crv": "Ed25519", "kty": "OKP", "x": self.text})).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise `SignatureError` unless `signature` (64 bytes) is this key's over `message`."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise SignatureError(f"The signature is not that of key {self.key_id}.") from None


class SigningKey:
    """An Ed25519 key pair."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def key_id(self) -> str:
        """The public half's id."""
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)

    def derive_secret(self, purpose: str) -> bytes:
        """Return 32 bytes that only this key's holder can make (HKDF-SHA256, RFC 5869), the same each time.

        They make ids of what is told again: stable for one workspace, and no confirmation of anybody's guess.
        """
        derivation = HKDF(hashes.SHA256(), 32, salt=None, info=b"aleat/" + purpose.encode())
        return derivation.derive(self.private_raw())

    def private_raw(self) -> bytes:
        """Return the 32 private bytes; for signing libraries that take a JWK, never for keeping."""
        return self._key.private_bytes_raw()

    def to_pem(self) -> bytes:
        """Return the private key as PKCS #8 PEM, unencrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Read what `to_pem` gives; raises `TrustError` where it is no Ed25519 key."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise TrustError("That file holds no usable private key.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise TrustError("That private key is not an Ed25519 key.")
        return cls(key)


class AgeKey:
    """An age X25519 identity (https://age-encryption.org/v1): opens what is sealed for its recipient."""

    def __init__(self, text: str) -> None:
        import pyrage  # noqa: PLC0415 (only those who seal and open pay for it)

        try:
            self._identity = pyrage.x25519.Identity.from_str(text.strip())
        except pyrage.IdentityError as error:
            raise TrustError("That is no age private key (AGE-SECRET-KEY-1…).") from error
        self.text = text.strip()
        self.recipient = str(self._identity.to_public())

    @classmethod
    def generate(cls) -> AgeKey:
        """Make a new key."""
        import pyrage  # noqa: PLC0415

        return cls(str(pyrage.x25519.Identity.generate()))

    @property
    def identity(self) -> object:
        """The library's own object."""
        return self._identity


def check_age_recipient(text: str) -> str:
    """Return `text` if it is an age X25519 recipient (``age1…``); raises `TrustError` otherwise."""
    import pyrage  # noqa: PLC0415

    try:
        return str(pyrage.x25519.Recipient.from_str(text))
    except pyrage.RecipientError as error:
        raise TrustError("That is no age recipient (age1…).") from error
