"""What the ledger of hunts keeps of sightings, and what it makes of them again."""

from __future__ import annotations

import msgspec

from aleat.hunt.list_index import ListIndex
from aleat.hunt.lists import ListHunter
from aleat.hunt.plan import Plan
from aleat.hunt.stored import Attacher, encode_found
from aleat.store.lake import SegmentSource
from tests.hunt.batches import make_batch
from tests.hunt.test_lists import make_list


def test_lists_with_the_same_rows_keep_their_own_titles() -> None:
    """Two givers' lists of one content share a cell of the ledger; neither names the other's list."""
    one = make_list(("domain-name", "evil.example", "C2"), id="list--1")
    two = msgspec.structs.replace(one, id="list--2", title="Of a source that must not be known", source="cert-y")
    found = list(ListHunter(ListIndex([one, two])).hunt([make_batch([{"QueryName": "evil.example"}])]))
    assert [sighting.title for sighting in found] == [f"{one.title}: C2", f"{two.title}: C2"]
    for order in ([one, two], [two, one]):
        kept = encode_found(found, {item.digest: item for item in order})
        plan = Plan(rules=(), lists=tuple(order))
        attached = Attacher(plan, frozenset({one.digest})).attach([kept], "", SegmentSource(0, "evidence/log", 0))
        assert sorted(sighting.title for _, sighting in attached) == sorted(sighting.title for sighting in found)
