"""What was withdrawn is revoked on the shelves of those who had it, under the id by which they know it."""

from __future__ import annotations

import json
from pathlib import Path

from aleat.exchange import Withdrawal
from aleat.stix import make_object
from aleat.trust.markings import marking_id
from tests.exchange.teams import START, indicator
from tests.web.conftest import NORTH, SOUTH, Served

THIRD = "identity--99999999-9999-4999-8999-999999999999"


def objects_of(served: Served, who: str = "south") -> dict[str, dict[str, object]]:
    """An ally's collection, by id."""
    found = served.ask(f"{served.collection(who)}objects/?limit=1000", who=who).json.get("objects", ())
    return {item["id"]: item for item in found}


def test_who_fetched_it_is_told_and_sees_it_revoked(served: Served, tmp_path: Path) -> None:
    """One sealed file for each ally whose shelf held it; with the next page it is revoked."""
    own = indicator(3, NORTH, "green").id
    assert "revoked" not in objects_of(served)[own]
    objects_of(served, "east")
    taken = served.ws.withdraw_objects([own], tmp_path, reason="Wrong.")
    assert len(taken.paths) == 2
    messages = [item for sent in taken.done.sent for item in sent.messages if isinstance(item, Withdrawal)]
    assert {item.objects for item in messages} == {(own,)}
    assert objects_of(served)[own]["revoked"] is True


def told_again(served: Served) -> str:
    """Take in a report that can leave without one of its objects alone; return its id here."""
    secret = indicator(80, THIRD, "amber", name="Quiet third")
    served.know(secret, giver=THIRD)
    report = make_object(
        "report",
        "report--00000000-0000-4000-8000-0000000000f1",
        created=START,
        created_by_ref=NORTH,
        markings=[marking_id("tlp:green")],
        name="Weekly",
        published=START,
        object_refs=[indicator(1, NORTH, "green").id, secret.id],
    )
    served.know(report)
    return report.id


def test_what_was_told_again_is_revoked_as_it_was_told(served: Served, tmp_path: Path) -> None:
    """On the shelf of who had it, and on no other's; its own id and what was withheld are nowhere."""
    report = told_again(served)
    (told,) = [id_ for id_ in objects_of(served) if id_.startswith("report--")]
    assert told != report
    taken = served.ws.withdraw_objects([report], tmp_path, reason="Wrong.")
    assert [sent.recipient for sent in taken.done.sent] == [SOUTH]
    after = objects_of(served)
    assert after[told]["revoked"] is True
    assert [id_ for id_ in after if id_.startswith("report--")] == [told]
    text = json.dumps(after)
    assert report.partition("--")[2] not in text
    assert "Quiet third" not in text
    assert not [id_ for id_ in objects_of(served, "east") if id_.startswith("report--")]
