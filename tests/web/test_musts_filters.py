"""What TAXII 2.1 says about order, pages and filters (§3.2 to §3.5), against the running server."""

from __future__ import annotations

from urllib.parse import quote

from tests.exchange.malware import malware, malware_id
from tests.exchange.teams import indicator
from tests.web.conftest import NORTH, Answer, Served
from tests.web.resources import TIMESTAMP, paths

TYPES = """
    attack-pattern campaign course-of-action grouping identity incident indicator infrastructure intrusion-set
    location malware malware-analysis note observed-data opinion report threat-actor tool vulnerability relationship
    sighting artifact autonomous-system directory domain-name email-addr email-message file ipv4-addr ipv6-addr
    mac-addr mutex network-traffic process software url user-account windows-registry-key x509-certificate
    marking-definition language-content extension-definition
""".split()  # noqa: SIM905
"""STIX 2.1 §4 to §7."""


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
    assert after.headers["x-taxii-date-added-last"] == last


def test_filters(shared: Served) -> None:
    """Each filter alone, several values, and all together."""
    whole = shared.ids()
    first = indicator(0, NORTH, "green")
    assert shared.ids(f"match[id]={first.id}") == [first.id]
    assert shared.ids(f"match[id]={first.id},{whole[3]}") == [first.id, whole[3]]
    assert shared.ids("match[type]=marking-definition,malware") == [one for one in whole if one.startswith("marking")]
    assert len(shared.ids("match[type]=indicator,marking-definition")) == len(whole)
    indicators = [one for one in whole if one.startswith("indicator")]
    assert shared.ids(f"match[version]={first.version}&match[type]=indicator") == indicators
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


def test_no_success_is_without_its_times(shared: Served) -> None:
    """Not even an empty one: its times are those behind which it lies, so that a poller stays where it was (§3.2)."""
    last = shared.ask(f"{shared.collection()}objects/").headers["x-taxii-date-added-last"]
    page = shared.ask(f"{shared.collection()}objects/?limit=5")
    token, fifth = page.json["next"], page.headers["x-taxii-date-added-last"]
    for query, behind in (
        ("", ""),
        ("match[spec_version]=2.0", "1970-01-01T00:00:00.000000Z"),
        (f"added_after={last}", last),
        ("added_after=2090-01-01T00:00:00.1Z", "2090-01-01T00:00:00.100000Z"),
        (f"next={token}&match[type]=tool", fifth),
    ):
        for path in paths(shared):
            if "match[type]" in query and "indicator" in path:
                continue
            got = shared.ask(f"{path}?{query}")
            assert got.status == 200
            times = [got.headers[f"x-taxii-date-added-{end}"] for end in ("first", "last")]
            assert all(TIMESTAMP.fullmatch(time) for time in times)
            if behind:
                assert times == [behind, behind]


def test_objects_and_records_come_in_the_order_of_arrival(busy: Served) -> None:
    """What came last stands last, whatever its own times say (§3.3)."""
    busy.ids()
    for number, version in ((9, 5), (3, 1), (6, 3)):
        busy.push(malware(number, version))
        busy.ids()
    assert busy.ids()[-3:] == [malware_id(number) for number in (9, 3, 6)]
    records = busy.ask(f"{busy.collection()}manifest/").json["objects"]
    assert [record["id"] for record in records] == busy.ids()
    times = [record["date_added"] for record in records]
    assert times == sorted(set(times))


def test_collections_come_in_one_order(shared: Served) -> None:
    """§3.3."""
    assert len({shared.ask("root/collections/").body for _ in range(3)}) == 1


def test_without_a_time_the_oldest_come_first(shared: Served) -> None:
    """§3.4, with a filter and without."""
    records = shared.ask(f"{shared.collection()}manifest/").json["objects"]
    assert shared.ids("limit=3") == [record["id"] for record in records[:3]]
    assert (
        shared.ids("limit=2&match[type]=indicator")
        == [record["id"] for record in records if record["id"].startswith("indicator")][:2]
    )


