"""OpenIOC: documents kept whole, criteria as patterns, XML that is out to do harm."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, Issue
from aleat.hunt import compile_plan, hunt_paths
from aleat.hunt.from_store import indicators_of_items
from aleat.hunt.stix_syntax import parse_pattern
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.openioc import parse_openioc
from aleat.knowledge.readers import openioc

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
OWN_ID = "6d2a1b03-b216-4cd8-9a9e-8827af6ebf93"


def item(term: str, content: str, condition: str = "is", **attributes: str) -> str:
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return (
        f'<IndicatorItem id="x" condition="{condition}"{more}><Context document="x" search="{term}" type="mir"/>'
        f'<Content type="string">{content}</Content></IndicatorItem>'
    )


def group(operator: str, *children: str) -> str:
    return f'<Indicator operator="{operator}" id="x">{"".join(children)}</Indicator>'


def old(criteria: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<ioc xmlns="http://schemas.mandiant.com/2010/ioc" id="{OWN_ID}" '
        'last-modified="2022-07-20T19:28:20"><short_description>Wiper of July</short_description>'
        "<description>What a team found.</description><keywords>wiper</keywords><authored_by>Example Team</authored_by>"
        "<authored_date>2022-07-15T08:00:00</authored_date><links>"
        '<link rel="threatcategory">Wiper</link><link rel="report">https://example.org/r</link></links>'
        f"<definition>{criteria}</definition></ioc>"
    )


def new(criteria: str) -> str:
    return (
        f'<OpenIOC xmlns="http://openioc.org/schemas/OpenIOC_1.1" id="{OWN_ID}" last-modified="2022-07-20T19:28:20Z">'
        "<metadata><short_description>Wiper of July</short_description><links>"
        '<link rel="report" href="https://example.org/r">the report</link></links></metadata>'
        f"<criteria>{criteria}</criteria><parameters/></OpenIOC>"
    )


def document(text: str | bytes, name: str = "a.ioc") -> Document:
    data = text.encode() if isinstance(text, str) else text
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(text: str | bytes, limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(openioc.read(document(text), limits or Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def patterns(criteria: str) -> list[str]:
    return [str(i.object.pattern) for i in read(new(criteria))[0] if i.object.pattern_type == "stix"]


def test_a_document_is_kept_whole_with_what_it_says_of_itself() -> None:
    """XML, id, times, author, links; its criteria beside it, linked."""
    text = old(group("OR", item("FileItem/Md5sum", MD5.upper()), item("FileItem/PEInfo/Type", "Dll")))
    (original, derived, relation), issues = read(text)
    found = original.object
    assert (found.pattern, found.pattern_type, found.name) == (text, "openioc", "Wiper of July")
    assert (found.created, found.modified) == ("2022-07-15T08:00:00.000Z", "2022-07-20T19:28:20.000Z")
    assert found.properties()["external_references"] == [
        {"source_name": "openioc", "external_id": OWN_ID},
        {"source_name": "author", "description": "Example Team"},
        {"source_name": "report", "url": "https://example.org/r"},
    ]
    assert found.labels == ("wiper", "threatcategory:Wiper")
    assert derived.object.pattern == f"[file:hashes.MD5 = '{MD5}']"
    assert (relation.object.source_ref, relation.object.target_ref) == (derived.object.id, found.id)
    assert [(issue.code, issue.records) for issue in issues] == [("openioc-terms", 1)]
    assert "FileItem/PEInfo/Type" in issues[0].reason
    assert read(text) == read(text)
    assert read(new(group("OR", item("Network/DNS", "a.example"))))[0][0].object.id == found.id


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (item("Network/DNS", "evil.example"), "[domain-name:value = 'evil.example']"),
        (item("Network/DNS", "evil", "contains"), "[domain-name:value LIKE '%evil%']"),
        (item("Network/DNS", ".evil", "ends-with"), "[domain-name:value LIKE '%.evil']"),
        (item("FileItem/FileName", "a_b", "starts-with"), "[file:name MATCHES '^a_b']"),
        (item("FileItem/FileName", "^x.*", "matches"), "[file:name MATCHES '^x.*']"),
        (item("FileItem/SizeInBytes", "1000 TO 2000"), "[(file:size >= 1000 AND file:size <= 2000)]"),
        (item("FileItem/SizeInBytes", "5", "greater-than"), "[file:size > 5]"),
        (item("PortItem/remoteIP", "192.0.2.7"), "[ipv4-addr:value = '192.0.2.7']"),
        (item("PortItem/remoteIP", "2001:db8::/32"), "[ipv6-addr:value ISSUBSET '2001:db8::/32']"),
        (item("Network/UserAgent", "Bad (1)", preserve_case="true"),
         "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Bad (1)']"),
        (item("Network/UserAgent", "Bad"),
         "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' MATCHES '(?i)^Bad$']"),
        (item("FileItem/FullPath", "C:\\Temp\\x.exe"),
         "[(file:parent_directory_ref.path = 'C:\\\\Temp' AND file:name = 'x.exe')]"),
        (item("RegistryItem/Path", "HKLM\\Software\\X\\Run"),
         "[(windows-registry-key:key = 'HKLM\\\\Software\\\\X\\\\Run' OR (windows-registry-key:key = "
         "'HKLM\\\\Software\\\\X' AND windows-registry-key:values[*].name = 'Run'))]"),
        (group("AND", item("PortItem/remoteIP", "192.0.2.7"), item("PortItem/remotePort", "443")),
         "[(network-traffic:dst_ref.value = '192.0.2.7' AND network-traffic:dst_port = 443)]"),
        (group("AND", item("FileItem/FileName", "x.exe"), item("FileItem/SizeInBytes", "5", negate="true")),
         "[(file:name = 'x.exe' AND file:size NOT = 5)]"),
        (group("AND", item("FileItem/FileName", "x.exe"), item("FileItem/FilePath", "Windows", "containsnot")),
         "[(file:name = 'x.exe' AND file:parent_directory_ref.path NOT LIKE '%Windows%')]"),
        (group("AND", item("FileItem/FileName", "x.exe"), item("Network/DNS", "evil.example")),
         "([file:name = 'x.exe'] AND [domain-name:value = 'evil.example'])"),
        (group("AND", item("FileItem/FileName", "x.exe"),
               group("OR", item("FileItem/Md5sum", MD5), item("FileItem/SizeInBytes", "5"))),
         f"[(file:name = 'x.exe' AND (file:hashes.MD5 = '{MD5}' OR file:size = 5))]"),
    ],
)  # fmt: skip
def test_criteria_become_patterns(criteria: str, expected: str) -> None:
    """Terms, conditions, case, negation; one thing's terms in one comparison, several things' in several."""
    assert patterns(group("OR", criteria)) == [expected]
    parse_pattern(expected)


@pytest.mark.parametrize(
    "criteria",
    [
        item("FileItem/Md5sum", "no hash"),
        item("FileItem/Md5sum", MD5[:8], "contains"),
        item("FileItem/SizeInBytes", "large"),
        item("PortItem/remoteIP", "evil"),
        item("Odd/Term", "x"),
        item("FileItem/FileName", "x", "sounds-like"),
        item("FileItem/FileName", ""),
        item("FileItem/FileName", "x", negate="true"),
        item("FileItem/FileName", "x", "isnot"),
        group("AND", item("FileItem/FileName", "x"), item("Odd/Term", "x")),
        group("AND", item("FileItem/FileName", "x"), item("Network/DNS", "y", negate="true")),
    ],
)
def test_what_logs_can_not_be_asked_is_named(criteria: str) -> None:
    """Alone nothing is left; an AND that needs it goes with it; beside others, the others stay."""
    items, issues = read(new(group("OR", criteria)))
    assert [i.object.pattern_type for i in items] == ["openioc"]
    assert [issue.code for issue in issues] == ["openioc-terms"]
    assert patterns(group("OR", criteria, item("Network/DNS", "a.example"))) == ["[domain-name:value = 'a.example']"]


def test_long_criteria_are_parted() -> None:
    """Into patterns that the hunt takes, none of them lost."""
    terms = [item("Network/DNS", f"host{number}.evil.example", "contains") for number in range(3_000)]
    found = patterns(group("OR", *terms))
    assert len(found) > 1
    assert sum(pattern.count(".evil.example") for pattern in found) == 3_000
    assert all(len(pattern) <= 100_000 for pattern in found)


def test_criteria_are_found_in_logs(tmp_path: Path) -> None:
    """The whole way: a name of an OpenIOC document in a DNS log."""
    event = {"timestamp": "2022-07-15T08:00:00.000000+0000", "flow_id": 2, "event_type": "dns", "src_ip": "10.0.0.5"}
    (tmp_path / "eve.json").write_bytes(orjson.dumps({**event, "dns": {"type": "query", "rrname": "a.evil.example"}}))
    items, _ = read(old(group("OR", item("Network/DNS", "evil.example", "contains"))))
    plan = compile_plan(list(indicators_of_items(items, "ally")))
    assert [one.title for one in hunt_paths([tmp_path], plan).sightings] == ["Wiper of July"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE ioc [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ioc>&b;</ioc>', "document type"),
        ('<!DOCTYPE ioc SYSTEM "http://192.0.2.1/x.dtd"><ioc/>', "document type"),
        ('<!DOCTYPE ioc [<!ENTITY x SYSTEM "file:///etc/passwd">]><ioc>&x;</ioc>', "document type"),
        ("<ioc>&unknown;</ioc>", "can't be read"),
        ("<ioc>" + "<a>" * 100_000, "openioc_depth"),
        ("<ioc><definition>" + "<IndicatorItem/>" * 30_000 + "</definition></ioc>", "openioc_items"),
        ("<ioc><definition>", "can't be read"),
        ("<other><ioc/></other>", "no OpenIOC"),
        ('<?xml version="1.0" encoding="klingon"?><ioc/>', "can't be read"),
        (b'<?xml version="1.0" encoding="utf-8"?><ioc>\xff\xfe</ioc>', "can't be read"),
        ("<ioc>\x00</ioc>", "can't be read"),
    ],
)
def test_harmful_xml_is_refused(text: str | bytes, reason: str) -> None:
    """Bombs, outside entities, depth without end, encodings that don't fit: nothing is expanded or fetched."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(InputError, match=reason):
        parse_openioc(data, "a.ioc", Limits())


