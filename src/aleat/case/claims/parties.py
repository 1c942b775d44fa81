"""Who is who: states with their adjectives, capitals and seats of government, and bodies that act in their own name.

A *party* is the state or body for which a speaker speaks ("Albania" for "Albania's Interior Ministry", "Tirana",
"the Albanian premier"). The table is ``places.toml``; names that it does not know become parties of their own
where a text uses them as one ("Varonia", "Varonian", and "Torva" once a dateline says where it lies).
"""

from __future__ import annotations

from functools import cache

from aleat.case.claims.lexicon import table

__all__ = ["Gazetteer", "gazetteer", "same_stem"]

_ENDINGS = ("n", "an", "ian", "ean", "ese", "i", "ish", "ic", "er", "ans", "ns", "ians", "eans", "is", "ers")


class Gazetteer:
    """Names to parties, each with its kind: "name", "people", "capital", "seat", "body"."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], tuple[str, str]] = {}
        self.regions: dict[str, set[str]] = {}
        data = table("places")
        for state, row in data["states"].items():
            people, capitals, others, regions = (part.split(",") for part in row.split("|"))
            self._add(state, state, "name")
            for name in others:
                self._add(name, state, "name")
            for name in people:
                self._add(name, state, "people")
                self._add(name.strip() + "s", state, "people")
            for name in capitals:
                self._add(name, state, "capital")
            for region in regions:
                if region.strip():
                    self.regions.setdefault(region.strip(), set()).add(state)
        for body, names in data["bodies"].items():
            for name in names:
                self._add(name, body, "body")
        self.longest = max(len(key) for key in self.names)
        self.heads = {key[0] for key in self.names}

    def _add(self, name: str, party: str, kind: str) -> None:
        key = tuple(name.lower().replace("’", "'").split())
        if key:
            self.names.setdefault(key, (party, kind))

    def at(self, lows: list[str], index: int) -> tuple[str, str, int] | None:
        """Return (party, kind, number of words) of the longest name that begins at `index`."""
        if lows[index] not in self.heads:
            return None
        for size in range(min(self.longest, len(lows) - index), 0, -1):
            row = self.names.get(tuple(lows[index : index + size]))
            if row:
                return row[0], row[1], size
        return None


@cache
def gazetteer() -> Gazetteer:
    """Return the table of states and bodies."""
    return Gazetteer()


def same_stem(name: str, word: str) -> bool:
    """Say whether `word` is the adjective or the people's name of `name` by its ending.

    >>> same_stem("varonia", "varonian"), same_stem("iran", "iranian"), same_stem("iran", "iraqi")
    (True, True, False)
    """
    if len(name) < 4 or name == word:
        return name == word
    return any(word.startswith(stem) and word[len(stem) :] in _ENDINGS for stem in (name, name[:-1]))