def test_added_after_stands_once(shared: Served) -> None:
    """One timestamp, in UTC (§3.4)."""
    good = "2022-07-15T08:00:00.000Z"
    for query in (
        f"added_after={good}&added_after={good}",
        f"added_after={good},{good}",
        "added_after=",
        "added_after=2022-07-15",
        f"added_after={quote('2022-07-15T08:00:00+01:00')}",
    ):
        assert shared.ask(f"{shared.collection()}objects/?{query}").status == 400


def test_a_limit_is_a_number_above_zero(shared: Served) -> None:
    """§3.4."""
    for limit in ("0", "-1", "", "1.0", "1e3", "x", "%31%00", "9" * 40, "%D9%A1"):
        assert shared.ask(f"{shared.collection()}objects/?limit={limit}").status == 400
    assert shared.ask(f"{shared.collection()}objects/?limit=1&limit=2").status == 400


def test_no_answer_is_longer_than_its_limit(shared: Served) -> None:
    """Objects, manifest and versions (§3.4)."""
    for limit in range(1, 25):
        for path in paths(shared):
            content = shared.ask(f"{path}?limit={limit}").json
            assert len(content.get("objects", content.get("versions"))) <= limit


def test_what_fits_comes_whole(shared: Served) -> None:
    """A limit of exactly what there is, or more, leaves nothing for another page (§3.4)."""
    for limit in (21, 22, 1_000_000):
        content = shared.ask(f"{shared.collection()}objects/?limit={limit}").json
        assert (len(content["objects"]), content.get("more", False)) == (21, False)


def test_more_is_said_whoever_set_the_limit(served: Served) -> None:
    """Client or server (50 objects here); the manifest says so too (§3.4, §3.5)."""
    for what in ("objects", "manifest"):
        assert served.ask(f"{served.collection()}{what}/?limit=20").json["more"] is True
    served.push(*(malware(number) for number in range(40)))
    content = served.ask(f"{served.collection()}objects/").json
    assert (len(content["objects"]), content["more"]) == (50, True)
    assert len(served.ids(f"next={content['next']}")) == 11


def test_a_match_field_stands_once(shared: Served) -> None:
    """§3.4; fields together are all to fit, the values of one any."""
    for field, value in (("id", malware_id(1)), ("type", "indicator"), ("version", "last"), ("spec_version", "2.1")):
        assert shared.ask(f"{shared.collection()}objects/?match[{field}]={value}&match[{field}]={value}").status == 400


def test_filters_hold_on_every_endpoint_that_has_them(shared: Served) -> None:
    """Those that its section names, alike on objects and manifest; others are refused where they'd mean nothing."""
    whole = shared.ask(f"{shared.collection()}manifest/").json["objects"]
    for query in (
        f"match[id]={whole[3]['id']},{whole[7]['id']}",
        "match[type]=marking-definition",
        f"match[version]={whole[0]['version']}",
        f"added_after={whole[10]['date_added']}&limit=4",
        "match[spec_version]=2.0,2.1&match[type]=indicator&limit=3",
    ):
        records = shared.ask(f"{shared.collection()}manifest/?{query}").json["objects"]
        assert 0 < len(records) < 21
        assert [record["id"] for record in records] == shared.ids(query)
    at = f"{shared.collection()}objects/{whole[3]['id']}/"
    for end in ("", "versions/"):
        assert shared.ask(f"{at}{end}?match[spec_version]=2.1&added_after={whole[2]['date_added']}").json != {}
        for query in ("match[spec_version]=2.0", f"added_after={whole[3]['date_added']}"):
            assert shared.ask(f"{at}{end}?{query}").json == {}
        for field in ("id", "type"):
            assert shared.ask(f"{at}{end}?match[{field}]=x").status == 400


def test_only_the_specification_versions_asked_for(shared: Served) -> None:
    """§3.4.1: all here is of 2.1."""
    for words, count in (("2.1", 21), ("2.0", 0), ("2.0,2.1", 21), ("2.2", 0), ("x", 0)):
        assert len(shared.ids(f"match[spec_version]={words}")) == count


def test_each_object_comes_in_its_latest_specification_version(busy: Served) -> None:
    """What was pushed as STIX 2.0 leaves as 2.1, once (§3.4.1)."""
    old = {key: value for key, value in malware(5).properties().items() if key not in {"spec_version", "is_family"}}
    assert busy.push({**old, "labels": ["trojan"]}).json["success_count"] == 1
    found = busy.ask(f"{busy.collection()}objects/?match[id]={malware_id(5)}").json["objects"]
    assert [one["spec_version"] for one in found] == ["2.1"]
    assert busy.ids(f"match[id]={malware_id(5)}&match[spec_version]=2.0") == []


