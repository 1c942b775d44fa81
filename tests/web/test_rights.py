"""Rights are judged for each page: what an ally may no longer have isn't there, and nothing tells that it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aleat.errors import NotPermittedError, Place
from aleat.stix import StixObject, make_object
from aleat.stix.objects import parse_object
from aleat.store.objects import get_object
from aleat.trust.markings import marking_id
from aleat.workspace.accounts import make_token
from tests.exchange.malware import malware
from tests.exchange.teams import START, indicator
from tests.web.conftest import AGREEMENT, EAST, NORTH, SOUTH, Served


def test_a_hold_counts_with_the_next_page(served: Served) -> None:
    """Between two pages of one poll an object is held: the next page is without it."""
    page = served.ask(f"{served.collection()}objects/?limit=5").json
    held = [indicator(7, NORTH, "green").id, indicator(8, NORTH, "green").id]
    served.ws.hold(held, "legal-hold", "a court asked for it")
    rest = served.ids(f"next={page['next']}")
    assert not set(held) & set(rest)
    assert len(rest) == 14
    for path in (f"objects/{held[0]}/", f"objects/{held[0]}/versions/"):
        absent = served.ask(f"{served.collection()}{path.replace(held[0], indicator(999, NORTH).id)}")
        got = served.ask(f"{served.collection()}{path}")
        assert (got.status, got.body) == (absent.status, absent.body) == (404, got.body)
    assert held[0] not in [one["id"] for one in served.ask(f"{served.collection()}manifest/").json["objects"]]


def test_what_may_leave_again_is_new(served: Served) -> None:
    """After a hold is lifted the object comes to whoever asks for what was added since."""
    last = served.ask(f"{served.collection()}objects/").headers["x-taxii-date-added-last"]
    held = indicator(7, NORTH, "green").id
    served.ws.hold([held], "legal-hold", "a court asked for it")
    assert served.ids(f"added_after={last}") == []
    served.ws.lift_hold(held, "legal-hold", "the court is done")
    assert served.ids(f"added_after={last}") == [held]
    assert len(served.ids()) == 21


def test_without_an_agreement_nothing_is_there(served: Served) -> None:
    """When the agreement has ended, an ally's collection is empty, and it can push nothing."""
    assert len(served.ids()) == 21
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("mutual-aid", "mutual-aid-south")
    ended = text.replace("version = 1", "version = 2").replace("2023-08-31", "2022-09-02")
    path = served.ws.folder / "ended.toml"
    path.write_text(ended, encoding="utf-8")
    served.ws.add_agreement(path)
    assert served.ids() == []
    assert served.push(malware(1)).status == 403
    assert len(served.ids(who="east")) == 21


def test_red_and_unmarked_never_leave(served: Served) -> None:
    """RED of ours, others' without a marking, and AMBER of a third party stay, whoever asks, however."""
    third = "identity--99999999-9999-4999-8999-999999999999"
    served.know(indicator(200, third), indicator(201, third, "amber"), giver=EAST)
    hidden = [indicator(number, NORTH, "red").id for number in range(20, 30)]
    hidden += [indicator(200, third).id, indicator(201, third).id]
    assert not set(hidden) & set(served.ids("limit=50"))
    for one in hidden:
        assert served.ids(f"match[id]={one}") == []
        assert served.ask(f"{served.collection()}objects/{one}/").status == 404


def test_no_label_is_lost_on_the_way(served: Served) -> None:
    """Ours under a label beside it leaves with that label in it; another's, which isn't ours to change, stays."""
    green = (marking_id("tlp:green"),)
    served.know(indicator(300, NORTH), markings=green)
    served.know(indicator(301, EAST), giver=EAST, markings=green)
    served.know(indicator(302, EAST, "green"), giver=EAST)
    assert served.ids("match[id]=" + ",".join(indicator(number, None).id for number in (300, 301, 302))) == [
        indicator(300, NORTH).id,
        indicator(302, EAST).id,
    ]
    for item in served.ask(f"{served.collection()}objects/?match[type]=indicator").json["objects"]:
        assert item["object_marking_refs"] == list(green)


def test_what_names_something_withheld_stays_too(served: Served) -> None:
    """A relationship to a RED object isn't there: the gate's closure holds on every endpoint."""
    link = make_object(
        "relationship",
        "relationship--00000000-0000-4000-8000-000000000001",
        created=START,
        created_by_ref=NORTH,
        markings=[marking_id("tlp:green")],
        relationship_type="related-to",
        source_ref=indicator(1, NORTH).id,
        target_ref=indicator(20, NORTH).id,
    )
    served.know(link)
    assert served.ids("match[type]=relationship") == []
    assert len(served.ids()) == 21


def test_a_removed_account_is_out_at_once(served: Served) -> None:
    """The running server asks for the accounts with each request."""
    assert served.ask("").status == 200
    served.ws.remove_account("south")
    assert served.ask("").status == 401


def test_a_next_of_another_ally_is_none(served: Served) -> None:
    """What one ally was given to go on with is of no use to another."""
    mine = served.ask(f"{served.collection()}objects/?limit=5").json["next"]
    assert served.ask(f"{served.collection('east')}objects/?next={mine}", who="east").status == 400


UNKNOWN = "identity--99999999-9999-4999-8999-999999999999"


