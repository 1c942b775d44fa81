"""Ids that anybody can compute who guesses a value: those of cyber observables (STIX 2.1 §2.9).

Such an id in what leaves confirms the guess, also where the observable itself isn't here. They are computed from secret
words, as these are compared (folded), and only where an id is told that no object here has: that is seldom.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from aleat.stix.ids import observable_id

__all__ = ["ids_guessed", "loose_ids"]

_OBSERVABLES = (
    "artifact", "autonomous-system", "directory", "domain-name", "email-addr", "file", "ipv4-addr", "ipv6-addr",
    "mac-addr", "mutex", "software", "url", "user-account", "windows-registry-key", "x509-certificate",
)  # fmt: skip
_ID = re.compile(
    rf"(?:{'|'.join(_OBSERVABLES)})--([0-9a-f]{{8}}-[0-9a-f]{{4}}-5[0-9a-f]{{3}}-[0-9a-f]{{4}}-[0-9a-f]{{12}})"
)
_PROPERTIES = ("value", "name", "path", "key", "user_id", "account_login", "serial_number")
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256", 128: "SHA-512"}
_HEX = re.compile("[0-9a-f]+")


def loose_ids(text: str) -> frozenset[str]:
    """Return the UUIDs of observables in a folded text that are computed from content."""
    return frozenset(_ID.findall(text)) if "--" in text else frozenset()


def ids_guessed(words: Iterable[str]) -> dict[str, str]:
    """Return the UUIDs that follow from one of `words` alone (a value, a name, a path, a hash), each with its word."""
    return {
        str(uuid.UUID(observable_id("x", content).partition("--")[2])): word
        for word in words
        for content in _contents(word)
    }


def _contents(word: str) -> Iterator[dict[str, Any]]:
    yield from ({property_: word} for property_ in _PROPERTIES)
    if (algorithm := _HASHES.get(len(word))) and _HEX.fullmatch(word):
        yield {"hashes": {algorithm: word}}
    if word.isascii() and word.isdigit() and len(word) < 11:
        yield {"number": int(word)}
