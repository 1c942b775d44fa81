"""Explaining a rule over an event of a workspace, and the lines that tell it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aleat.cli.hunt_commands import explanation_lines
from aleat.errors import InputError
from tests.cli.command import call
from tests.workspace.conftest import Built

RULE_ID = "6f1d7c7e-3f7e-4a43-9d1b-0a6a4c1f0001"


def test_a_sighting_is_explained_by_its_place_and_by_its_digest(built: Built) -> None:
    with built.open() as ws:
        sightings = [one for one in ws.hunt(workers=1).sightings if one.indicator == RULE_ID]
        assert len(sightings) == 2
        for sighting in sightings:
            told = ws.explain("Wiper Started", f"{sighting.evidence}:{sighting.record}")
            assert told == ws.explain(RULE_ID, sighting.event) == ws.explain(sighting.ref, sighting.event)
            assert (told.event, told.host, told.time) == (sighting.event, sighting.host, sighting.time)
            assert told.explanation.matches
            assert told.explanation.reach == "could-match"


def test_every_event_is_explained_as_it_was_hunted(built: Built) -> None:
    """Records count over a source's ranges: all of pc1.evtx, in two chunks."""
    with built.open() as ws:
        hit = {one.record for one in ws.hunt(workers=1).sightings if one.title == "Wiper Started" and "pc1" in one.host}
        found = [ws.explain(RULE_ID, f"pc1.evtx:{record}") for record in (0, 1, 2, 3, 19, 20, 39)]
    assert [told.record for told in found if told.explanation.matches] == sorted(hit) == [2]
    assert len({told.event for told in found}) == 7


def test_what_is_not_there_is_told(built: Built) -> None:
    with built.open() as ws:
        for event, reason in (
            ("pc1.evtx:40", "no record 40"),
            ("nothing.evtx:1", "no evidence"),
            ("pc1.evtx", "names no event"),
            ("0" * 32, "no event"),
        ):
            with pytest.raises(InputError, match=reason):
                ws.explain(RULE_ID, event)
        with pytest.raises(InputError, match="no rule"):
            ws.explain("No Such Rule", "pc1.evtx:1")


def test_a_hunt_is_not_needed(copy_of: Callable[[], Built]) -> None:
    """What evidence there is, is known without one."""
    built = copy_of()
    with built.open() as ws, ws.write() as connection:
        connection.exec_driver_sql("DELETE FROM hunt_facts")
    with built.open() as ws:
        told = ws.explain(RULE_ID, "portal_access.log:3").explanation
    assert (told.matches, told.reach) == (False, "could-match")


def test_the_lines_are_a_tree_with_the_values_seen(built: Built) -> None:
    with built.open() as ws:
        lines = list(explanation_lines(ws.explain(RULE_ID, "pc1.evtx:2")))
        other = list(explanation_lines(ws.explain(RULE_ID, "pc1.evtx:3")))
    assert "record 2" in lines[0]
    assert lines[1] == f"Wiper Started ({RULE_ID}): matches."
    assert any('yes  commandline contains "quillwiper": saw "quillwiper /all" (CommandLine)' in text for text in lines)
    assert other[1].endswith("does not match.")
    assert any('no   commandline contains "quillwiper": saw "run 4" (CommandLine)' in text for text in other)


def test_the_command_prints_them(built: Built, capfd: pytest.CaptureFixture[str]) -> None:
    ran = call(capfd, "explain", "wiper started", "pc1.evtx:3", "-w", built.folder)
    assert ran.code == 0
    assert "does not match." in ran.out
    assert 'saw "run 4"' in ran.out
    assert call(capfd, "explain", "wiper started", "pc1.evtx:99", "-w", built.folder).code == 1
