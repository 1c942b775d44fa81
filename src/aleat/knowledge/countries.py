"""States and regions by whatever name a source knows them: the table `countries.toml`, and the objects for them.

An object for a state, a place or a sector has an id over its name alone, so that all sources that name it mean one
object; nothing in it is anybody's statement.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from aleat.knowledge.items import UNDATED
from aleat.stix import StixObject, content_id, make_object

__all__ = ["country_code", "country_name", "location_of", "region_word", "sector_of", "sector_words", "state_of"]


def country_code(name: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a state by its code or any of its names, or None.

    >>> country_code("Iran (Islamic Republic of)"), country_code("us"), country_code("Atlantis")
    ('IR', 'US', None)
    """
    text = name.strip()
    return text.upper() if text.upper() in _table()["countries"] else _codes().get(_fold(text))


def country_name(code: str) -> str:
    """Return the usual English name of a state by its code.

    >>> country_name("AL")
    'Albania'
    """
    return str(_table()["countries"][code][0])


def region_word(name: str) -> str | None:
    """Return STIX's word for a region (region-ov), or None.

    >>> region_word("South Asia")
    'southern-asia'
    """
    return _regions().get(_fold(name))


def state_of(code: str) -> StixObject:
    """Return the identity that stands for a state as somebody who acts."""
    return make_object(
        "identity",
        content_id("identity", ["state", code]),
        created=UNDATED,
        name=country_name(code),
        identity_class="organization",
        sectors=["government"],
    )


def location_of(name: str) -> StixObject | None:
    """Return the location that `name` (a state's name or code, a region) stands for, or None where it isn't known."""
    code, word = country_code(name), region_word(name)
    if code is not None:
        made, id_ = country_name(code), content_id("location", [code])
        return make_object("location", id_, created=UNDATED, name=made, country=code)
    if word is not None:
        made, id_ = word.replace("-", " ").title(), content_id("location", [word])
        return make_object("location", id_, created=UNDATED, name=made, region=word)
    return None


def sector_of(name: str) -> StixObject:
    """Return the identity that stands for all of a sector, or kind of victim, by the name that a source gives it."""
    return make_object(
        "identity",
        content_id("identity", ["sector", name]),
        created=UNDATED,
        name=name,
        identity_class="class",
        sectors=sector_words(name),
    )


def sector_words(name: str) -> list[str]:
    """Return STIX's word for a sector (industry-sector-ov), by the name that a source gives it; none where unknown.

    >>> sector_words("Telecoms")
    ['telecommunications']
    """
    word = _sectors().get(_fold(name))
    return [word] if word else []


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("aleat.knowledge").joinpath("countries.toml").read_text(encoding="utf-8"))


@cache
def _codes() -> dict[str, str]:
    return {_fold(name): code for code, names in _table()["countries"].items() for name in names}


@cache
def _regions() -> dict[str, str]:
    return {_fold(name): word for name, word in _table()["regions"].items()}


@cache
def _sectors() -> dict[str, str]:
    return {_fold(name): word for word, names in _table()["sectors"].items() for name in (word, *names)}


def _fold(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
