"""Each check of the closure, taken out alone, is seen by a test of the closure, by a random world, or by the table."""

from __future__ import annotations

import inspect
import itertools

import pytest

from aleat.errors import IntegrityError
from aleat.release import closure
from aleat.release.nodes import Node
from aleat.release.records import Decision
from tests.mutants import Mutant, mutants_of
from tests.release import test_closure
from tests.release.cases.table import differences
from tests.release.test_closure import check_no_leak

TESTS = [
    (name, test)
    for name, test in vars(test_closure).items()
    if name.startswith("test_")
    and {*inspect.signature(test).parameters} <= {"monkeypatch"}
    and not hasattr(test, "pytestmark")
]
MUTANTS = [
    *mutants_of(
        closure.Closure,
        "_cut",
        "_tell_without",
        "_spread",
        "_told",
        "_check",
    ),
    *mutants_of(closure, "_one_content_an_id", "_keep_unused_definitions"),
]
UNSEEN = {
    "_cut: part node.published": "a published definition's id is known, and hides nothing",
    "_tell_without: part node.said.coded": "cutting looks through what is encoded as well, and gives up",
    "_tell_without: part node.coarse == {}": "the gate's own rule (names-internal) keeps what nothing may be told of",
}
"""Mutants that nobody can see, and why."""


def seen() -> str:
    """By what it is seen that something is amiss; "" where nothing is."""
    for name, test in TESTS:
        try:
            with pytest.MonkeyPatch.context() as patch:
                test(*([patch] if inspect.signature(test).parameters else []))
        except (Exception, pytest.fail.Exception):
            return name
    try:
        for seed in range(40):
            check_no_leak(seed, ("north", "bank", "sister", "giver")[seed % 4])
    except (Exception, pytest.fail.Exception):
        return "random worlds"
    try:
        return "the table" if differences() else ""
    except IntegrityError:
        return "the last look"
    except Exception:
        return "the table"


def bound_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closure without one of its checks may withhold the same things for ever."""
    calls, withhold = itertools.count(), closure.Closure.withhold

    def bounded(self: closure.Closure, node: Node, decision: Decision) -> None:
        if next(calls) > 100_000:
            raise RecursionError("The closure doesn't end.")
        withhold(self, node, decision)

    monkeypatch.setattr(closure.Closure, "withhold", bounded)


@pytest.mark.long
def test_nothing_is_amiss() -> None:
    """As it is."""
    assert len(TESTS) > 15
    assert seen() == ""


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_no_check_of_the_closure_can_go_unseen(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of them, something is told that must not be, or isn't told that may be."""
    if str(mutant) in UNSEEN:
        pytest.skip(UNSEEN[str(mutant)])
    mutant.install(monkeypatch)
    bound_rounds(monkeypatch)
    assert seen()
