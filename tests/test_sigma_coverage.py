"""The page on SigmaHQ's rules is current: each is evaluated, or named with its reason."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_SPEC = importlib.util.spec_from_file_location("sigma_coverage", ROOT / "docs" / "sigma_coverage.py")
assert _SPEC
assert _SPEC.loader
sigma_coverage = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = sigma_coverage  # where dataclasses look for their names
_SPEC.loader.exec_module(sigma_coverage)


@pytest.mark.long
@pytest.mark.data
def test_the_page_says_what_becomes_of_each_rule(test_data: Path) -> None:
    """Whoever changes what can be evaluated runs `make docs` where the rules are."""
    collection = sigma_coverage.read_collection(test_data / "sigma")
    plan = collection.plan
    named = {row.indicator for row in plan.not_evaluated if not row.partial}
    kept = {rule.indicator.id for rule in (*plan.rules, *plan.correlations, *plan.filters)}
    assert named | kept == {item.id for item in collection.given}
    assert not named & kept
    assert all(row.reason for row in plan.not_evaluated)
    assert sigma_coverage.page(collection) == sigma_coverage.PAGE.read_text(encoding="utf-8")


def test_the_page_is_not_touched_where_there_are_no_rules(tmp_path: Path) -> None:
    before = sigma_coverage.PAGE.read_bytes()
    assert sigma_coverage.main([str(tmp_path / "absent")]) == 0
    assert sigma_coverage.PAGE.read_bytes() == before
