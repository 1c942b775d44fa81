"""OpenPGP as an envelope of sealed files: the same inside, the same checks, other teams' tools."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import SealError, SignatureError, TrustError
from aleat.trust.agreements import AllyCard, export_card, fingerprint, read_card
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.openpgp import PgpCertificate, PgpKey, is_openpgp
from aleat.trust.seal import Opened, is_sealed, open_sealed, seal

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
NORTH, SOUTH, WEST = (f"identity--{n}1111111-1111-4111-8111-111111111111" for n in (1, 2, 3))
KEY, AGE = SigningKey.generate(), AgeKey.generate()
PGP, OTHER = PgpKey.generate("Team South"), PgpKey.generate("Team West")
PARTS = {"messages.json": b"[]", "bundle.json": b'{"name":"Quiet name"}' * 40}


def sealed(**changes: object) -> bytes:
    """A file from north to south's certificate."""
    values: dict[str, object] = {
        "sender": NORTH,
        "key": KEY,
        "recipient": SOUTH,
        "recipient_key": AGE.recipient,
        "certificate": PGP.certificate.text,
        "serial": 1,
        "time": NOW,
        "release": "release--1",
    }
    return seal(PARTS, **{**values, **changes})[0]  # type: ignore[arg-type]


def opened(data: bytes, **changes: object) -> Opened:
    """South opens it."""
    values: dict[str, object] = {
        "own": SOUTH,
        "age_keys": [AGE],
        "openpgp_keys": [PGP],
        "senders": {NORTH: [KEY.public]},
    }
    return open_sealed(data, **{**values, **changes})  # type: ignore[arg-type]


SEALED = sealed()


def test_what_was_sealed_is_what_is_opened() -> None:
    """The header names the certificate's key; nothing of the inside is outside."""
    result = opened(SEALED)
    assert result.parts == PARTS
    assert result.header.recipient_key == f"openpgp4fpr:{PGP.certificate.fingerprint}"
    assert is_sealed(SEALED)
    for word in (b"identity", b"Quiet", b"release", KEY.key_id.encode()):
        assert word not in SEALED


def test_an_armoured_file_is_opened_too() -> None:
    """Mail programs like it so."""
    text = pysequoia.armor(SEALED, pysequoia.ArmorKind.Message).encode()
    assert is_sealed(text)
    assert opened(text).parts == PARTS


def test_the_signature_within_stays_the_proof() -> None:
    """A stranger's file, a forged one, and one whose only signature is OpenPGP's."""
    with pytest.raises(SignatureError, match="not known"):
        opened(sealed(sender=WEST))
    with pytest.raises(SignatureError):
        opened(sealed(key=SigningKey.generate()))
    signed = pysequoia.encrypt(
        b"aleat-sealed 1\n\n{}\n",
        recipients=[pysequoia.Cert.from_bytes(PGP.certificate.text.encode())],
        signer=pysequoia.Tsk.from_bytes(OTHER.text.encode()).signer(),
        armor=False,
    )
    with pytest.raises(TrustError):
        opened(signed)


def test_a_file_passed_on_a_replay_and_a_withdrawn_one_are_refused() -> None:
    """As under age."""
    inside = PGP.decrypt(SEALED)
    with pytest.raises(SealError, match="somebody else"):
        opened(OTHER.certificate.encrypt(inside), own=WEST, openpgp_keys=[OTHER])
    with pytest.raises(SealError, match="somebody else"):
        opened(OTHER.certificate.encrypt(inside), openpgp_keys=[OTHER])
    with pytest.raises(SealError, match="counts once"):
        opened(SEALED, received={opened(SEALED).header.file})
    with pytest.raises(SealError, match="withdrawn"):
        opened(SEALED, withdrawn={"release--1"})


def test_without_the_key_it_stays_shut() -> None:
    """No OpenPGP key, another's, and the right one among several."""
    with pytest.raises(SealError, match="no OpenPGP key"):
        opened(SEALED, openpgp_keys=[])
    with pytest.raises(SealError, match="decrypted"):
        opened(SEALED, openpgp_keys=[OTHER])
    assert opened(SEALED, openpgp_keys=[PGP, OTHER]).parts == PARTS


