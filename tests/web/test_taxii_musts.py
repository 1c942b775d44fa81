"""What TAXII 2.1 says a server MUST do, section by section, against the running server.

https://docs.oasis-open.org/cti/taxii/v2.1/os/taxii-v2.1-os.html. Each test names its sections:

| section | what | test |
|---|---|---|
| 1.6.8, 3.2 | media types with version and without; 406, 415 | `test_media_types` |
| 3.2 | X-TAXII-Date-Added-First and -Last | `test_headers_name_the_first_and_the_last_time` |
| 3.3, 3.5 | order of arrival; `limit`, `next`, `more` | `test_pages_in_order` |
| 3.4 | `added_after`, `match[id]`, `[type]`, `[version]`, `[spec_version]` | `test_filters` and the next |
| 3.6 | error messages | `test_errors_are_messages` |
| 3.7 | envelope; empty where there is nothing | `test_an_envelope_without_objects` |
| 4.1, 4.2 | discovery, API root; 401 with WWW-Authenticate | `test_discovery_and_api_root`, `test_who_asks_…` |
| 4.3, 5.5 | push, status, failure of one object | `test_a_push_and_its_status` and the next |
| 5.1, 5.2 | collections | `test_collections` |
| 5.3 | manifest in the order of the objects | `test_the_manifest_is_that_of_the_objects` |
| 5.4, 5.6, 5.8 | objects, object, versions | `test_one_object_and_its_versions` |
| 5.7 | deletion, refused | `test_nothing_is_deleted` |
| 5 | 404 for what is another's | `test_what_is_not_ones_own_is_not_there` |
"""

from __future__ import annotations

import json
import uuid
from base64 import b64encode

import pytest

from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.store.objects import get_object
from tests.exchange.malware import malware, malware_id
from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, PASSWORD, SOUTH, Served

TYPE = {"content-type": MEDIA_TYPE}


def test_discovery_and_api_root(shared: Served) -> None:
    """Discovery has a title and names its API root; that says that it speaks 2.1, and how much it takes."""
    found = shared.ask("")
    assert (found.status, found.headers["content-type"]) == (200, MEDIA_TYPE)
    assert found.json["api_roots"] == [found.json["default"]] == [shared.root]
    root = shared.ask(shared.root).json
    assert root["versions"] == ["application/taxii+json;version=2.1"]
    assert root["max_content_length"] > 0
    assert root["title"]


def test_collections(shared: Served) -> None:
    """An ally sees its own collection, whose id is a UUIDv4."""
    found = shared.ask("root/collections/").json["collections"]
    assert found == [shared.ask(shared.collection()).json]
    assert uuid.UUID(found[0]["id"]).version == 4
    assert (found[0]["can_read"], found[0]["can_write"]) == (True, True)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/taxii+json;version=2.1", 200),
        ("application/taxii+json; version=2.1", 200),
        ("application/taxii+json", 200),
        ("*/*", 200),
        ("text/html, application/taxii+json;q=0.5", 200),
        ("application/taxii+json;version=2.0", 406),
        ("application/vnd.oasis.taxii+json;version=2.0", 406),
        ("application/json", 406),
        ("application/taxii+json;q=0", 406),
        ("", 406),
    ],
)
def test_media_types(served: Served, accept: str, status: int) -> None:
    """What is asked for in another type is refused; so is a body of another type."""
    for path in ("", "root/", "root/collections/", served.collection(), f"{served.collection()}objects/"):
        assert served.ask(path, headers={"Accept": accept}).status == status
    sent = {"Content-Type": accept.replace("*/*", "text/plain").partition(",")[0]}
    body = json.dumps({"objects": [json.loads(malware(1).raw)]}).encode()
    pushed = served.ask(f"{served.collection()}objects/", "POST", body=body, headers=sent).status
    assert pushed == (
        202 if sent["Content-Type"].replace(" ", "") in {MEDIA_TYPE, "application/taxii+json"} else 415
    ) or (sent["Content-Type"].endswith("q=0") and pushed == 202)


def test_who_asks_is_asked_for_a_name(shared: Served) -> None:
    """Without an account there is nothing, not even a 404; Bearer and Basic are offered, both work."""
    for path in ("", "root/", shared.collection(), "root/collections/elsewhere/", "../nothing"):
        got = shared.ask(path, who=None)
        assert (got.status, got.headers["content-type"]) == (401, MEDIA_TYPE)
        assert "Bearer" in got.headers["www-authenticate"]
        assert "Basic" in got.headers["www-authenticate"]
    basic = {"Authorization": "Basic " + b64encode(f"south:{PASSWORD}".encode()).decode()}
    assert shared.ask("", who=None, headers=basic).status == 200
    assert shared.ask("", who=None, headers=basic).status == 200
    wrong = {"Authorization": "Basic " + b64encode(b"south:another word").decode()}
    assert shared.ask("", who=None, headers=wrong).status == 401
    assert shared.ask("", who=None, headers={"Authorization": "Bearer aleat-none"}).status == 401


