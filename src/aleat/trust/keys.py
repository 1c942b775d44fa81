"""Ed25519 keys (RFC 8032): who signs a ledger, a policy, a sealed file.

Private keys live outside the workspace, in `$ALEAT_KEYS` or the user's configuration folder, one file a key,
readable by its owner alone; the workspace holds public keys only. A key's id is the JWK thumbprint
(RFC 7638) of its public half.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aleat.errors import SignatureError, TrustError
from aleat.stix.canonical import canonical_json

__all__ = ["PublicKey", "SigningKey", "default_key_folder", "load_signing_key"]


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
        """Read what `text` gives."""
        try:
            return cls(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError as error:
            raise TrustError("That is no Ed25519 public key (32 bytes in base64url).") from error

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


def default_key_folder() -> Path:
    """Return `$ALEAT_KEYS`, or ``aleat/keys`` in the user's configuration folder."""
    if folder := os.environ.get("ALEAT_KEYS"):
        return Path(folder)
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "aleat" / "keys"
    return Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "aleat" / "keys"


def load_signing_key(folder: Path, key_id: str) -> SigningKey:
    """Return the key `key_id` from `folder`; raises `TrustError` where it isn't there."""
    path = folder / f"{key_id}.pem"
    try:
        return SigningKey.from_pem(path.read_bytes())
    except FileNotFoundError:
        raise TrustError(
            f"The workspace's signing key {key_id} is not in {folder}. "
            "Set ALEAT_KEYS to the folder that has it, or bring the key from where the workspace was made."
        ) from None
