"""Canonical JSON (RFC 8785): one byte string for one value, so that hashes and signatures fit everywhere.

`orjson` with sorted keys gives the same bytes seven times faster wherever keys are ASCII and numbers are
integers below 2**53; everything else goes to `rfc8785`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import orjson
import rfc8785

__all__ = ["canonical_json", "canonical_json_parsed", "canonical_json_text", "has_wide_key", "parse_json"]

_SAFE_INTEGER = 2**53 - 1

# What orjson may write otherwise than RFC 8785 asks: a number with a fraction or exponent, a key that isn't
# ASCII (sorted by UTF-8, not UTF-16). Inside a string they are harmless, and only cost the slower way.
# Three expressions that begin with a letter of their own are searched five times faster than one that doesn't.
_FLOATS = tuple(re.compile(before + rb"-?[0-9]++[.eE]") for before in (rb'":', rb"\[", rb","))
_MANY_DIGITS = re.compile(rb"[0-9]{19}")  # an integer beyond 64 bits has as many
_BEYOND = "64-bit"  # orjson's word where an integer is
_WIDE_KEY = re.compile(rb'[\x80-\xff](?:[\x00-!#-\[\]-\x7f]|\\.)*+":')


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value (dicts with string keys, lists, strings, numbers, booleans, None).

    >>> canonical_json({"b": 1, "a": "ë"}).decode()
    '{"a":"ë","b":1}'
    """
    if _is_plain(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return rfc8785.dumps(value)


def canonical_json_text(text: bytes) -> bytes:
    """Return the RFC 8785 form of the JSON object or list written in `text`.

    Integers beyond 2**53 - 1, which RFC 8785 can't tell apart, keep their digits. Raises `ValueError` where
    `text` is no JSON, or is nested deeper than 254 levels.

    >>> canonical_json_text(b'{"b": 1.0, "a": [true], "c": 100000000000000000000001}')
    b'{"a":[true],"b":1,"c":100000000000000000000001}'
    """
    return canonical_json_parsed(parse_json(text))


def parse_json(text: bytes) -> Any:
    """Return the value of JSON text, its integers exact, however long; `ValueError` where it is no JSON.

    `orjson` alone takes integers beyond 64 bits for numbers with a fraction: two that differ would be one.
    """
    value = orjson.loads(text)
    return value if _MANY_DIGITS.search(text) is None else msgspec.json.decode(text)


def canonical_json_parsed(value: Any) -> bytes:
    """Return the RFC 8785 form of a value that a JSON parser gave (lists and objects with string keys only).

    Several times faster than `canonical_json`, which checks every key and number first; otherwise as
    `canonical_json_text`.
    """
    try:
        canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
        if not any(pattern.search(canonical) for pattern in _FLOATS) and not has_wide_key(canonical):
            return canonical
        return rfc8785.dumps(value)
    except (TypeError, rfc8785.CanonicalizationError):
        pass
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        if _BEYOND in str(error):
            return _with_every_digit(value)
        raise ValueError(str(error)) from None


def _with_every_digit(value: Any) -> bytes:
    """Return the RFC 8785 form of a parsed value but for its integers, which keep their digits."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return b"{%b}" % b",".join(rfc8785.dumps(key) + b":" + _with_every_digit(item) for key, item in ordered)
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(_with_every_digit, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    return rfc8785.dumps(value)


def has_wide_key(canonical: bytes) -> bool:
    """Tell whether a JSON text may have a key beyond ASCII, which RFC 8785 sorts otherwise than `orjson`."""
    return not canonical.isascii() and _WIDE_KEY.search(canonical) is not None


def _is_plain(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return True
    if isinstance(value, int):
        return -_SAFE_INTEGER <= value <= _SAFE_INTEGER
    if isinstance(value, dict):
        return all(isinstance(key, str) and key.isascii() and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return False
