"""OpenPGP (RFC 9580, and RFC 4880 as other teams' tools write it): an envelope for sealed files beside age.

Teams exchange OpenPGP certificates already: one in an ally's card, and files for that ally are encrypted to it. The
envelope proves nothing: who made a file is said by the JWS within, as under age, and a signature that an OpenPGP
message may bear is not looked at. Outside an OpenPGP message stands the id of the recipient's encryption key,
where age tells nothing.

Messages are opened in a process of its own with a memory limit (`openpgp_child.py` says why). Only the first line of
the library's errors is shown: the rest is a trace of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aleat.errors import SealError, TrustError

if TYPE_CHECKING:  # only those who seal and open pay for it
    import pysequoia

__all__ = ["PgpCertificate", "PgpKey", "is_openpgp"]

_MAX_KEY: Final = 64 * 1024
_SECONDS: Final = 600
_CHILD: Final = Path(__file__).with_name("openpgp_child.py")
_BEGIN: Final = b"-----BEGIN PGP MESSAGE-----"


def is_openpgp(data: bytes) -> bool:
    """Tell whether `data` begins as an encrypted OpenPGP message does (RFC 9580 §4.2, §5.1), armoured or not."""
    if data.startswith(_BEGIN):
        return True
    # A public-key encrypted session key (tag 1) of a known version, in the new or the old packet format.
    if len(data) < 6 or not (data[0] == 0xC1 or data[0] & 0xFC == 0x84):
        return False
    new = 2 if data[1] < 192 else 3 if data[1] < 224 else 6  # where the packet's body begins (RFC 9580 §4.2.1)
    start = new if data[0] == 0xC1 else (2, 3, 5, 1)[data[0] & 3]
    return len(data) > start and data[start] in {3, 6}


class PgpCertificate:
    """An ally's (or our own) OpenPGP certificate: a public key to which files can be encrypted."""

    def __init__(self, certificate: pysequoia.Cert) -> None:
        import pysequoia  # noqa: PLC0415

        self._certificate = certificate
        self.text = pysequoia.armor(bytes(certificate), pysequoia.ArmorKind.PublicKey)
        """The certificate in ASCII armour."""

    @classmethod
    def from_bytes(cls, data: bytes) -> PgpCertificate:
        """Read a certificate, armoured or not; raises `TrustError` where it is none to which can be encrypted."""
        import pysequoia  # noqa: PLC0415

        if len(data) > _MAX_KEY:
            raise TrustError(f"That is more than an OpenPGP certificate may be ({_MAX_KEY} bytes).")
        if b"PGP PRIVATE KEY BLOCK" in data or (data and (data[0] == 0xC5 or data[0] & 0xFC == 0x94)):
            raise TrustError("That is a private OpenPGP key. Export the certificate only, and change the key.")
        try:
            found = pysequoia.Cert.from_bytes(data)
            pysequoia.encrypt(b"", recipients=[found])
        except (RuntimeError, OSError, ValueError) as error:
            raise TrustError(
                f"That is no OpenPGP certificate that can be encrypted to: {_first_line(error)}."
            ) from None
        return cls(found)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the primary key, in capitals."""
        return str(self._certificate.fingerprint).upper()

    @property
    def recipient(self) -> str:
        """How a sealed file's header names the key."""
        return f"openpgp4fpr:{self.fingerprint}"

    def encrypt(self, plain: bytes) -> bytes:
        """Return `plain` as a binary message for this certificate, neither signed nor compressed."""
        import pysequoia  # noqa: PLC0415

        try:
            return pysequoia.encrypt(plain, recipients=[self._certificate], armor=False)
        except (RuntimeError, OSError, ValueError) as error:
            raise SealError(
                f"The ally's OpenPGP certificate can't be used ({_first_line(error)}). Ask for a new card."
            ) from None


class PgpKey:
    """An OpenPGP key pair: opens what is sealed for its certificate."""

    def __init__(self, key: pysequoia.Tsk) -> None:
        import pysequoia  # noqa: PLC0415

        self._bytes = bytes(key)
        self.text = pysequoia.armor(self._bytes, pysequoia.ArmorKind.SecretKey)
        """The private key in ASCII armour, without a passphrase; for the key folder alone."""
        self.certificate = PgpCertificate(key.extract_certificate())

    @classmethod
    def generate(cls, name: str) -> PgpKey:
        """Make a new key whose user id is `name`; GnuPG can encrypt to it (RFC 4880)."""
        import pysequoia  # noqa: PLC0415

        return cls(pysequoia.Tsk.generate(user_id=name, profile=pysequoia.Profile.RFC4880))

    @classmethod
    def from_bytes(cls, data: bytes) -> PgpKey:
        """Read a private key without a passphrase, armoured or not; raises `TrustError` otherwise."""
        import pysequoia  # noqa: PLC0415

        if len(data) > _MAX_KEY:
            raise TrustError(f"That is more than an OpenPGP key may be ({_MAX_KEY} bytes).")
        try:
            found = cls(pysequoia.Tsk.from_bytes(data))
            message = found.certificate.encrypt(b"x")
            pysequoia.decrypt(message, decryptor=pysequoia.Tsk.from_bytes(data).decryptor())
        except (RuntimeError, OSError, ValueError, SealError) as error:
            raise TrustError(
                f"That is no private OpenPGP key that can be used: {_first_line(error)}. It must be exported with its "
                "private part and without a passphrase, and have a key for encryption that has not expired."
            ) from None
        return found

    def decrypt(self, message: bytes) -> bytes:
        """Return what is in a message for this key, in a process of its own; raises `SealError`."""
        packed = b"%d\n%b%b" % (len(self._bytes), self._bytes, message)
        try:
            done = subprocess.run(  # noqa: S603 (our own file, no shell, nothing of the message in the arguments)
                [sys.executable, "-I", str(_CHILD)], input=packed, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SealError("The OpenPGP message could not be opened in the time that it may take.") from error
        if done.returncode == 0:
            return done.stdout
        if done.returncode == 3:
            raise SealError("The file can't be decrypted: it was damaged, or is not for a key of ours.")
        raise SealError(
            "The file unpacks to more than it can hold. Sealed files are never compressed; tell its sender."
        )


def _first_line(error: Any) -> str:
    lines = str(error).splitlines()
    return lines[0].strip(" .")[:200] if lines else "no reason given"
