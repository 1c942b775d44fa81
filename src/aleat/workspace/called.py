"""What a team is called that is no ally: by its identity object, unless that takes a known team's name.

Whoever may give us objects may give an identity of any name. One that is called like us, or like an ally, is shown by
its id: nobody is to ask an ally for what isn't the ally's.
"""

from __future__ import annotations

from collections.abc import Collection

from aleat.release.words import fold

__all__ = ["may_be_called"]


def may_be_called(name: str, known: Collection[str]) -> bool:
    """Tell whether a team may be shown by the `name` that an object gives it; `known` are our allies' names and ours.

    >>> may_be_called("CERT\u200b  aleat", ["CERT Aleat"])
    False
    """
    return _plain(name) not in {_plain(one) for one in known}


def _plain(name: str) -> str:
    return " ".join(fold(name).split())
