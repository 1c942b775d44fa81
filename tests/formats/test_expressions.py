"""Expressions of the formats' files, which strangers' lines meet: linear in time, their fields well named."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest

from aleat.formats import all_formats
from tests.formats.sample import all_samples

LENGTH = 16_384
"""Eight times what is looked at of a line (`lines._DETECT_CHARACTERS`), so that squares stand out from noise."""
PIECES = (
    "a",
    "0",
    " ",
    "=",
    '"',
    "\\",
    ":",
    ".",
    "-",
    "[",
    "(",
    "<",
    "/",
    ",",
    "|",
    "%",
    "a ",
    "a=",
    'a="',
    "0.",
    "a:",
    "a b=",
    "\t",
    "1,",
)
BUDGET = 0.5
"""Seconds of processor time for one expression on one line; a linear one takes microseconds."""


def readings() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in all_formats():
        for table in item.read:
            yield f"{item.name}/{table.get('name', item.name)}", table


def python_expressions() -> list[tuple[str, str]]:
    """Those that Python's `re` runs: all but the patterns."""
    return sorted(
        {
            (text, name)
            for name, table in readings()
            for text in (
                *table.get("detect", ()),
                *(table[key] for key in ("start", "split", "skip") if table.get(key)),
            )
        }
    )


def hostile_lines(starts: list[str]) -> list[str]:
    """Lines of one piece over and over, alone and behind the beginnings of real lines."""
    plain = [(piece * LENGTH)[:LENGTH] for piece in PIECES]
    behind = [
        (start[:cut] + piece * LENGTH)[:LENGTH]
        for start in starts
        for cut in (len(start) // 4, len(start) // 2, len(start) - 1)
        for piece in PIECES[:12]
    ]
    return plain + behind


@pytest.mark.parametrize(("text", "name"), python_expressions(), ids=lambda value: value[:40])
def test_an_expression_takes_linear_time_on_hostile_lines(text: str, name: str) -> None:
    """Backtracking would show: the square of a line's length is 268 million steps, several seconds."""
    expression = re.compile(text)
    format_ = name.partition("/")[0]
    starts = [
        line
        for sample in all_samples()
        if sample.format == format_ or (sample.format == "syslog" and format_ == "syslog")
        for line in sample.path.read_text("utf-8", "replace").splitlines()[:6]
    ]
    for line in hostile_lines(starts[:12]):
        began = time.process_time()
        expression.match(line)
        assert time.process_time() - began < BUDGET, line[:80]


def test_every_expression_of_a_pattern_is_one_that_rust_knows() -> None:
    for name, table in readings():
        for pattern in table.get("pattern", ()):
            forms = [form for step in pattern.get("expand", ()) for form in step.get("forms", ())]
            for text in (pattern["regex"], *forms):
                found = pl.Series(["x"]).str.extract_groups(text).struct.fields
                assert all(not field.isdecimal() for field in found), (name, text, "a group without a name")
        for mark in table.get("marks", ()):
            assert pl.Series(["x"]).str.contains(f"^(?:{mark})").to_list() in ([True], [False])
