"""Whether a playbook keeps to CACAO 2.0: its schema, then what a schema can't say (`rules.py`).

The schema is a data file beside this one, in words and structure of our own, after the specification's tables;
every part names its section. A fault names the place by a JSON pointer (RFC 6901) and never shows a value.

Specification: https://docs.oasis-open.org/cacao/security-playbooks/v2.0/security-playbooks-v2.0.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

import msgspec
import orjson

from aleat.text import visible

__all__ = ["MOST_FAULTS", "Fault", "check_playbook", "pointer", "vocabulary"]

MOST_FAULTS = 100
"""More faults of one playbook are counted no further: it is no playbook that anybody checked."""

_KINDS = {"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number"}
_NAME = 60  # characters of a name from the playbook that stand in a fault


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong with a playbook: where (JSON pointer), what, and which section forbids it.

    `code` is a short stable word; `must` is False where it is no violation, and only worth knowing.
    """

    pointer: str
    code: str
    says: str
    section: str
    must: bool = True

    def __str__(self) -> str:
        return f"{self.says} ({self.pointer or 'at the top'}; CACAO 2.0 §{self.section})"


def check_playbook(content: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Return what is wrong with a playbook, at most `MOST_FAULTS`, ordered by place; the schema's faults first."""
    from aleat.knowledge.playbooks.rules import broken_rules  # noqa: PLC0415 (it needs this module)

    faults = list(islice(_schema_faults(content), MOST_FAULTS))
    faults += islice(broken_rules(content), MOST_FAULTS - len(faults))
    return tuple(sorted(set(faults)))


def pointer(path: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path.

    >>> pointer(["a/b", 0])
    '/a~1b/0'
    """
    return "".join(f"/{visible(str(part)[:200]).replace('~', '~0').replace('/', '~1')}" for part in path)


def vocabulary(name: str) -> tuple[str, ...]:
    """Return the words of one of the specification's open vocabularies."""
    return tuple(_schema()["x-vocabularies"][name])


def _schema_faults(content: Mapping[str, Any]) -> Iterator[Fault]:
    for error in _validator().iter_errors(content):
        yield from _leaves(error)


def _leaves(error: Any) -> Iterator[Fault]:
    if error.validator in {"if", "allOf"} and error.context:
        for inner in error.context:
            yield from _leaves(inner)
        return
    path = list(error.absolute_path)
    section = str(error.schema.get("$comment", "3.1")) if isinstance(error.schema, dict) else "3.1"
    yield Fault(pointer(path), f"schema-{_CODES.get(error.validator, 'other')}", _says(error), section)


_CODES = {
    "required": "required",
    "type": "type",
    "enum": "value",
    "const": "value",
    "pattern": "form",
    "propertyNames": "unknown",
    "minItems": "few",
    "minProperties": "few",
    "anyOf": "one-of",
    "minimum": "range",
    "maximum": "range",
}


def _says(error: Any) -> str:
    """Say in words what a schema's error is, without the value."""
    if _is_name(error):
        name = repr(visible(str(error.instance)[:_NAME]))
        known = error.validator == "enum"
        return f"There is no property {name} here." if known else f"The key {name} is not of the form of keys here."
    words = _WORDS.get(error.validator)
    return words(error.validator_value, error.instance) if words else f"It breaks the schema's {error.validator}."


def _kind(value: Any, _instance: Any) -> str:
    kinds = [value] if isinstance(value, str) else value
    return f"It is not {' or '.join(_KINDS.get(kind, kind) for kind in kinds)}."


_WORDS: dict[str, Callable[[Any, Any], str]] = {
    "required": lambda value, instance: f"It lacks {', '.join(name for name in value if name not in instance)}.",
    "type": _kind,
    "enum": lambda value, _: f"It is none of {', '.join(map(str, value[:12]))}{' …' if len(value) > 12 else ''}.",
    "const": lambda value, _: f"It is not {value}.",
    "pattern": lambda _value, _: "It is not of the form that it must have.",
    "minItems": lambda value, _: f"It has fewer entries than {value}.",
    "minProperties": lambda value, _: f"It has fewer entries than {value}.",
    "anyOf": lambda value, _: f"It has none of {', '.join(name for way in value for name in way['required'])}.",
    "minimum": lambda value, _: f"It is below {value}.",
    "maximum": lambda value, _: f"It is above {value}.",
}


def _is_name(error: Any) -> bool:
    return "propertyNames" in error.absolute_schema_path


@cache
def _schema() -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(files("aleat.knowledge.playbooks").joinpath("cacao-2.0.json").read_bytes())
    return content


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 (heavy)

    return Draft202012Validator(_schema())
