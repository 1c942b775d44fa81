"""Sealed files: only the ally can open one, only the sender can have made it, and nothing else gets in or out."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import SealError, SignatureError, TrustError
from aleat.stix.canonical import canonical_json
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.seal import Opened, _padded, open_sealed, seal, sealed_name

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
NORTH, SOUTH, WEST = (f"identity--{n}1111111-1111-4111-8111-111111111111" for n in (1, 2, 3))
KEY, SOUTH_AGE, WEST_AGE = SigningKey.generate(), AgeKey.generate(), AgeKey.generate()
PARTS = {"messages.json": b"[]", "bundle.json": b'{"name":"Quiet name"}' * 40}


def sealed(parts: dict[str, bytes] | None = None, **changes: object) -> bytes:
    """A file from north to south."""
    values: dict[str, object] = {
        "sender": NORTH,
        "key": KEY,
        "recipient": SOUTH,
        "recipient_key": SOUTH_AGE.recipient,
        "serial": 1,
        "time": NOW,
        "release": "release--1",
    }
    return seal(parts or PARTS, **{**values, **changes})[0]  # type: ignore[arg-type]


def opened(data: bytes, **changes: object) -> Opened:
    """South opens it."""
    values: dict[str, object] = {
        "own": SOUTH,
        "age_keys": [SOUTH_AGE],
        "senders": {NORTH: [KEY.public]},
    }
    return open_sealed(data, **{**values, **changes})  # type: ignore[arg-type]


SEALED = sealed()


def test_what_was_sealed_is_what_is_opened() -> None:
    """Parts, sender, recipient, number."""
    result = opened(SEALED)
    assert result.parts == PARTS
    assert (result.header.sender, result.header.recipient, result.header.serial) == (NORTH, SOUTH, 1)


def test_the_outside_tells_nothing() -> None:
    """No name, no id, no count: age's header and noise; two files of the same have nothing in common."""
    again = sealed()
    head = b"age-encryption.org/v1\n-> X25519 "
    assert SEALED.startswith(head)
    for word in (b"identity", b"Quiet", b"release", b"messages", SOUTH_AGE.recipient.encode(), KEY.key_id.encode()):
        assert word not in SEALED
    assert SEALED[len(head) :][:40] != again[len(head) :][:40]
    assert sealed_name() != sealed_name()
    assert sealed_name().startswith("aleat-")


@given(st.integers(1, 2**40))
def test_lengths_are_coarse(length: int) -> None:
    """Padmé: never shorter, at most 12 % longer, few distinct lengths."""
    padded = _padded(length)
    assert length <= padded <= length * 1.12 + 1
    assert _padded(padded) == padded


def test_another_ally_can_not_open_it() -> None:
    """Without south's key there is nothing to read."""
    with pytest.raises(SealError, match="decrypted"):
        opened(SEALED, own=WEST, age_keys=[WEST_AGE])


def test_a_file_passed_on_is_refused() -> None:
    """South decrypts north's file and seals its inside to west: north's signature names south (Davis, 2001)."""
    inside = pyrage.decrypt(SEALED, [SOUTH_AGE.identity])
    forwarded = pyrage.encrypt(inside, [pyrage.x25519.Recipient.from_str(WEST_AGE.recipient)])
    with pytest.raises(SealError, match="somebody else"):
        opened(forwarded, own=WEST, age_keys=[WEST_AGE])


def test_a_forged_signature_is_refused() -> None:
    """Another's key under the sender's name, a stranger, and a signature made for another purpose."""
    other = SigningKey.generate()
    with pytest.raises(SignatureError):
        opened(sealed(key=other))
    with pytest.raises(SignatureError, match="not known"):
        opened(sealed(sender=WEST))
    inside = pyrage.decrypt(SEALED, [SOUTH_AGE.identity])
    _, signature, rest = inside.split(b"\n", 2)
    header = rest.split(b"\n", 1)[0]
    for wrong in (
        sign_detached(header, KEY, typ="aleat-card").encode(),
        b"eyJhbGciOiJub25lIn0..",
        b"",
        b"..",
        signature[:-4],
        signature.replace(b"..", b".e30."),
    ):
        with pytest.raises(SignatureError):
            opened(_resealed(inside.replace(signature, wrong, 1)))


