"""An ally takes back what it gave, by DELETE (TAXII 2.1 §5.7): its own, nothing else, and nothing is destroyed."""

from __future__ import annotations

from aleat.errors import Place
from aleat.stix import StixObject
from aleat.stix.objects import parse_object
from aleat.store.objects import get_variants
from aleat.store.withdrawn import taken_back, withdrawn_copies
from tests.exchange.malware import malware
from tests.exchange.teams import indicator
from tests.web.conftest import EAST, NORTH, SOUTH, Answer, Served

MINE = indicator(100, SOUTH, "green")


def delete(served: Served, item: StixObject, query: str = "", who: str = "south") -> Answer:
    """Ask for an object's deletion."""
    return served.ask(f"{served.collection(who)}objects/{item.id}/{query}", "DELETE", who=who)


def test_what_an_ally_pushed_it_may_take_back(served: Served) -> None:
    """200 and no body; then it is neither an object, nor in the manifest, nor among versions; and hunts no more."""
    served.push(MINE, malware(1))
    got = delete(served, MINE)
    assert (got.status, got.body, got.headers["content-type"]) == (200, b"", "application/taxii+json;version=2.1")
    for path in (f"objects/{MINE.id}/", f"objects/{MINE.id}/versions/", f"objects/{MINE.id}/?match[version]=all"):
        assert served.ask(f"{served.collection()}{path}").status == 404
    assert MINE.id not in served.ids()
    assert MINE.id not in [one["id"] for one in served.ask(f"{served.collection()}manifest/").json["objects"]]
    assert malware(1).id in served.ids()
    with served.ws.read() as connection:
        assert (SOUTH, "mutual-aid-south", MINE.digest) in withdrawn_copies(connection)


def test_nothing_is_destroyed(served: Served) -> None:
    """The copy, its custody and the ledgers stay; the withdrawal is an entry of its own; `verify` finds no fault."""
    served.push(MINE)
    delete(served, MINE)
    with served.ws.read() as connection:
        stored = get_variants(connection, MINE.id)
    assert [copy.giver for one in stored for copy in one.copies] == [SOUTH]
    assert b'"kind":"taken-back"' in b"".join(served.ws.export_ledgers())
    assert not served.ws.verify().faults


def test_a_second_deletion_finds_nothing(served: Served) -> None:
    """What was taken back isn't there; given again, it is, and can be taken back again."""
    served.push(MINE)
    assert [delete(served, MINE).status for _ in range(2)] == [200, 404]
    assert served.push(MINE).json["success_count"] == 1
    assert MINE.id in served.ids()
    with served.ws.read() as connection:
        assert taken_back(connection) == {}
    assert delete(served, MINE).status == 200


def test_others_things_are_not_deleted(served: Served) -> None:
    """What the ally may fetch and didn't give: 403; what it may not have, or isn't there: one and the same 404."""
    hidden = indicator(20, NORTH)
    theirs = indicator(400, EAST, "amber")
    served.push(theirs, who="east")
    assert delete(served, indicator(1, NORTH)).status == 403
    answers = [delete(served, item) for item in (hidden, theirs, indicator(999, NORTH))]
    assert [one.status for one in answers] == [404] * 3
    assert len({one.body for one in answers}) == 1
    assert len(served.ids()) == 21
    assert theirs.id in served.ids(who="east")


def test_what_another_gave_too_is_only_gone_for_who_deleted_it(served: Served) -> None:
    """East gave the same object; South's deletion takes it from South's shelf alone, and tells nothing of East."""
    served.push(malware(7), who="east")
    served.push(malware(7))
    assert delete(served, malware(7)).status == 200
    assert served.ask(f"{served.collection()}objects/{malware(7).id}/").status == 404
    assert malware(7).id in served.ids(who="east")


def test_one_version_alone(served: Served) -> None:
    """With match[version] that version goes, and the one before stands there again."""
    served.push(malware(3, 1), malware(3, 2))
    newest = f"?match[version]={malware(3, 2).version}"
    assert delete(served, malware(3), newest).status == 200
    assert delete(served, malware(3), newest).status == 404
    versions = served.ask(f"{served.collection()}objects/{malware(3).id}/versions/").json["versions"]
    assert versions == [malware(3, 1).version]
    assert served.ask(f"{served.collection()}objects/{malware(3).id}/{newest}").status == 404
    assert delete(served, malware(3), "?match[version]=2001-01-01T00:00:00Z").status == 404
    assert delete(served, malware(3), "?match[spec_version]=2.0").status == 404


def test_who_may_not_push_may_not_delete(served: Served) -> None:
    """Such an account gets a 403, whether or not the object is there (§5.7's table)."""
    served.push(MINE)
    token = "a-token-that-may-only-fetch-0123456789"
    served.ws.add_account("south-reader", "south", token=token)
    for item in (MINE, indicator(1, NORTH), indicator(999, NORTH)):
        path = f"{served.collection()}objects/{item.id}/"
        got = served.ask(path, "DELETE", who=None, headers={"Authorization": f"Bearer {token}"})
        assert got.status == 403
    assert MINE.id in served.ids()


def test_other_filters_mean_nothing_there(served: Served) -> None:
    """A deletion that says more than a version is refused, as it may mean something else; nothing is gone."""
    served.push(MINE)
    for query in ("?limit=1", "?added_after=2022-07-15T08:00:00Z", "?match[id]=x", "?next=x"):
        assert delete(served, MINE, query).status == 400
    assert MINE.id in served.ids()


def test_what_we_passed_on_goes_from_the_others_too(served: Served) -> None:
    """Another ally has what it had on South's word alone no longer."""
    clear = parse_object(malware(8).raw, Place("test"))
    served.push(indicator(101, SOUTH, "clear"), clear)
    before = served.ids(who="east")
    delete(served, indicator(101, SOUTH))
    assert indicator(101, SOUTH).id not in served.ids(who="east")
    assert set(served.ids(who="east")) <= set(before)
