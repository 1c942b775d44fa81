"""Transforms of `aleat.hunt.views` for events of nested objects: below a field, inside lists, in other words."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

__all__ = ["OBJECT_TRANSFORMS", "UNDER"]

UNDER = "under"
"""The transform of a view that reads all fields whose names begin with the view's and a dot: the parts of an object."""


def _itself(text: str, _: str) -> tuple[str, ...]:
    """The text; which fields are read is the engine's part."""
    return (text,)


def _inside(text: str, path: str) -> tuple[str, ...]:
    """The values at a dotted path of a JSON object, whose keys are compared without case; lists are looked through."""
    if text[:1] not in ("{", "["):
        return ()
    try:
        level: list[Any] = [orjson.loads(text)]
    except ValueError:
        return ()
    for key in path.casefold().split("."):
        objects = [item for item in _unlisted(level) if isinstance(item, dict)]
        level = [value for item in objects for name, value in item.items() if name.casefold() == key]
    return tuple(_text(item) for item in _unlisted(level) if item is not None)


def _named(text: str, argument: str) -> tuple[str, ...]:
    """A value that a list of named values holds: the argument is ``path:key:value key:name``, the path may be empty.

    A value that is a text of JSON counts by what it says, too: Entra writes ``"\\"False\\""``.
    """
    path, key, value_key, wanted = argument.split(":", 3)
    found: list[str] = []
    for item in _inside(text, path) if path else (text,):
        if wanted in _inside(item, key):
            for value in _inside(item, value_key):
                found.append(value)
                if value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
                    found.append(value[1:-1])
    return tuple(found)


def _unlisted(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    waiting = values[::-1]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        else:
            found.append(value)
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _words(text: str, argument: str) -> tuple[str, ...]:
    """What the argument says for the text (``0=Success;*=Failure``, without case); nothing where it says nothing."""
    table = _word_table(argument)
    word = table.get(text.casefold(), table.get("*"))
    return () if word is None else (word,)


@lru_cache(maxsize=256)
def _word_table(argument: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in argument.split(";"))
    return {word.strip().casefold(): value.strip() for word, _, value in pairs}


OBJECT_TRANSFORMS: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "inside": _inside,
    "named": _named,
    "words": _words,
    UNDER: _itself,
}
"""The transforms of `aleat.hunt.expression.View` that events of nested objects need."""
