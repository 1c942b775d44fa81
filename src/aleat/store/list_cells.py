"""Lists in cells: the values inside them, which are searched as the whole is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

__all__ = ["list_elements"]

_MOST = 10_000
"""Of one list; what comes after is found by a wildcard over the whole."""


def list_elements(texts: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the scalar values inside lists (as JSON texts), however deep, and the place of each one's list.

    >>> list_elements(pa.array(['["a",[1,{"b":true}],null]', "[]"]))[0].to_pylist()
    ['a', '1', 'true']
    """
    found: list[str] = []
    places: list[int] = []
    for place, text in enumerate(texts.to_pylist()):
        try:
            values = list(_scalars(orjson.loads(text)))
        except (orjson.JSONDecodeError, RecursionError):  # no list that we wrote
            continue
        found += values
        places += [place] * len(values)
    return pa.array(found, pa.string()), np.asarray(places, np.int64)


def _scalars(value: Any) -> Iterator[str]:
    waiting, count = [value], 0
    while waiting and count < _MOST:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
        elif item is not None:
            count += 1
            yield item if isinstance(item, str) else orjson.dumps(item).decode()
