"""The user's own values for Sigma's placeholders (Rules specification 2.1, "Placeholders"; modifier `expand`).

A placeholder file is TOML, one line a name: ``servers_of_admins = ["SRV1", "SRV2*"]``. The values are Sigma
texts, in which wildcards count. `read_placeholders` reads such a file's bytes and says where one is wrong.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence

from aleat.errors import InputError, LimitError, Place

__all__ = ["UsedPlaceholders", "read_placeholders"]

MAXIMUM_BYTES = 8 * 1024 * 1024
MAXIMUM_VALUES = 5_000
"""Of one placeholder; as many as one value of a rule may expand to."""

_ADVICE = 'Write: name = ["value", "other value"].'
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)\Z")


def read_placeholders(data: bytes, path: str = "") -> dict[str, tuple[str, ...]]:
    """Return the values by name that a placeholder file holds; raises `InputError` with line for what is wrong.

    >>> read_placeholders(b'admins = ["agim", "besa*"]')
    {'admins': ('agim', 'besa*')}
    """
    if len(data) > MAXIMUM_BYTES:
        raise LimitError(f"The placeholder file has {len(data)} bytes (limit: {MAXIMUM_BYTES}).", Place(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("The placeholder file is not UTF-8.", Place(path, line), advice="Save it as UTF-8.") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), text, path) from None
    except RecursionError:
        raise InputError("The placeholder file is nested too deep.", Place(path), advice=_ADVICE) from None
    return {name: _values(name, value, text, path) for name, value in table.items()}


class UsedPlaceholders(Mapping[str, Sequence[str]]):
    """Placeholders that note which of them were asked for since `forget`."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        self._used: dict[str, None] = {}

    def __getitem__(self, name: str) -> Sequence[str]:
        values = self._values[name]
        self._used[name] = None
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def forget(self) -> None:
        """Begin to note anew."""
        self._used.clear()

    def used(self) -> dict[str, list[str]]:
        """Return those that were asked for, with their values, by name."""
        return {name: list(self._values[name]) for name in sorted(self._used)}


def _syntax(problem: str, text: str, path: str) -> InputError:
    found = _TOML_PLACE.search(problem)
    reason = problem[: found.start()] if found else problem.removesuffix(" (at end of document)")
    line = int(found[1]) if found else max(len(text.splitlines()), 1)
    column = int(found[2]) if found else None
    return InputError(f"The placeholder file is no TOML: {reason}.", Place(path, line, column), advice=_ADVICE)


def _values(name: str, value: object, text: str, path: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    problem = ""
    if not isinstance(value, list) or any(not isinstance(item, str | int) or isinstance(item, bool) for item in value):
        problem = f"The placeholder {name!r} must be a list of texts."
    elif not value:
        problem = f"The placeholder {name!r} has no values."
    elif len(value) > MAXIMUM_VALUES:
        problem = f"The placeholder {name!r} has {len(value)} values (limit: {MAXIMUM_VALUES})."
    if problem:
        raise InputError(problem, Place(path, _line_of(name, text)), advice=_ADVICE)
    assert isinstance(value, list)  # noqa: S101 - else there was a problem
    return tuple(str(item) for item in value)


def _line_of(name: str, text: str) -> int | None:
    """Return the line of a key, or of its table's head."""
    for number, line in enumerate(text.splitlines(), 1):
        head = line.strip().lstrip("[").lstrip()
        for quoted in (name, f'"{name}"', f"'{name}'"):
            if head.startswith(quoted) and head[len(quoted) :].lstrip()[:1] in {"=", ".", "]"}:
                return number
    return None
