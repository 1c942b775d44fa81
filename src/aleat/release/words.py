"""The names and values by which an object could be known again, and where they occur in others.

A withheld object must not be told by the words of what leaves. Its *words* are its names, aliases and values,
the literals of its pattern, its external references, a list's entries. Texts and words are compared folded:
Unicode NFKC without what can't be seen, case folded, refanged (``evil[.]example`` is ``evil.example``). A word
of up to five characters, or one of the standard's own, counts only where it stands alone; what says nothing (under
three characters, up to four digits, a word of any text) not at all. What the standard itself says, in its own places,
is no mention (`aleat.release.structure`).

This compares words, not thoughts: a text that paraphrases a withheld object is not found. Whatever is derived
from an object has to refer to it, or be handed to the gate with `rests_on`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from aleat.errors import RuleError
from aleat.knowledge.playbooks.steps import playbook_bytes
from aleat.release.mentions import ALONE, mentioned
from aleat.release.readings import readings_of
from aleat.release.structure import says_nothing, told_strings
from aleat.stix.objects import StixObject

__all__ = [
    "Said",
    "find_words",
    "fold",
    "internal_addresses",
    "replace_uuids",
    "said_by",
    "strings_of",
    "strings_of_json",
    "uuids_of",
    "words_of",
]

_NAMED = frozenset(
    {
        "account_login", "aliases", "command_line", "display_name", "external_id", "issuer", "key", "name", "path",
        "serial_number", "subject", "url", "user_id", "value", "x_mitre_aliases",
    }
)  # fmt: skip
_LITERALS = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*+){quote}", re.DOTALL) for quote in "'\""}
_RULE_NAME = re.compile(r"^[ \t]*+(?:(?:private|global)\s++)*+rule\s++(\w++)", re.MULTILINE | re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Characters that are there and can't be seen: soft hyphen, zero-width ones, direction marks, variation selectors.
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_DEFANGED = (
    (re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)"), "."),
    (re.compile(r"\[:\]|\(:\)"), ":"),
    (re.compile(r"\[@\]|\[at\]|\(at\)"), "@"),
    (re.compile(r"\[/\]"), "/"),
    (re.compile(r"\bh(?:xx|\*\*|\[tt\])p"), "http"),
)
# RFC 1918 and RFC 4193: addresses that mean something only inside, and map the inside to who reads them.
_INTERNAL = re.compile(
    r"(?<![\w.])(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})(?![\w]|\.\d)"
    r"|(?<![\w:])f[cd][0-9a-f]{2}(?::[0-9a-f]{0,4}){2,7}(?![\w:])"
)
# What stands in each of the defanged forms: without any of these there is none.
_SIGNS = ("[.]", "(.)", "{.}", "[dot]", "(dot)", "[:]", "(:)", "[@]", "[at]", "[/]", "hxxp", "h**p", "h[tt]p")
_HEAD = 200  # longer words are looked for by their beginning: one letter 100,000 times would take the search a minute


def fold(text: str) -> str:
    """Return `text` as words are compared.

    >>> fold("HXXP://Evil[.]Example")
    'http://evil.example'
    """
    text = text.lower() if text.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    if ("[" in text or "(" in text or "{" in text or "hxxp" in text or "h*" in text) and any(
        sign in text for sign in _SIGNS
    ):
        for pattern, plain in _DEFANGED:
            text = pattern.sub(plain, text)
    return text


class Said(msgspec.Struct, frozen=True, gc=False):
    """What an object says, as the gate looks at it: its text folded, but for what the standard says; UUIDs; its words.

    `coded`: it holds a playbook as base64. What stands encoded in it is looked through like the rest
    (`aleat.release.readings`).
    """

    text: str
    uuids: frozenset[str]
    words: frozenset[str]
    coded: bool = False


def said_by(item: StixObject, values: Sequence[str] = (), notes: Sequence[str] = ()) -> Said:
    """Return what `item` says; `values` are further words of it (a list's entries), `notes` further text."""
    properties = item.properties()
    strings = told_strings(properties)
    data = playbook_bytes(properties) if item.type == "course-of-action" else None
    if data is not None:
        strings.extend(strings_of_json(data))
    strings += readings_of(("\x1f".join((*strings, *values, *notes)),))
    uuids = uuids_of(("\n".join(strings),))
    text = fold("\n".join((*strings, *values, *notes)))
    return Said(text, uuids, words_of(properties, values), data is not None)


def strings_of(value: Any) -> list[str]:
    """Return every string in a JSON value, keys of objects too."""
    found: list[str] = []
    _add_strings(value, found)
    return found


def _add_strings(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            found.append(key)
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, (dict, list)):
                _add_strings(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add_strings(item, found)


def strings_of_json(data: bytes) -> Iterator[str]:
    """Yield every string in JSON text, but for the standard's own; the text itself, where it is no JSON.

    >>> list(strings_of_json(b'{"name": "a", "x_more": "b"}'))
    ['a', 'x_more', 'b']
    """
    try:
        yield from told_strings(orjson.loads(data))
    except (orjson.JSONDecodeError, RecursionError):
        yield data.decode("utf-8", "replace")


def uuids_of(strings: Iterable[str]) -> frozenset[str]:
    """Return every UUID that stands in any of `strings`, in lower case: references, wherever they are."""
    return frozenset(found.lower() for text in strings if "-" in text for found in _UUID.findall(text))


def replace_uuids(text: str, uuids: Mapping[str, str]) -> str:
    """Return `text` with each UUID (of any case) that is a key of `uuids` replaced."""
    return _UUID.sub(lambda match: uuids.get(match[0].lower(), match[0]), text) if "-" in text else text


def internal_addresses(text: str) -> frozenset[str]:
    """Return the internal addresses in a folded text.

    >>> sorted(internal_addresses("from 10.0.3.7 to 192.0.2.1"))
    ['10.0.3.7']
    """
    return frozenset(_INTERNAL.findall(text))


def words_of(properties: Mapping[str, Any], values: Iterable[str] = ()) -> frozenset[str]:
    """Return the folded words of a STIX object; `values` are further ones (a list's entries)."""
    found: set[str] = set(values)
    _add_named(properties, found, under=False)
    if isinstance(pattern := properties.get("pattern"), str):
        found.update(_pattern_words(pattern, str(properties.get("pattern_type", "stix"))))
    folded = (fold(word).strip() for word in found)
    return frozenset(word for word in folded if _tells(word))


def find_words(texts: Sequence[str], words: Collection[str]) -> dict[int, frozenset[str]]:
    """Return which of `words` occur in which of the (folded) `texts`, by the text's position."""
    if not words or not texts:
        return {}
    if len(texts) == 1:
        text = texts[0]
        there = mentioned([word for word in words if word in text], text)
        return {0: there} if there else {}
    import polars as pl  # noqa: PLC0415 (heavy)

    by_head: dict[str, list[str]] = {}
    for word in words:
        if len(word) > _HEAD:
            by_head.setdefault(word[:_HEAD], []).append(word)
    needles = sorted({word[:_HEAD] for word in words} if by_head else words)
    short = frozenset(words) if by_head else frozenset[str]()
    column = pl.Series("text", texts, dtype=pl.String)
    rows = column.str.contains_any(needles).arg_true()
    found: dict[int, frozenset[str]] = {}
    hits = column.gather(rows).str.extract_many(needles, overlapping=True)
    for row, words_found in zip(rows.to_list(), hits.to_list(), strict=True):
        text, heads = texts[row], set(words_found)
        hit = heads & short if by_head else heads
        hit |= {word for head in heads & by_head.keys() for word in by_head[head] if word in text}
        if kept := mentioned(hit, text):
            found[row] = kept
    return found


def _add_named(value: Any, found: set[str], *, under: bool) -> None:
    """Add every string that stands (anywhere) under a key that names things."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                if under or key in _NAMED or key == "hashes":
                    found.add(item)
            elif isinstance(item, (dict, list)):
                _add_named(item, found, under=under or key in _NAMED or key == "hashes")
    elif isinstance(value, list):
        for item in value:
            _add_named(item, found, under=under)
    elif under and isinstance(value, str):
        found.add(value)


def _pattern_words(pattern: str, pattern_type: str) -> Iterator[str]:
    if pattern_type == "sigma":
        yield from _sigma_words(pattern)
        return
    if pattern_type == "yara":
        yield from _RULE_NAME.findall(pattern)
    for literal in _literals(pattern):
        yield _ESCAPE.sub(r"\1", literal) if "\\" in literal else literal


def _literals(pattern: str) -> Iterator[str]:
    """Yield what stands between quotes. Behind a quote that nothing ends, none of its kind is looked for: each is
    escaped there."""
    at, kinds = 0, "".join(_LITERALS)
    while kinds and (found := re.compile(f"[{kinds}]").search(pattern, at)):
        match = _LITERALS[found[0]].match(pattern, found.start())
        if match is None:
            kinds = kinds.replace(found[0], "")
        else:
            yield match[1]
        at = found.end() if match is None else match.end()


def _sigma_words(pattern: str) -> Iterator[str]:
    """Yield a rule's id and title, and the longer literals of its detection."""
    import yaml  # noqa: PLC0415 (heavy)

    from aleat.hunt.sigma_yaml import check_depth  # noqa: PLC0415 (so is this)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        check_depth(pattern)
        documents = [item for item in yaml.load_all(pattern, Loader=loader) if isinstance(item, dict)]
    except (
        RuleError,
        yaml.YAMLError,
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        yield from (line.strip() for line in pattern.splitlines())
        return
    for document in documents:
        for name in ("id", "title", "name"):
            if isinstance(document.get(name), str):
                yield document[name]
        detection = document.get("detection")
        if isinstance(detection, dict):
            detection = {key: item for key, item in detection.items() if key != "condition"}
        for text in _scalars(detection):
            parts = (part.strip("\\/") for part in re.split(r"[*?]+", text))
            yield from (part for part in parts if len(part) > ALONE)


def _scalars(value: Any) -> Iterator[str]:
    """Yield the strings of a YAML value; what aliases share is walked once, so that they can't multiply."""
    waiting, seen = [value], set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, (dict, list)) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(item.values() if isinstance(item, dict) else item)


def _tells(word: str) -> bool:
    return len(word) > 2 and not (word.isdigit() and len(word) < 5) and not says_nothing(word)
