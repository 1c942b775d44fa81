"""A closure that is told what changed says what judging everything anew says: every decision, every byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.release import Closure, Decision, Subject, Terms, close, decide
from tests.release.test_closure import random_subject, random_world
from tests.release.world import SECRET, permission, terms

HOLDS = ("legal-hold", "personal-data")


class World:
    """Objects that come, change and go, and the terms on which they are judged."""

    def __init__(self, seed: int) -> None:
        self.generator = random.Random(seed)  # noqa: S311
        self.to = self.generator.choice(["north", "bank", "sister", "giver"])
        self.all = {item.object.id: item for item in random_world(seed)[0]}
        some = [id_ for id_ in self.all if self.generator.random() < 0.6]
        self.here = {id_: self.all[id_] for id_ in some}
        self.holds: dict[str, tuple[str, ...]] = {}
        self.permitted: set[str] = set()

    def terms(self) -> Terms:
        """The terms now."""
        leave = [permission("third", self.to, *self.permitted), permission("giver", self.to, *self.permitted)]
        return terms(self.to, holds=self.holds, permissions=tuple(leave) if self.permitted else ())

    def judged(self) -> dict[str, tuple[Subject, Decision]]:
        """Every object with the gate's word on it alone."""
        subjects = list(self.here.values())
        decisions = decide(subjects, self.terms())
        return {item.object.id: (item, word) for item, word in zip(subjects, decisions, strict=True)}

    def change(self) -> None:
        """One thing happens, or several."""
        for _ in range(self.generator.choice([1, 1, 2, 5])):
            id_ = self.generator.choice(list(self.all))
            what = self.generator.choice(["add", "add", "another", "withdraw", "forget", "hold", "lift", "permit"])
            if what == "add":
                self.here[id_] = self.all[id_]
            elif what == "another":  # somebody else's copy
                self.here[id_] = random_subject(self.generator, self.all[id_].object, list(self.all))
            elif what == "withdraw" and id_ in self.here:
                self.here[id_] = Subject(object=self.all[id_].object, copies=())
            elif what == "forget":
                self.here.pop(id_, None)
            elif what == "hold":
                self.holds = {**self.holds, id_: (self.generator.choice(HOLDS),)}
            elif what == "lift":
                self.holds = {}
            elif what == "permit":
                self.permitted ^= {id_}


def check(seed: int, steps: int) -> int:
    """Let a world change, and compare after each step; return how often something that had stayed left after all."""
    world = World(seed)
    closure = Closure(world.terms(), secret=SECRET)
    before: dict[str, tuple[Subject, Decision]] = {}
    out: dict[str, bytes] = {}
    risen = 0
    for _ in range(steps):
        now = world.judged()
        changed = [pair for id_, pair in now.items() if before.get(id_) != pair]
        closure.change(changed, set(before) - set(now))
        subjects, words = [pair[0] for pair in now.values()], [pair[1] for pair in now.values()]
        whole = close(subjects, words, world.terms(), secret=SECRET)
        decisions = {node.id: node.decision for node in closure.nodes}
        assert decisions == {word.object: word for word in whole.decisions}, seed
        leaving = sorted((node.out for node in closure.nodes if node.out), key=lambda item: (item.type, item.id))
        assert tuple(leaving) == whole.objects, seed
        touched = {pair[0].object.id for pair in changed}
        risen += len(set(closure.changed) - touched - set(out) - {i for i, node in closure.changed.items() if not node})
        for id_, node in closure.changed.items():
            out.pop(id_, None)
            if node is not None and node.out is not None:
                out[id_] = node.out.raw
        assert out == {node.id: node.out.raw for node in closure.nodes if node.out is not None}, seed
        before = now
        world.change()
    return risen


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_judged_by_and_by_is_what_is_judged_at_once(seed: int) -> None:
    """Objects come, are told anew, withdrawn, forgotten; holds are placed and lifted, permissions come and end."""
    check(seed, 8)


def test_the_changes_are_worth_testing() -> None:
    """What stayed for another's sake leaves after all, without being touched itself."""
    assert sum(check(seed, 8) for seed in range(20)) > 5


@pytest.mark.long
def test_many_worlds_are_judged_by_and_by() -> None:
    """A hundred worlds, of twenty steps each."""
    for seed in range(100):
        check(seed, 20)