def test_a_changed_header_or_part_is_refused() -> None:
    """Nothing inside can be exchanged, added or taken away."""
    inside = pyrage.decrypt(SEALED, [SOUTH_AGE.identity])
    with pytest.raises(SignatureError):
        opened(_resealed(inside.replace(b'"serial":1', b'"serial":2')))
    with pytest.raises(SealError, match=r"bundle\.json"):
        opened(_resealed(inside.replace(b"Quiet", b"Noisy")))
    with pytest.raises(SealError, match="more than"):
        opened(_resealed(inside + b"\0" * 4096))
    with pytest.raises(SealError, match="more than"):
        opened(_resealed(inside[:-1] + b"x"))
    with pytest.raises(SealError):
        opened(_resealed(inside[: len(inside) // 2]))
    for wrong in (b"", b"x", b"aleat-sealed 2\n", b"aleat-sealed 1\n", b"aleat-sealed 1\n\n\n", b"\n" * 99):
        with pytest.raises((SealError, SignatureError)):
            opened(_resealed(wrong))


def test_a_header_that_says_too_much_or_too_little_is_refused() -> None:
    """Unknown fields, wrong types, another format."""
    for header in ({}, [], {"format": 2}, {"format": 1, "sender": 3}, "x"):
        text = canonical_json(header)
        signature = sign_detached(text, KEY, typ="aleat-sealed").encode()
        with pytest.raises(SealError, match="header"):
            opened(_resealed(b"aleat-sealed 1\n" + signature + b"\n" + text + b"\n"))


def test_a_replay_and_a_withdrawn_release_are_refused() -> None:
    """By the file's random id, and by the release's."""
    file = opened(SEALED).header.file
    with pytest.raises(SealError, match="counts once"):
        opened(SEALED, received={file})
    with pytest.raises(SealError, match="withdrawn"):
        opened(SEALED, withdrawn={"release--1"})


def test_no_flipped_bit_gets_through() -> None:
    """Two thousand files with one bit changed: each is refused with an error of ours."""
    generator = random.Random(5)  # noqa: S311
    for _ in range(2_000):
        position, bit = generator.randrange(len(SEALED)), 1 << generator.randrange(8)
        damaged = bytearray(SEALED)
        damaged[position] ^= bit
        with pytest.raises(TrustError):
            opened(bytes(damaged))


@pytest.mark.parametrize("length", [0, 1, 21, 22, 23, 60, 150, 200, 250, -700, -1])
def test_a_truncated_file_is_refused(length: int) -> None:
    """Wherever it was cut; negative lengths count from the end (the file is a little longer or shorter each time)."""
    with pytest.raises(SealError):
        opened(SEALED[:length])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    """Bare, after age's first line, and sealed to us by a stranger."""
    for attempt in (data, b"age-encryption.org/v1\n" + data, _resealed(data), _resealed(b"aleat-sealed 1\n" + data)):
        with pytest.raises(TrustError):
            opened(attempt)


def test_a_signature_is_for_one_payload_one_purpose_and_one_key() -> None:
    """The detached JWS alone."""
    text = sign_detached(b"payload", KEY, typ="a")
    assert verify_detached(text, b"payload", [SigningKey.generate().public, KEY.public], typ="a").key_id == KEY.key_id
    for payload, keys, typ in (
        (b"Payload", [KEY.public], "a"),
        (b"payload", [KEY.public], "b"),
        (b"payload", [], "a"),
        (b"payload", [SigningKey.generate().public], "a"),
    ):
        with pytest.raises(SignatureError):
            verify_detached(text, payload, keys, typ=typ)


def test_keys_have_one_spelling() -> None:
    """A key's text reads back, and nothing near it does."""
    text = KEY.public.text
    assert type(KEY.public).from_text(text).key_id == KEY.key_id
    for wrong in (text + "=", text[:-1], text + "A", "", "!" * 43, text[:-1] + "é"):
        with pytest.raises(TrustError):
            type(KEY.public).from_text(wrong)
    assert AgeKey(SOUTH_AGE.text).recipient == SOUTH_AGE.recipient
    with pytest.raises(TrustError):
        AgeKey("AGE-SECRET-KEY-1XYZ")


def _resealed(inside: bytes) -> bytes:
    sealed_again: bytes = pyrage.encrypt(inside, [pyrage.x25519.Recipient.from_str(SOUTH_AGE.recipient)])
    return sealed_again
