"""The pattern of a MISP object: which of its attributes one record must have together, and which are enough alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aleat.knowledge.misp.fields import flag, text
from aleat.knowledge.misp.mapping import attribute_type, compare, object_template

__all__ = ["ObjectPattern", "attribute_comparisons", "object_pattern"]


@dataclass(frozen=True, slots=True)
class ObjectPattern:
    """`pattern` (empty where there is none), and the positions of attributes with `to_ids` that it doesn't cover."""

    pattern: str
    rest: tuple[int, ...]


def attribute_comparisons(attribute: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the comparisons of an attribute, any of which is enough; none where its type or value has none."""
    type_ = attribute_type(text(attribute.get("type")))
    return type_.comparisons(text(attribute.get("value")).strip()) if type_ else ()


def object_pattern(name: str, attributes: list[Mapping[str, Any]]) -> ObjectPattern:
    """Return the pattern of an object made by the template `name`, of its attributes with `to_ids`."""
    flagged = [n for n, item in enumerate(attributes) if flag(item.get("to_ids")) and not flag(item.get("deleted"))]
    template = object_template(name)
    if template is None:
        return ObjectPattern("", tuple(flagged))
    relations = {n: text(attributes[n].get("object_relation")) for n in flagged}
    alone = [n for n in flagged if relations[n] in template.alone and attribute_comparisons(attributes[n])]
    alternatives = [one for n in alone for one in attribute_comparisons(attributes[n])]
    covered = set(alone)
    joined = [n for n in flagged if relations[n] in template.together and n not in covered]
    joined = [n for n in joined if _value(attributes[n]) and _fits(template.together[relations[n]], attributes[n])]
    strong = [n for n in joined if relations[n] not in template.weak]
    if strong and not (template.beside and alternatives):
        alternatives.append(_all_of(joined, relations, attributes, template.together))
        covered |= set(joined)
    elif template.beside and alternatives:
        covered |= set(joined) - set(strong)
    pattern = f"[{' OR '.join(_grouped(alternatives))}]" if alternatives else ""
    return ObjectPattern(pattern, tuple(n for n in flagged if n not in covered))


def _all_of(
    joined: list[int], relations: dict[int, str], attributes: list[Mapping[str, Any]], paths: Mapping[str, str]
) -> str:
    """Return that all paths hold; of several attributes on one path, any."""
    groups: dict[str, list[str]] = {}
    for number in joined:
        path = paths[relations[number]]
        groups.setdefault(path, []).append(compare(path, _value(attributes[number])))
    found = [" OR ".join(_grouped(list(dict.fromkeys(group)))) for group in groups.values()]
    return " AND ".join(f"({one})" if " OR " in one else one for one in found)


def _grouped(alternatives: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(alternatives))
    return [f"({one})" if " AND " in one and len(found) > 1 else one for one in found]


def _value(attribute: Mapping[str, Any]) -> str:
    return text(attribute.get("value")).strip()


def _fits(path: str, attribute: Mapping[str, Any]) -> bool:
    """Whether a number is one where the path compares numbers."""
    value = _value(attribute)
    return value.isascii() and value.isdigit() and len(value) < 16 if path.endswith(("_port", ":size")) else True
