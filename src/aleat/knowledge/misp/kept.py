"""What is kept of MISP's own JSON: the words of everybody in one place, the numbers of one server in another.

A server's own numbers (``id``, ``event_id`` …) differ between two servers that hold the same event. They are taken
out of what is kept with each object, so that two givers of one attribute say the same; the event's object has them.

    kept, local = split_local(attribute)
    assert join_local(kept, local) == attribute
"""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["dump", "join_local", "load", "split_local"]

_LOCAL = frozenset(
    {
        "id",
        "event_id",
        "object_id",
        "org_id",
        "orgc_id",
        "attribute_id",
        "old_id",
        "tag_id",
        "galaxy_id",
        "galaxy_cluster_id",
        "galaxy_element_id",
        "sharing_group_id",
        "referenced_id",
        "source_object_id",
        "creator_org_id",
        "user_id",
    }
)
_SAID = frozenset({"0", 0})
"""A number that says "none", on every server."""


def split_local(value: Any) -> tuple[Any, Any]:
    """Return (`value` without a server's own numbers, those alone in the same shape, or None where there are none)."""
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        local: dict[str, Any] = {}
        for key, item in value.items():
            if key in _LOCAL and isinstance(item, str | int) and item not in _SAID:
                local[key] = item
                continue
            kept[key], numbers = split_local(item) if isinstance(item, dict | list) else (item, None)
            if numbers is not None:
                local[key] = numbers
        return kept, local or None
    if isinstance(value, list):
        pairs = [split_local(item) for item in value]
        numbers = [pair[1] for pair in pairs]
        return [pair[0] for pair in pairs], numbers if any(item is not None for item in numbers) else None
    return value, None


def join_local(kept: Any, local: Any) -> Any:
    """Return what `split_local` took apart; numbers that have no place (what they belong to is gone) are left out."""
    if local is None:
        return kept
    if isinstance(kept, dict) and isinstance(local, dict):
        joined = {key: join_local(item, local.get(key)) for key, item in kept.items()}
        return joined | {key: item for key, item in local.items() if key not in kept and key in _LOCAL}
    if isinstance(kept, list) and isinstance(local, list) and len(kept) == len(local):
        return [join_local(item, numbers) for item, numbers in zip(kept, local, strict=True)]
    return kept


def dump(value: Any) -> str:
    """Return JSON text of `value`, its keys sorted: the same value has the same text."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def load(text: Any) -> Any:
    """Return the value of JSON text that `dump` wrote, or None where it is none: others can send anything."""
    if not isinstance(text, str):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
