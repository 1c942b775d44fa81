"""The threat model names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_test_that_the_threat_model_names_is_there() -> None:
    """Each path of a test in it, and there are some."""
    text = (ROOT / "docs" / "concepts" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", text))
    assert len(named) > 6
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
