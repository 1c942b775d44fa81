"""The words that the other modules look for, read once from ``lexicon.toml``.

Words are data: a language, or a word that agencies have taken up, is added there and not in Python.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["act_of_frame", "frames_of", "lines", "phrases", "table", "words"]


@cache
def table(name: str) -> dict[str, Any]:
    """Return one of this package's data files (`name` without ``.toml``)."""
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))


@cache
def words(section: str, name: str) -> frozenset[str]:
    """Return a list of single words."""
    return frozenset(table("lexicon")[section][name].split())


@cache
def phrases(section: str, name: str) -> tuple[tuple[str, ...], ...]:
    """Return a list of phrases (``_`` joins the words of one), longest first."""
    rows = {tuple(item.split("_")) for item in table("lexicon")[section][name].split()}
    return tuple(sorted(rows, key=lambda row: (-len(row), row)))


@cache
def lines(name: str) -> tuple[str, ...]:
    """Return beginnings or parts of lines that are no prose, as plain text."""
    return tuple(item.replace("_", " ") for item in table("lexicon")["lines"][name].split())


@cache
def frames_of() -> dict[str, str]:
    """Return the frame of every verb form (a form belongs to the first frame that lists it)."""
    found: dict[str, str] = {}
    for frame, forms in table("lexicon")["verbs"].items():
        for form in forms.split():
            found.setdefault(form, frame)
    return found


@cache
def act_of_frame() -> dict[str, str]:
    """Return the act that a frame expresses."""
    return {frame: act for act, frames in table("lexicon")["acts"].items() for frame in frames.split()}