def test_errors_are_messages(shared: Served) -> None:
    """An error is a message in TAXII's type, with a title and the status."""
    for path, method, status in (
        ("root/collections/none/", "GET", 404),
        ("elsewhere/", "GET", 404),
        ("root", "GET", 404),
        ("root/", "POST", 405),
        (f"{shared.collection()}objects/?limit=x", "GET", 400),
    ):
        got = shared.ask(path, method)
        assert (got.status, got.headers["content-type"]) == (status, MEDIA_TYPE)
        assert got.json["title"]
        assert got.json["http_status"] == str(status)


def test_pages_in_order(shared: Served) -> None:
    """Pages of any size hold everything once, in the order in which it was added; `more` and `next` lead on."""
    whole = shared.ids()
    assert len(whole) == len(set(whole)) == 21
    for limit in (1, 4, 7, 21, 50):
        got: list[str] = []
        query = f"limit={limit}"
        while True:
            page = shared.ask(f"{shared.collection()}objects/?{query}").json
            assert len(page["objects"]) <= limit
            got += [item["id"] for item in page["objects"]]
            if not page["more"]:
                assert "next" not in page
                break
            query = f"limit={limit}&next={page['next']}"
        assert got == whole
    assert len(shared.ids("limit=100000000")) == 21


def test_an_old_added_after_with_a_new_next_goes_on(shared: Served) -> None:
    """A poller that keeps its first `added_after` beside each `next` gets everything once."""
    first = shared.ask(f"{shared.collection()}objects/?limit=5")
    old = first.headers["x-taxii-date-added-first"]
    got: list[str] = []
    query = f"added_after={old}&limit=5"
    while True:
        page = shared.ask(f"{shared.collection()}objects/?{query}").json
        got += [item["id"] for item in page["objects"]]
        if not page["more"]:
            break
        query = f"added_after={old}&limit=5&next={page['next']}"
    assert got == shared.ids()[1:]


def test_headers_name_the_first_and_the_last_time(shared: Served) -> None:
    """They are the manifest's `date_added` of the first and last object; what was added after the last is nothing."""
    for what in ("objects", "manifest"):
        records = shared.ask(f"{shared.collection()}manifest/?limit=6").json["objects"]
        got = shared.ask(f"{shared.collection()}{what}/?limit=6")
        assert got.headers["x-taxii-date-added-first"] == records[0]["date_added"]
        assert got.headers["x-taxii-date-added-last"] == records[-1]["date_added"]
    last = shared.ask(f"{shared.collection()}objects/").headers["x-taxii-date-added-last"]
    after = shared.ask(f"{shared.collection()}objects/?added_after={last}")
    assert (after.status, after.json) == (200, {})
    assert "x-taxii-date-added-first" not in after.headers


def test_filters(shared: Served) -> None:
    """Each filter alone, several values, and all together."""
    whole = shared.ids()
    first = indicator(0, NORTH, "green")
    assert shared.ids(f"match[id]={first.id}") == [first.id]
    assert shared.ids(f"match[id]={first.id},{whole[3]}") == [first.id, whole[3]]
    assert shared.ids("match[type]=marking-definition,malware") == [one for one in whole if one.startswith("marking")]
    assert len(shared.ids("match[type]=indicator,marking-definition")) == len(whole)
    assert shared.ids(f"match[version]={first.version}&match[type]=indicator") == whole[:20]
    assert shared.ids("match[version]=2001-01-01T00:00:00Z") == []
    for word in ("first", "last", "all", "first,last"):
        assert shared.ids(f"match[version]={word}") == whole
    assert shared.ids("match[spec_version]=2.1") == whole
    assert shared.ids("match[spec_version]=2.0") == []
    assert shared.ids(f"match[id]={first.id}&match[type]=malware") == []


def test_filters_that_mean_nothing(shared: Served) -> None:
    """What can't be understood is a 400, never everything."""
    for query in (
        "match[name]=x",
        "match[version]=old",
        "added_after=yesterday",
        "limit=0",
        "limit=-1",
        "limit=1&limit=2",
    ):
        assert shared.ask(f"{shared.collection()}objects/?{query}").status == 400
    for token in ("x", "fcqEBpH9ZySgu7vAQra7c1U", "%00"):
        assert shared.ask(f"{shared.collection()}objects/?next={token}").status == 400


