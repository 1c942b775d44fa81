"""A playbook in the terminal: steps set in, commands as they stand, nothing that acts."""

from __future__ import annotations

import pytest

from aleat.cli.playbook_lines import print_playbook
from aleat.knowledge.playbooks import Playbook, PlaybookCommand, PlaybookStep
from aleat.report import load_messages

STEPS = (
    PlaybookStep(number=1, depth=0, type="action", name="Unplug", agent="Duty officer", targets=("the host",)),
    PlaybookStep(number=2, depth=0, type="if-condition", condition="[file:name = 'x']"),
    PlaybookStep(
        number=3, depth=1, branch="case", case="a", name="Stop", commands=(PlaybookCommand("bash", "one\ntwo\x1b[31m"),)
    ),
    PlaybookStep(number=0, depth=1, branch="failure", refers_to=1),
)


def test_steps_stand_in_order_and_branches_are_set_in(capsys: pytest.CaptureFixture[str]) -> None:
    """With who does it, on what, and where it goes on; a command's lines stay lines."""
    print_playbook(Playbook(id="p", name="P", steps=STEPS, left_out=7, faults=2), load_messages())
    assert capsys.readouterr().out.splitlines() == [
        "Playbook: 10 steps; breaks 2 rules of CACAO",
        "  Nothing here is run: commands are shown as they stand. People decide.",
        "  1. Unplug (by Duty officer on the host)",
        "  2. decision",
        "     condition: [file:name = 'x']",
        "     3. if a: Stop",
        "        | bash: one",
        "        |   two\\x1b[31m",
        "     if it fails: go on with step 1",
        "  7 further steps are in the playbook itself.",
    ]