@pytest.mark.parametrize("length", [0, 1, 5, 6, 50, 200, 400, -100, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    """Wherever it was cut."""
    with pytest.raises(SealError):
        opened(SEALED[:length])


@pytest.mark.parametrize("position", [0, 2, 50, 120, -300, -30, -1])
def test_no_flipped_bit_gets_through(position: int) -> None:
    """In the session key, the body, the authentication code."""
    damaged = bytearray(SEALED)
    damaged[position] ^= 4
    with pytest.raises(TrustError):
        opened(bytes(damaged))


def test_a_changed_key_id_outside_changes_nothing_within() -> None:
    """The recipient's key id stands outside what is authenticated: the right key opens it all the same, or nobody."""
    for position in range(4, 26):
        damaged = bytearray(SEALED)
        damaged[position] ^= 4
        try:
            assert opened(bytes(damaged)).parts == PARTS
        except SealError:
            continue


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_no_certificate_and_no_key(data: bytes) -> None:
    """Refused in a line of ours, without the library's trace."""
    is_openpgp(data)
    for read in (PgpCertificate.from_bytes, PgpKey.from_bytes):
        with pytest.raises(TrustError) as caught:
            read(data)
        assert "backtrace" not in str(caught.value)


def test_a_private_key_is_no_certificate_and_a_locked_one_no_key() -> None:
    """Nobody hands out a private key by mistake."""
    with pytest.raises(TrustError, match="private OpenPGP key"):
        PgpCertificate.from_bytes(PGP.text.encode())
    with pytest.raises(TrustError):
        PgpKey.from_bytes(PGP.certificate.text.encode())


def _card(**changes: object) -> AllyCard:
    values: dict[str, object] = {
        "identity": SOUTH,
        "name": "south",
        "organisation": "Team South",
        "signing_key": KEY.public.text,
        "age_recipient": AGE.recipient,
        "issued": "2022-09-01T00:00:00.000Z",
    }
    return AllyCard(**{**values, **changes})  # type: ignore[arg-type]


def test_a_card_carries_a_certificate() -> None:
    """Signed with the rest; another certificate is another fingerprint; a card without one is as it always was."""
    plain, full = _card(), _card(openpgp=PGP.certificate.text)
    assert b"openpgp" not in export_card(plain, KEY)
    assert read_card(export_card(full, KEY)) == full
    marks = {fingerprint(plain), fingerprint(full), fingerprint(_card(openpgp=OTHER.certificate.text))}
    assert len(marks) == 3
    with pytest.raises(TrustError):
        seal(PARTS, sender=NORTH, key=KEY, recipient=SOUTH, recipient_key="", certificate="x", serial=1, time=NOW)


# ------------------------------------------------------------------------------------------------- other teams' tools


@pytest.fixture
def gpg() -> Iterator[Callable[..., bytes]]:
    """Runs gpg in a folder of its own (a short path: its agent has a socket there); gives what it printed."""
    found, ends = shutil.which("gpg"), shutil.which("gpgconf")
    if found is None or ends is None:
        pytest.skip("gpg is not on this machine: OpenPGP was not tried against another implementation")
    with tempfile.TemporaryDirectory(prefix="g") as home:

        def run(*arguments: str, **files: bytes) -> bytes:
            for name, data in files.items():
                Path(home, name).write_bytes(data)
            options = ["--homedir", home, "--batch", "--yes", "--quiet", "--trust-model", "always"]
            options += ["--passphrase", "", "--pinentry-mode", "loopback"]
            done = subprocess.run([found, *options, *arguments], capture_output=True, check=False, timeout=60, cwd=home)
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout

        yield run
        subprocess.run([ends, "--homedir", home, "--kill", "all"], check=False, timeout=30)


def test_what_gpg_encrypts_to_our_certificate_is_opened(gpg: Callable[..., bytes]) -> None:
    """Armoured and not; uncompressed, as sealed files are."""
    gpg("--import", "key", key=PGP.certificate.text.encode())
    inside = PGP.decrypt(SEALED)
    for form in ("--no-armor", "--armor"):
        to = ("-r", PGP.certificate.fingerprint, "-o", "-", "inside")
        assert opened(gpg(form, "-z", "0", "--encrypt", *to, inside=inside)).parts == PARTS


def test_a_message_that_unpacks_to_more_is_refused(gpg: Callable[..., bytes]) -> None:
    """A few kilobytes that stand for far more, encrypted to us by somebody who only has our card."""
    gpg("--import", "key", key=PGP.certificate.text.encode())
    to = ("-r", PGP.certificate.fingerprint, "-o", "-", "zeros")
    for method in ("zip", "zlib"):
        message = gpg("--compress-algo", method, "-z", "9", "--encrypt", *to, zeros=bytes(48 * 1024 * 1024))
        assert len(message) < 100_000
        with pytest.raises(SealError, match="unpacks to more"):
            opened(message)


@pytest.mark.parametrize("kind", ["rsa2048", "ed25519"])
def test_a_key_made_with_gpg_is_taken(gpg: Callable[..., bytes], kind: str) -> None:
    """Exported without a passphrase, as `aleat openpgp import` wants it; gpg opens what is sealed to it."""
    gpg("--quick-gen-key", "team@example.org", kind, "sign", "never")
    listing = gpg("--with-colons", "--list-keys").decode().splitlines()
    mark = next(row.split(":")[9] for row in listing if row.startswith("fpr"))
    gpg("--quick-add-key", mark, "cv25519" if kind == "ed25519" else kind, "encr", "never")
    key = PgpKey.from_bytes(gpg("--export-secret-keys"))
    assert key.certificate.fingerprint == mark
    data = sealed(certificate=key.certificate.text)
    assert opened(data, openpgp_keys=[key]).parts == PARTS
    assert gpg("--decrypt", "sealed", sealed=data) == key.decrypt(data)
