"""Against what an ally had from its shelf, a preview says what is new, too."""

from __future__ import annotations

from pathlib import Path

from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, Served


def changes(served: Served, who: str = "south") -> dict[str, str]:
    """How what would leave for an ally differs from what it had, indicators alone."""
    found = served.ws.preview_release(who).changes
    return {id_: change for id_, change in found.items() if id_.startswith("indicator--") and change}


def test_what_was_fetched_counts_as_had(served: Served, tmp_path: Path) -> None:
    """Page by page; what has gone since is told as gone, what came since as new; withdrawn, it isn't had."""
    own = [indicator(number, NORTH, "green").id for number in range(20)]
    assert set(changes(served).values()) == {"new"}
    served.ids("limit=8")
    after = changes(served)
    had = {id_ for id_, change in after.items() if change == "same"}
    assert 6 <= len(had) <= 8
    assert {after[id_] for id_ in set(own) - had} == {"new"}
    assert set(changes(served, "east").values()) == {"new"}
    served.ids("limit=1000")
    assert changes(served) == dict.fromkeys(own, "same")
    served.know(indicator(60, NORTH, "green"))
    served.ws.hold([own[0]], "legal-hold", "a court asked for it")
    assert changes(served) == {**dict.fromkeys(own, "same"), own[0]: "gone", indicator(60, NORTH).id: "new"}
    served.ids("limit=1000")
    assert changes(served) == {**dict.fromkeys(own, "same"), own[0]: "gone", indicator(60, NORTH).id: "same"}
    served.ws.withdraw_objects([own[0], own[1]], tmp_path, reason="Wrong.")
    assert own[0] not in changes(served)
    assert changes(served)[own[1]] == "new"
    served.ids("limit=1000")
    assert changes(served)[own[1]] == "same"


def test_a_page_by_id_counts_for_that_object(served: Served) -> None:
    """And a list of ids and versions for none."""
    own = indicator(4, NORTH).id
    assert served.ask(f"{served.collection()}manifest/?limit=1000").status == 200
    assert set(changes(served).values()) == {"new"}
    assert served.ask(f"{served.collection()}objects/{own}/").status == 200
    assert [id_ for id_, change in changes(served).items() if change == "same"] == [own]


def test_what_was_told_again_is_known_by_what_it_was_told_as(served: Served) -> None:
    """Its own id here is the one that the preview names."""
    from tests.web.test_withdrawn import told_again  # noqa: PLC0415

    report = told_again(served)
    assert served.ws.preview_release("south").changes[report] == "new"
    served.ids("limit=1000")
    assert served.ws.preview_release("south").changes[report] == "same"
