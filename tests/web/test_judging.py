"""A shelf that is judged by and by holds what the gate lets leave of all that is known, judged at once."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from aleat import Workspace
from aleat.exchange import prepare_release
from aleat.release import Release, strictest_label
from aleat.stix import StixObject, make_object
from aleat.store.shelves import ShelfQuery, read_shelf
from aleat.trust.markings import effective_markings, marking_id
from aleat.workspace.sharing import Sharing
from tests.exchange.teams import START
from tests.web.conftest import EAST, NORTH, SOUTH, take_in

WORDS = ("quietrat", "loudcat", "paledog", "greyfox", "redhen", "dampowl")
NEED_NO_LABEL = {"back-to-giver", "public-corpus", "definition", "permission"}


class Story:
    """What happens in a workspace, by chance."""

    def __init__(self, ws: Workspace, seed: int) -> None:
        self.ws, self.chance = ws, random.Random(seed)  # noqa: S311
        self.ids: list[str] = []
        self.held: set[str] = set()

    def some_id(self) -> str:
        """An object's id, of this workspace mostly."""
        known = self.ids if self.ids and self.chance.random() < 0.9 else [self.new_id("malware")]
        return self.chance.choice(known)

    def new_id(self, type_: str) -> str:
        """A new object's id."""
        return f"{type_}--{uuid.UUID(int=self.chance.getrandbits(128), version=4)}"

    def made(self) -> StixObject:
        """An object that may name others and refer to them; now and then a newer version of one that is here."""
        by = self.chance.choice([NORTH, NORTH, SOUTH, EAST, None])
        label = self.chance.choice(["clear", "green", "green", "green", "amber", "red"])
        properties: dict[str, Any] = {"created": START, "created_by_ref": by, "markings": [marking_id(f"tlp:{label}")]}
        text = f"about {self.chance.choice(WORDS)}" if self.chance.random() < 0.4 else "nothing"
        kind = self.chance.choice(["malware", "malware", "note", "relationship", "marking-definition"])
        id_ = self.new_id(kind)
        if kind == "malware":
            again = [one for one in self.ids if one.startswith("malware--")]
            if again and self.chance.random() < 0.3:
                id_ = self.chance.choice(again)
                properties["modified"] = START.replace(microsecond=self.chance.randrange(1000) * 1000)
            return make_object(
                kind, id_, **properties, name=self.chance.choice(WORDS), is_family=True, description=text
            )
        if kind == "note":
            refs = sorted({self.some_id() for _ in range(2)})
            return make_object(kind, id_, **properties, content=text, object_refs=refs)
        if kind == "relationship":
            ends: dict[str, Any] = {"source_ref": self.some_id(), "target_ref": self.some_id()}
            return make_object(kind, id_, **properties, relationship_type="related-to", **ends)
        said: dict[str, Any] = {
            "definition_type": "statement",
            "definition": {"statement": self.chance.choice(["Fair use", "SECRET"])},
        }
        return make_object(kind, id_, created=START, **said)

    def go_on(self) -> None:
        """One thing happens."""
        what = self.chance.choice(["add", "add", "add", "hold", "lift"])
        if what == "add" or not self.ids:
            items = [self.made() for _ in range(self.chance.randint(1, 4))]
            self.ids += [item.id for item in items]
            beside = self.chance.choice([(), (), (self.some_marking(),)])
            take_in(self.ws, items, self.chance.choice([NORTH, NORTH, SOUTH, EAST]), beside)
        elif what == "hold":
            self.held.add(self.some_id())
            self.ws.hold(sorted(self.held), "legal-hold", "a court asked for it")
        else:
            for held in sorted(self.held):
                self.ws.lift_hold(held, "legal-hold", "the court is done")
            self.held.clear()

    def some_marking(self) -> str:
        """A marking that may stand beside a copy."""
        known = [one for one in self.ids if one.startswith("marking-definition--")]
        return self.chance.choice([*known, marking_id("tlp:green"), marking_id("tlp:amber")])


def travelling(release: Release) -> dict[str, bytes]:
    """What of a release carries its label itself, where it needs one; definitions aside."""
    judged = {str(one.parameters.get("as", one.object)): one for one in release.decisions if one.allow}
    found = {}
    for item in release.objects:
        if item.type in {"marking-definition", "extension-definition"}:
            continue
        word = judged[item.id]
        needs = word.form == "as-is" and word.rule not in NEED_NO_LABEL
        if not needs or strictest_label(effective_markings(item, lambda _: None)) == word.label:
            found[item.id] = item.content
    return found


def shelf(sharing: Sharing, ally: str) -> dict[str, bytes]:
    """All that is on an ally's shelf."""
    sharing._refresh(ally)
    with sharing.ws.read() as connection:
        page = read_shelf(connection, sharing.shelf_of(ally), ShelfQuery(limit=10_000))
    assert len({row.id for row in page.rows}) == len(page.rows)
    return {row.id: row.raw for row in page.rows}


def check(ws: Workspace, seed: int, steps: int) -> int:
    """Let things happen, and compare the shelves with what is judged at once; return how much was on them."""
    story, seen = Story(ws, seed), 0
    sharing = ws.share(quick_seconds=60.0)
    try:
        for _ in range(steps):
            story.go_on()
            for ally in (SOUTH, EAST):
                found = shelf(sharing, ally)
                with ws._desk(write=False) as desk:
                    wanted = travelling(prepare_release(desk, ally, channel="plain"))
                assert {id_: raw for id_, raw in found.items() if "-definition--" not in id_} == wanted, (seed, ally)
                seen += len(wanted)
    finally:
        sharing.close()
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_a_shelf_judged_by_and_by_is_what_is_judged_at_once(workspace: Workspace, seed: int) -> None:
    """Objects, copies, versions and definitions come, holds are placed and lifted: each ally's shelf follows."""
    assert check(workspace, seed, 8) > 100


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 112))
def test_many_shelves_are_judged_by_and_by(workspace: Workspace, seed: int) -> None:
    """Longer stories."""
    assert check(workspace, seed, 30) > 100


def test_a_shelf_that_somebody_else_made_is_made_whole(workspace: Workspace) -> None:
    """Another server of the same workspace judged meanwhile: nothing is missing, and nothing is there twice."""
    story = Story(workspace, 5)
    first, second = workspace.share(quick_seconds=60.0), workspace.share(quick_seconds=60.0)
    try:
        for sharing in (first, second, first, second, first):
            story.go_on()
            found = shelf(sharing, SOUTH)
        assert shelf(second, SOUTH) == found
    finally:
        first.close()
        second.close()