def test_an_envelope_without_objects(shared: Served) -> None:
    """Where nothing fits, the envelope is empty."""
    got = shared.ask(f"{shared.collection()}objects/?match[type]=tool")
    assert (got.status, got.json) == (200, {})


def test_the_manifest_is_that_of_the_objects(shared: Served) -> None:
    """Same ids, same order, same pages; each with its version, and when it was added."""
    records = shared.ask(f"{shared.collection()}manifest/").json["objects"]
    assert [record["id"] for record in records] == shared.ids()
    assert all(record["media_type"] == "application/stix+json;version=2.1" for record in records)
    assert [record["date_added"] for record in records] == sorted({record["date_added"] for record in records})
    page = shared.ask(f"{shared.collection()}manifest/?limit=5").json
    more = shared.ask(f"{shared.collection()}manifest/?limit=50&next={page['next']}").json
    assert [*page["objects"], *more["objects"]] == records


def test_one_object_and_its_versions(shared: Served) -> None:
    """An object comes in an envelope, with the bytes that it has here; its version is listed."""
    item = indicator(3, NORTH, "green")
    got = shared.ask(f"{shared.collection()}objects/{item.id}/")
    assert got.body == b'{"objects":[' + item.raw + b'],"more":false}'
    assert shared.ask(f"{shared.collection()}objects/{item.id}/versions/").json == {"versions": [item.version]}
    assert shared.ask(f"{shared.collection()}objects/{item.id}/?match[version]=2001-01-01T00:00:00Z").json == {}
    unknown = indicator(999, NORTH)
    for path in (f"objects/{unknown.id}/", f"objects/{unknown.id}/versions/"):
        assert shared.ask(f"{shared.collection()}{path}").status == 404


def test_a_push_and_its_status(served: Served) -> None:
    """Each object succeeds or fails alone; the status says which, and can be asked for again by its pusher only."""
    bad = {"type": "malware", "id": "malware--1", "name": "no id"}
    pushed = served.push(*(malware(number) for number in range(5)), bad)
    status = pushed.json
    assert (pushed.status, status["status"]) == (202, "complete")
    assert [status[f"{kind}_count"] for kind in ("total", "success", "failure", "pending")] == [6, 5, 1, 0]
    assert [one["id"] for one in status["successes"]] == [malware_id(number) for number in range(5)]
    assert status["failures"][0]["id"] == "malware--1"
    assert "id" in status["failures"][0]["message"]
    assert served.ask(f"{served.root}status/{status['id']}/").json == status
    assert served.ask(f"{served.root}status/{status['id']}/", who="east").status == 404
    assert served.ask(f"{served.root}status/{uuid.uuid4()}/").status == 404


def test_a_body_that_is_no_envelope(shared: Served) -> None:
    """It is refused as a whole, and changes nothing."""
    for body in (b"", b"{}", b"[]", b'{"objects":[]}', b'{"objects":{}}', b"nonsense", b'{"objects":[' + b"[" * 90_000):
        assert shared.ask(f"{shared.collection()}objects/", "POST", body=body).status == 422
    large = b'{"objects":[' + b" " * 3_000_000 + b"]}"
    assert shared.ask(f"{shared.collection()}objects/", "POST", body=large).status == 413
    assert len(shared.ids()) == 21


def test_nothing_is_deleted(shared: Served) -> None:
    """A DELETE is refused, whether or not the object is there."""
    for number in (1, 999):
        assert shared.ask(f"{shared.collection()}objects/{indicator(number, NORTH).id}/", "DELETE").status == 403
    assert len(shared.ids()) == 21


def test_what_is_not_ones_own_is_not_there(shared: Served) -> None:
    """Another ally's collection answers as one that doesn't exist, with every method, word for word."""
    none = f"{shared.root}collections/{uuid.uuid4()}/"
    for path in ("", "objects/", "manifest/", f"objects/{malware_id(1)}/", f"objects/{malware_id(1)}/versions/"):
        for method in ("GET", "POST", "DELETE", "PUT"):
            theirs = shared.ask(shared.collection("east") + path, method)
            absent = shared.ask(none + path, method)
            assert (theirs.status, theirs.body) == (absent.status, absent.body) == (404, theirs.body)


def test_what_comes_in_is_its_pushers(served: Served) -> None:
    """What an ally pushed is kept with it as giver, and comes back to it."""
    assert served.push(indicator(100, SOUTH, "amber")).json["success_count"] == 1
    with served.ws.read() as connection:
        stored = get_object(connection, indicator(100, SOUTH).id)
    assert stored is not None
    assert [(copy.giver, copy.agreement) for copy in stored.copies] == [(SOUTH, "mutual-aid-south")]
    assert indicator(100, SOUTH).id in served.ids()
    assert indicator(100, SOUTH).id not in served.ids(who="east")
