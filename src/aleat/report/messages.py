"""The report's words, by language: text for people stands in data files, never in logic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from tomllib import loads
from typing import Any

__all__ = ["LANGUAGES", "Messages", "load_messages"]

LANGUAGES = ("en", "sq")


class Messages:
    """One language's catalogue; an unknown code is shown as itself, so that nothing is lost in silence."""

    def __init__(self, language: str, catalogue: Mapping[str, Mapping[str, str]]) -> None:
        self.language = language
        self.catalogue = catalogue

    def say(self, section: str, code: str, /, **parameters: Any) -> str:
        """Return the message `code` of `section` with its {parameters} filled in.

        A code that the catalogue lacks is shown as itself, with what parameters it has.
        """
        template = self.catalogue.get(section, {}).get(code)
        if template is None:
            values = ", ".join(f"{value}" for value in parameters.values() if value != "")
            return f"{code}: {values}" if values else code
        return template.format_map(_Lenient(parameters))

    def count(self, noun: str, number: int) -> str:
        """Return "one incident", "2 incidents" …, by the catalogue's two forms."""
        return self.say("count", f"{noun}_{'one' if number == 1 else 'other'}", n=number)


class _Lenient(dict[str, Any]):
    """Parameters that a record doesn't have are left out of the sentence."""

    def __missing__(self, key: str) -> str:
        return "…"


@cache
def load_messages(language: str = "en") -> Messages:
    """Return the catalogue of `language` ("en", "sq"); raises `KeyError` for any other."""
    if language not in LANGUAGES:
        raise KeyError(language)
    text = (files("aleat.report") / "messages" / f"{language}.toml").read_text(encoding="utf-8")
    return Messages(language, loads(text))