def test_every_type_of_stix_can_be_asked_for(shared: Served) -> None:
    """None is an error, nor is one of one's own (§3.4.1)."""
    for kind in (*TYPES, "x-example-thing", ",".join(TYPES)):
        assert shared.ask(f"{shared.collection()}objects/?match[type]={kind}").status == 200


def test_only_the_latest_version_comes(busy: Served) -> None:
    """The newest version that may leave is the one that is here: first and last and all there are (§3.4.1, §5.8)."""
    for version in (1, 3, 2):
        busy.push(malware(1, version))
    newest = malware(1, 3).version
    for query in ("", "match[version]=last", "match[version]=first", "match[version]=all", "match[version]=first,last"):
        found = busy.ask(f"{busy.collection()}objects/{malware_id(1)}/?{query}").json["objects"]
        assert [one["modified"] for one in found] == [newest]
    assert busy.ask(f"{busy.collection()}objects/{malware_id(1)}/versions/").json["versions"] == [newest]
    one = f"match[id]={malware_id(1)}&match[version]={malware(1, 1).version}"
    assert busy.ids(f"{one},{newest}") == [malware_id(1)]
    assert busy.ids(one) == []


def test_versions_that_contradict_each_other(shared: Served) -> None:
    """A version twice, or `all` with another (§3.4.1)."""
    one = "2022-09-20T12:00:00.000Z"
    for words in ("last,last", f"{one},{one}", "all,last", f"all,{one}", "all,all"):
        assert shared.ask(f"{shared.collection()}objects/?match[version]={words}").status == 400
    assert shared.ask(f"{shared.collection()}objects/?match[version]=first,{one},last").status == 200


def test_a_version_that_is_named_is_a_timestamp(shared: Served) -> None:
    """It fits exactly, or not at all; what is no timestamp is a 400 (§3.4.1)."""
    assert len(shared.ids("match[version]=2022-09-20T12:00:00Z&match[type]=indicator")) == 20
    assert shared.ids("match[version]=2022-09-20T12:00:00.000001Z&match[type]=indicator") == []
    for words in ("1", "FIRST", "2022-09-20", "2022-13-01T00:00:00Z", "first,", "last,x"):
        assert shared.ask(f"{shared.collection()}objects/?match[version]={words}").status == 400


def test_objects_come_in_an_envelope(shared: Served) -> None:
    """One or many, each with a type and an id of STIX (§3.7)."""
    for path in paths(shared)[1:3]:
        content = shared.ask(path).json
        assert set(content) <= {"more", "next", "objects"}
        assert all(one["id"].startswith(f"{one['type']}--") for one in content["objects"])


def test_where_nothing_fits_the_answer_is_empty(shared: Served) -> None:
    """An empty envelope, manifest, or list of versions: the key is left out (§5.3.1, §5.4, §5.8.1)."""
    for path in paths(shared):
        got = shared.ask(f"{path}?match[spec_version]=2.0")
        assert (got.status, got.json) == (200, {})


def test_next_is_not_believed(served: Served) -> None:
    """It is no way around filters or rights; it is of no use to another ally, changed, or made up (Appendix B)."""

    def page(query: str, who: str = "south") -> Answer:
        return served.ask(f"{served.collection(who)}objects/?{query}", who=who)

    token = page("limit=2").json["next"]
    assert {one["type"] for one in page(f"next={token}&match[type]=indicator").json["objects"]} == {"indicator"}
    held = served.ids(f"next={token}&limit=1")
    served.ws.hold(held, "legal-hold", "a court asked for it")
    assert not set(held) & set(served.ids(f"next={token}"))
    assert page(f"next={token}", who="east").status == 400
    flipped = ("A" if token[5] != "A" else "B").join((token[:5], token[6:]))
    for wrong in (flipped, token[:-2], token * 2, "1", "MQ", "%00", "x" * 5_000):
        assert page(f"next={wrong}").status == 400
