"""The files that a YARA file includes: others of the same collection, each once, within limits.

Names are relative to the file that includes, as YARA takes them; nothing outside the collection that was given is
looked at. What can't be had is said in words, for a fault at the place of the statement.

Specification: https://virustotal.github.io/yara-x/docs/writing_rules/including-files/.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aleat.errors import InputError, LimitError
from aleat.knowledge.document import Document
from aleat.knowledge.limits import Limits
from aleat.knowledge.text import decode_text

__all__ = ["Included", "Includes"]


@dataclass(frozen=True, slots=True)
class Included:
    """A file that is included: its text, and how the includes in it are found."""

    text: str
    includes: Includes


@dataclass(slots=True)
class _Spent:
    files: set[str]
    left: int


class Includes:
    """What one file may include."""

    def __init__(
        self, document: Document, limits: Limits, above: tuple[str, ...] = (), spent: _Spent | None = None
    ) -> None:
        self._document = document
        self._limits = limits
        self._above = (*above, document.relative)
        self._spent = spent or _Spent(set(), limits.include_bytes)

    def find(self, name: str) -> Included | str | None:
        """Return the file called `name`, why it can't be had, or None where its rules are there already."""
        place = self._document.beside(name)
        if place is not None and place in self._spent.files and place not in self._above:
            return None
        try:
            text = self._read(name, place)
        except InputError as error:
            return error.reason.rstrip(".")
        inner = replace(self._document, relative=place or "")
        return Included(text, Includes(inner, self._limits, self._above, self._spent))

    def _read(self, name: str, place: str | None) -> str:
        """Return the file's text; raises `InputError` with the reason why it can't be had."""
        limits = self._limits
        if place is None:
            raise InputError("it leads out of the collection that was given")
        if place in self._above:
            raise InputError("files include one another in a circle")
        if len(self._above) > limits.include_depth:
            raise LimitError(f"files include one another deeper than {limits.include_depth} times (include_depth)")
        if len(self._spent.files) >= limits.includes:
            raise LimitError(f"the file includes more than {limits.includes} others (includes)")
        data = self._document.sibling(name)
        if data is None:
            raise InputError("it isn't in the collection that was given")
        self._spent.left -= len(data)
        if self._spent.left < 0:
            raise LimitError(f"what the file includes is larger than {limits.include_bytes} bytes (include_bytes)")
        self._spent.files.add(place)
        return decode_text(data)[0]
