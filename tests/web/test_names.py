"""An identity that an ally pushes gives nobody the name of somebody whom we know."""

from __future__ import annotations

import pytest

from aleat.trust.markings import marking_id
from tests.exchange.teams import indicator
from tests.web.conftest import EAST, Served

STRANGER = "identity--44444444-4444-4444-8444-444444444444"


@pytest.mark.parametrize("name", ["south", "South", "NORTH", "e\u200bast", "\uff33outh ", "Havenwatch"])
def test_a_team_that_is_no_ally_is_not_called_like_one(served: Served, name: str) -> None:
    """It is shown by its id: whom to ask must not be said wrongly."""
    theirs = indicator(900, STRANGER, "amber")
    served.know(theirs, giver=EAST)
    identity = {
        "type": "identity",
        "spec_version": "2.1",
        "id": STRANGER,
        "created": "2022-09-01T00:00:00.000Z",
        "modified": "2022-09-01T00:00:00.000Z",
        "name": name,
        "object_marking_refs": [marking_id("tlp:clear")],
    }
    assert served.push(identity).json["success_count"] == 1
    shown = STRANGER if name != "Havenwatch" else name
    assert served.ws.show_knowledge(theirs.id).created_by == shown
    preview = served.ws.preview_release("south")
    (asked,) = {who for one in preview.release.decisions if one.object == theirs.id for who in one.ask}
    assert asked == STRANGER
    assert preview.names.get(asked, asked) == shown