@pytest.mark.parametrize("number", [1, 20, 500])
@pytest.mark.parametrize("maker", [EAST, UNKNOWN])
def test_nobody_speaks_for_another_team(served: Served, maker: str, number: int) -> None:
    """Refused in the same words, whether that object is here or not, and whether its maker is our ally or nobody."""
    pushed = served.push(indicator(number, maker, "green", name="Changed")).json
    assert (pushed["success_count"], pushed["failure_count"]) == (0, 1)
    assert pushed["failures"][0]["message"].startswith("Somebody else made it")
    assert len(served.ids()) == 21


def test_a_bundle_is_no_object(served: Served) -> None:
    """TAXII's envelope holds objects (§3.7); what is in a bundle would not be looked at."""
    bundle = {"type": "bundle", "id": f"bundle--{UNKNOWN[-36:]}", "objects": [json.loads(malware(1).raw)]}
    pushed = served.push(bundle).json
    assert (pushed["success_count"], pushed["failure_count"]) == (0, 1)
    assert pushed["failures"][0]["id"] == bundle["id"]


def test_nobody_speaks_for_us(served: Served) -> None:
    """Not even who may bring what others made."""
    let_relay(served)
    pushed = served.push(indicator(20, NORTH, "green"), indicator(501, NORTH), who="relay").json
    assert pushed["failure_count"] == 2
    assert {failure["message"] for failure in pushed["failures"]} == {
        "It says that we made it; what we made comes from us."
    }


def let_relay(served: Served) -> None:
    """Give south an account that may bring what others made."""
    served.tokens["relay"] = make_token()
    served.relay = served.ws.add_account("relay", "south", relay=True, token=served.tokens["relay"])


def test_who_may_relay_learns_nothing_and_takes_nobodys_place(served: Served) -> None:
    """What it brings of an ally's and of nobody's is taken alike; east's own word on east's object goes on counting."""
    let_relay(served)
    own = indicator(500, EAST, "amber", name="Own")
    served.know(own, giver=EAST)
    later = {**json.loads(own.raw), "modified": "2022-09-29T08:00:00.000Z", "name": "Changed", "revoked": True}
    told = [served.push(one, who="relay").json for one in (later, indicator(501, EAST), indicator(502, UNKNOWN))]
    assert [one["success_count"] for one in told] == [1, 1, 1]
    with served.ws.read() as connection:
        found = get_object(connection, own.id)
    assert found is not None
    assert found.object == own


def test_what_one_had_from_us_may_come_back_as_it_was(served: Served) -> None:
    """The very object that an ally was given is no forgery; a second copy changes nothing that it sees."""
    assert served.push(indicator(1, NORTH, "green")).json["success_count"] == 1
    assert len(served.ids()) == 21


def test_weaker_markings_and_changed_content_are_refused(served: Served) -> None:
    """What an ally can see it can't change under its id, nor mark weaker in a version that follows."""
    served.know(*(marked(number, "green") for number in range(3)))
    assert len(served.ids("match[type]=malware")) == 3
    same = served.push(marked(0, "green", name="other")).json
    assert "same id and version" in same["failures"][0]["message"]
    weaker = served.push(marked(1, "clear", version=2)).json
    assert "weaker" in weaker["failures"][0]["message"]
    assert served.push(marked(2, "green", version=2)).json["success_count"] == 1


def test_a_replayed_push_changes_nothing(served: Served) -> None:
    """The same envelope again succeeds, and nothing is there twice."""
    first = served.push(malware(1), indicator(100, SOUTH, "green")).json
    again = served.push(malware(1), indicator(100, SOUTH, "green")).json
    assert first["success_count"] == again["success_count"] == 2
    assert served.ids().count(indicator(100, SOUTH).id) == 1


def test_every_page_and_push_is_in_the_ledger(served: Served) -> None:
    """What left, to whom, and what was taken, are entries of the exchange ledger; `verify` finds no fault."""
    served.ids()
    served.push(malware(1))
    lines = b"".join(served.ws.export_ledgers())
    assert b'"kind":"given"' in lines
    assert b'"kind":"taken"' in lines
    assert not served.ws.verify().faults


def marked(number: int, label: str, *, version: int = 0, name: str = "") -> StixObject:
    """A malware object without a maker, under a label."""
    made = malware(number, version, name)
    changed = {**made.properties(), "object_marking_refs": [marking_id(f"tlp:{label}")]}
    return parse_object(json.dumps(changed).encode(), Place("test"))


def test_two_people_let_an_account_in_where_the_agreement_wants_two(served: Served, tmp_path: Path) -> None:
    """Under such an agreement an account that one person made gets no object; one that a second approved does."""
    ws = served.ws
    assert len(served.ids()) > 1
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("mutual-aid", "mutual-aid-south")
    text = text.replace("version = 1", "version = 2").replace('basis = "', 'two_people = true\nbasis = "')
    (tmp_path / "two.toml").write_text(text)
    ws.add_agreement(tmp_path / "two.toml")
    for path in ("objects/", "manifest/", f"objects/{indicator(7, NORTH).id}/"):
        assert served.ask(f"{served.collection()}{path}").status == 403, path
    for approver in ("ana", "nobody"):
        with pytest.raises(NotPermittedError):
            ws.add_account("second", "south", token=make_token(), approver=approver)
    ws.set_roles("eva", ["releaser"])
    served.tokens["second"] = make_token()
    ws.add_account("second", "south", token=served.tokens["second"], approver="eva")
    there = served.ask(f"{served.collection()}objects/", who="second")
    assert (there.status, len(there.json["objects"]) > 1) == (200, True)
