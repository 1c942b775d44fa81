"""Views of names and addresses as network services write them."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["NETWORK_TRANSFORMS"]

_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")


def _before_end(text: str, mark: str) -> tuple[str, ...]:
    """All before a mark at the text's end: ``www.example.`` is www.example."""
    return (text.removesuffix(mark),)


def _mac(text: str, _: str) -> tuple[str, ...]:
    """A hardware address, however it is parted, as STIX writes it: ``00155D010203`` is 00:15:5d:01:02:03."""
    bare = text.replace(":", "").replace("-", "").replace(".", "")
    if len(bare) != 12 or len(text) > 17:
        return ()
    pairs = [bare[place : place + 2] for place in range(0, 12, 2)]
    return (":".join(pairs).lower(),) if all(map(_HEX_PAIR.fullmatch, pairs)) else ()


NETWORK_TRANSFORMS: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "before_end": _before_end,
    "mac": _mac,
}
