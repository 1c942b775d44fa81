"""Texts in PostgreSQL: it can't hold a null character, which logs and objects of strangers do hold.

On its way in, a null becomes `_MARK` and ``0``, and `_MARK` itself `_MARK` and ``1``; on the way out they are turned
back. `_MARK` is a private-use character at the end of Unicode's range, so that hardly any text needs this at all.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.string import StrDumper, TextLoader

__all__ = ["carry_nulls"]

_MARK = "\U0010fffd"


class _Dumper(StrDumper):
    def dump(self, obj: str) -> Any:
        if "\0" in obj or _MARK in obj:
            obj = obj.replace(_MARK, f"{_MARK}1").replace("\0", f"{_MARK}0")
        return super().dump(obj)


class _Loader(TextLoader):
    def load(self, data: Any) -> Any:
        text = super().load(data)
        if isinstance(text, str) and _MARK in text:
            return text.replace(f"{_MARK}0", "\0").replace(f"{_MARK}1", _MARK)
        return text


def carry_nulls(connection: psycopg.Connection[Any]) -> None:
    """Have a connection take and give texts as they are, nulls included."""
    connection.adapters.register_dumper(str, _Dumper)
    for kind in ("text", "varchar", "bpchar"):
        connection.adapters.register_loader(kind, _Loader)