def test_html_and_control_characters_are_texts() -> None:
    """What stands in names and contents is kept as text."""
    text = old(group("OR", item("Network/DNS", "&lt;script&gt;'\\&#10;x"))).replace(
        "Wiper of July", "&lt;b&gt;July&lt;/b&gt;"
    )
    (original, derived, _), _ = read(text)
    assert original.object.name == "<b>July</b>"
    parse_pattern(str(derived.object.pattern))


def test_documents_are_told_by_their_root() -> None:
    """Both versions, UTF-16, a prefix; no other XML, no list called .ioc."""
    assert openioc.detect(document(old("")))
    assert openioc.detect(document(new(""), "b.xml"))
    assert openioc.detect(document(new("").encode("utf-16"), "b.xml"))
    assert not openioc.detect(document("<rss><channel/></rss>", "b.xml"))
    assert not openioc.detect(document("evil.example\n", "b.ioc"))


@given(st.lists(st.sampled_from(["<ioc>", "</ioc>", "<Indicator operator='AND'>", "</Indicator>", "<Content>", "x",
                                 "&amp;", "<IndicatorItem condition='is'>", "</IndicatorItem>", "</Content>", "<link/>",
                                 "<Context search='Network/DNS'/>"]), max_size=20))  # fmt: skip
def test_any_text_is_a_document_or_an_error(parts: list[str]) -> None:
    """Whatever order elements stand in."""
    text = "<ioc>" + "".join(parts) + "</ioc>"
    try:
        items, _ = read(text)
    except InputError:
        return
    for one in items:
        if one.object.pattern_type == "stix":
            parse_pattern(str(one.object.pattern))
