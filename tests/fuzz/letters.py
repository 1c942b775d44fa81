"""The target "letters": artifacts in a collection of messages, sound and damaged.

Held against: a letter is read or refused by name; what it carries is what stands in the artifact; what is written is
read again; pieces make up their file or are refused.
"""

from __future__ import annotations

import base64
import json
import random

from aleat.errors import ObjectError, SealError
from aleat.exchange.letters import LETTER_BYTES, Letter, join_pieces, letter_object, open_letter
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["LettersTarget"]

_TOKENS = (
    '"payload_bin":',
    '"mime_type":"application/x-aleat-sealed"',
    "====",
    "null",
    "[[[",
    '"\\ud800"',
    "artifact--",
)
_SEALED = b"age-encryption.org/v1\n-> X25519 x\n"
_OF = "6f1d2c9e-0b1a-4d2f-8c3e-5a7b9d1e3f40"


class LettersTarget:
    """See the module."""

    name = "letters"
    limit = 2.0

    def make(self, rng: random.Random) -> bytes:
        """Return an artifact, half the time damaged, inside or outside."""
        payload = _SEALED + rng.randbytes(rng.randrange(200))
        if rng.random() < 0.6:
            payload = b"aleat-piece 1\n" + json.dumps(_piece(rng)).encode() + b"\n" + rng.randbytes(rng.randrange(50))
        if rng.random() < 0.3:
            payload = mutate_bytes(payload, rng)
        raw = letter_object(f"artifact--{_OF}", payload).raw
        if rng.random() < 0.3:
            raw = mutate_text(raw.decode(), rng, _TOKENS).encode("utf-8", "replace")
        return mutate_bytes(raw, rng) if rng.random() < 0.1 else raw

    def check(self, data: bytes) -> None:
        """Read it; what is a letter is written and read again."""
        try:
            letter, payload = open_letter(data)
        except ObjectError:
            return
        assert payload.endswith(letter.content)
        assert base64.b64encode(payload) in data or b"\\" in data
        again, _ = open_letter(letter_object(f"artifact--{_OF}", payload).raw)
        assert (again.content, again.piece, again.sha256) == (letter.content, letter.piece, letter.sha256)
        if letter.piece is not None:
            assert letter.piece.number <= letter.piece.count
            _join([letter])
            _join([Letter("x", b"", letter.piece), letter])


def _join(letters: list[Letter]) -> None:
    try:
        join_pieces(letters)
    except SealError:
        return
    raise AssertionError("some bytes made up a file that they can't be")


def _piece(rng: random.Random) -> dict[str, object]:
    count = rng.choice((2, 2, 3, 86, 87, 0, -1, 10**30))
    return {
        "of": rng.choice((_OF, _OF, "x", "")),
        "number": rng.choice((1, 2, 0, 3, 1.5)),
        "count": count,
        "sha256": rng.choice(("0" * 64, "0" * 64, "0" * 63, "")),
        "size": rng.choice((2 * LETTER_BYTES, count * LETTER_BYTES, 1, LETTER_BYTES + 1)),
    }
