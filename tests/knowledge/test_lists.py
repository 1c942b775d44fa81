"""Indicator lists: values, their types, their context, their labels."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import Issue
from aleat.hunt import ListEntry
from aleat.hunt.list_keys import entry_keys
from aleat.knowledge import Document, KnowledgeItem, Limits, list_lines, read_knowledge
from aleat.knowledge.list_entries import label_marking
from aleat.knowledge.readers import lists
from aleat.knowledge.values import classify_values
from aleat.stix.entries import ENTRY_SCHEMA, ENTRY_TYPES, entries_digest
from aleat.stix.extensions import read_extension
from aleat.trust.markings import marking_id, read_marking
from tests.stix.strict import strict_errors

MD5, SHA256 = "d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def document(text: str | bytes, name: str) -> Document:
    data = text.encode() if isinstance(text, str) else text
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(
    text: str | bytes, name: str = "list.csv", limits: Limits | None = None
) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(lists.read(document(text, name), limits or Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def rows(item: KnowledgeItem) -> list[tuple[str, str, str]]:
    assert item.entries is not None
    return [(row["type"], row["value"], row["context"]) for row in item.entries.to_pylist()]


@pytest.mark.parametrize(
    ("value", "type_", "usual"),
    [
        ("192.0.2.1", "ipv4-addr", "192.0.2.1"),
        ("192[.]0[.]2[.]1", "ipv4-addr", "192.0.2.1"),
        ("192.0.2.1:8443", "ipv4-addr", "192.0.2.1"),
        ("192.0.2.0/24", "ipv4-addr", "192.0.2.0/24"),
        ("192.0.2.1 - 192.0.2.9", "ipv4-addr", "192.0.2.1 - 192.0.2.9"),
        ("300.1.1.1", "", "300.1.1.1"),
        ("2001:DB8::1", "ipv6-addr", "2001:db8::1"),
        ("2001:db8::/32", "ipv6-addr", "2001:db8::/32"),
        ("12:34:56", "", "12:34:56"),
        ("Evil.Example", "domain-name", "evil.example"),
        ("evil[.]example", "domain-name", "evil.example"),
        ("evil(dot)example", "domain-name", "evil.example"),
        ("*.evil.example", "domain-name", "*.evil.example"),
        ("ministria-e-brendshme.example", "domain-name", "ministria-e-brendshme.example"),
        ("ëlbasan.example", "domain-name", "ëlbasan.example"),
        ("evil.com", "domain-name", "evil.com"),
        ("hxxps://evil[.]example/A?b=1", "url", "https://evil.example/A?b=1"),
        ("http[:]//evil.example", "url", "http://evil.example"),
        ("evil.example/login.php", "url", "evil.example/login.php"),
        ("evil.example:8080/x", "url", "evil.example:8080/x"),
        ("Phish[at]Evil.example", "email-addr", "phish@evil.example"),
        (MD5.upper(), "file:hashes", MD5),
        (SHA256, "file:hashes", SHA256),
        (MD5[:-1], "", MD5[:-1]),
        ("CVE-2019-0604", "vulnerability", "CVE-2019-0604"),
        ("HKLM\\Software\\X", "windows-registry-key", "HKLM\\Software\\X"),
        ("C:\\Windows\\Temp\\a.exe", "file:path", "C:\\Windows\\Temp\\a.exe"),
        ("%TEMP%\\a.exe", "file:path", "%TEMP%\\a.exe"),
        ("\\\\server\\share\\a.dll", "file:path", "\\\\server\\share\\a.dll"),
        ("/var/www/html/shell.php", "file:path", "/var/www/html/shell.php"),
        ("wiper.exe", "file:name", "wiper.exe"),
        ("Pagesat korrik.docx", "file:name", "Pagesat korrik.docx"),
        ("\\\\svc[a-z]+\\.exe$", "regex", "\\\\svc[a-z]+\\.exe$"),
        ("(?i)mimikatz", "regex", "(?i)mimikatz"),
        ("evil dot example", "domain-name", "evil.example"),
        ("evil\uff0eexample", "domain-name", "evil.example"),
        ("evil[,]example", "domain-name", "evil.example"),
        ("xn--e1afmkfd.example", "domain-name", "xn--e1afmkfd.example"),
        ("hxtps://evil.example", "url", "https://evil.example"),
        ("http[s]://evil.example", "url", "https://evil.example"),
        ("user AT evil DOT example", "email-addr", "user@evil.example"),
        ("[192.0.2.1]:443", "ipv4-addr", "192.0.2.1"),
        ("192\u30020\u30022\u30021", "ipv4-addr", "192.0.2.1"),
        ("[2001:db8::1]:443", "ipv6-addr", "2001:db8::1"),
        (f"sha256:{SHA256}", "file:hashes", SHA256),
        ("00-11-22-33-44-5A", "mac-addr", "00-11-22-33-44-5a"),
        ("AS64500", "autonomous-system", "AS64500"),
        ("t13d1516h2_8daaf6152771_e5627efa2ab1", "tls-fingerprint", "t13d1516h2_8daaf6152771_e5627efa2ab1"),
        ("0x" + "a" * 40, "cryptocurrency-address", "0x" + "a" * 40),
        ("96:EQOJvOl4ab3hhiNF:3mzpAsZpprb", "file:ssdeep", "96:EQOJvOl4ab3hhiNF:3mzpAsZpprb"),
        ("Global\\mutex", "text", "Global\\mutex"),
        ("Meet at noon", "", "Meet at noon"),
        ("N/A", "", "N/A"),
        ("", "", ""),
        ("some words", "", "some words"),
    ],
)
def test_a_value_is_known_by_its_form(value: str, type_: str, usual: str) -> None:
    """Refanged; hashes and domains in lower case; what has no form has no type."""
    found = classify_values(pl.Series([value], dtype=pl.String))
    assert found.row(0)[:2] == (type_, usual)


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_has_a_type_or_none(values: list[str]) -> None:
    """One row each, of types that are documented."""
    found = classify_values(pl.Series(values, dtype=pl.String))
    assert len(found) == len(values)
    assert set(found["type"]) <= {*ENTRY_TYPES, ""}


def test_a_table_with_types_keeps_its_context_and_counts_duplicates() -> None:
    """Quotes, commas in cells, defanged values, one value twice with two comments."""
    text = (
        "# our list\n"
        "Type,Indicator,Comment,First seen\n"
        'domain,evil[.]example,"C2, first wave",2022-07-15\n'
        "sha256," + SHA256.upper() + ",wiper,\n"
        "\n"
        "ip-dst,192.0.2.7:443,,2022-09-01\n"
        'hostname,EVIL.example,"second\nwave",\n'
        "mutex,Global\\x,,\n"
    )
    (item,), issues = read(text)
    assert issues == []
    assert rows(item) == [
        ("domain-name", "evil.example", "Comment: C2, first wave; First seen: 2022-07-15 | Comment: second\nwave"),
        ("file:hashes", SHA256, "Comment: wiper"),
        ("ipv4-addr", "192.0.2.7", "First seen: 2022-09-01; port: 443"),
        ("text", "Global\\x", ""),
    ]
    assert item.entries is not None
    assert item.entries.column("line").to_pylist() == [3, 4, 6, 9]
    assert item.entries.schema == ENTRY_SCHEMA
    assert read_extension(item.object, "list") == {
        "entries": 4,
        "entries_sha256": entries_digest(item.entries),
        "types": {"domain-name": 1, "file:hashes": 1, "ipv4-addr": 1, "text": 1},
        "columns": ["Comment", "First seen"],
        "duplicates": 1,
    }


def test_a_list_is_one_valid_indicator_that_follows_from_its_content() -> None:
    """The same list is the same object; another name or row makes another."""
    ((first,), _), ((again,), _) = read("evil.example\n", "a.txt"), read("# x\nevil[.]example;\n\n", "a.txt")
    assert first.object == again.object
    assert strict_errors(first.object) == []
    others = [read("evil.example\n", "b.txt"), read("evil.example\nevil2.example\n", "a.txt")]
    assert len({first.object.id, *(items[0].object.id for items, _ in others)}) == 3


def test_columns_of_types_give_one_entry_a_cell() -> None:
    """MD5, SHA-256 and name of one file are three entries of one line."""
    text = f"File Name;MD5;SHA-256;Note\nwiper;{MD5};{SHA256};x\nC:\\a.exe;-;;y\n"
    (item,), issues = read(text, "hashes.csv")
    assert rows(item) == [
        ("file:name", "wiper", "Note: x"),
        ("file:hashes", MD5, "Note: x"),
        ("file:hashes", SHA256, "Note: x"),
        ("file:path", "C:\\a.exe", "Note: y"),
    ]
    assert [(issue.code, issue.records, issue.place.line) for issue in issues] == [("list-value", 1, 3)]


def test_pairs_of_values_are_parted() -> None:
    """As MISP exports them: filename|md5."""
    (item,), _ = read(f"type,value\nfilename|md5,a.scr|{MD5}\nip-dst|port,192.0.2.1|80\n")
    assert rows(item)[:2] == [("file:name", "a.scr", ""), ("file:hashes", MD5, "")]


def test_lines_with_and_without_comments() -> None:
    """``value;comment``, comments of their own, blanks."""
    (item,), issues = read("# c\n// c\nevil.example\n\n192.0.2.1;C2 of wave one; really\r\n", "c2.txt")
    assert (rows(item), issues) == (
        [("domain-name", "evil.example", ""), ("ipv4-addr", "192.0.2.1", "C2 of wave one; really")],
        [],
    )


def test_a_header_of_one_word_says_the_type() -> None:
    """Also without a delimiter."""
    (item,), issues = read("domain\nrun.sh\nevil.example\n", "d.txt")
    assert rows(item) == [("domain-name", "run.sh", ""), ("domain-name", "evil.example", "")]
    assert issues == []


def test_each_label_makes_a_list_of_its_own() -> None:
    """So that no row loses its label or lends it; a label that isn't known stays unknown, and stays."""
    text = (
        "domain,TLP\na.example,amber\nb.example,TLP:GREEN\nc.example,\nd.example,Amber+Strict\ne.example,top\n"
        "f.example,amber\n"
    )
    items, issues = read(text)
    assert issues == []
    by_label = {item.markings: [value for _, value, _ in rows(item)] for item in items}
    unknown = label_marking("top", "TLP")
    assert by_label == {
        (): ["c.example"],
        (marking_id("tlp:amber"),): ["a.example", "f.example"],
        (marking_id("tlp:green"),): ["b.example"],
        (marking_id("tlp:amber+strict"),): ["d.example"],
        (unknown,): ["e.example"],
    }
    assert read_marking(unknown, None).kind == "unknown"
    assert read("domain,pap\na.example,red\n")[0][0].markings == (marking_id("pap:red"),)


def test_a_label_in_the_first_comments_is_the_whole_lists() -> None:
    """Beside each row's own; a comment further down says nothing about what stands above it."""
    items, _ = read("# ours\n// TLP:AMBER, PAP: RED\ndomain,tlp\na.example,green\nb.example,\n# TLP:RED\n")
    stated = {marking_id("tlp:amber"), marking_id("pap:red")}
    assert {frozenset(item.markings) for item in items} == {
        frozenset(stated),
        frozenset({*stated, marking_id("tlp:green")}),
    }


def test_regular_expressions_and_keywords_are_told_by_look_and_name() -> None:
    """Where most are expressions, all are; a file called keywords holds keywords."""
    (item,), _ = read("\\\\svc[0-9]+\\.exe;80\nbin\\nc\\.exe;80\ntools\\x;60\nrun.sh;9\n", "filename-iocs.txt")
    assert {kind for kind, _, _ in rows(item)} == {"regex"}
    (item,), issues = read("sekurlsa::logonpasswords\nabc\nWCE SERVICE\n%COMSPEC% /C \\\\X\\\\y\n", "keywords.txt")
    assert {kind for kind, _, _ in rows(item)} == {"text"}
    assert [(issue.code, issue.records) for issue in issues] == [("list-value", 1)]  # "abc" is in everything


@pytest.mark.parametrize(
    ("name", "text", "is_list"),
    [
        ("iocs.txt", "evil.example\n192.0.2.1\n", True),
        ("iocs.csv", "indicator,comment\nsomething,x\n", True),
        ("hashes", f"{MD5}\n" * 3, True),
        ("keywords.txt", "mimikatz\n", True),
        ("README.txt", "This folder holds lists.\nRead them with care, please.\n", False),
        ("news.txt", "The minister said on Friday that services were down.\n", False),
        ("table.csv", "date,amount\n2022-01-01,5\n", False),
        ("log.log", "evil.example\n", False),
        ("binary.txt", "evil.example\n\x00\x01", False),
        ("empty.txt", "\n# nothing\n", False),
        ("quotes.csv", '"', False),
    ],
)
def test_lists_are_told_from_other_text(name: str, text: str, is_list: bool) -> None:
    """At least half of the first values have a known form, or the header or the name says so."""
    assert lists.detect(document(text, name)) is is_list


def test_bad_lines_cost_only_themselves() -> None:
    """Too long, a quote that never closes, cells too many or too few, bytes in another code page."""
    (item,), issues = read(
        b'domain,comment\na.example,caf\xe9\nb.example\nc.example,x,y,z\n"d.example,open\n'
        + b"e.example,"
        + b"x" * 70_000
        + b"\nf.example,f\n"
    )
    assert [(value, context) for _, value, context in rows(item)] == [
        ("a.example", "comment: café"),
        ("b.example", ""),
        ("c.example", "comment: x; column 3: y; column 4: z"),
        ("d.example", "comment: open"),
        ("f.example", "comment: f"),
    ]
    assert sorted(issue.code for issue in issues) == ["encoding", "limit"]


def test_a_line_without_an_end_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end anywhere: in lines, in letters of several bytes, in quoted cells, in a line that is far too long."""
    text = 'domain,comment\nëa.example,"one\ntwo"\n' + "é" * 70_000 + '\n"b.example","x, ""y"""\nc.example,z'
    whole = read(text)
    assert rows(whole[0][0]) == [
        ("domain-name", "ëa.example", "one\ntwo"),
        ("domain-name", "b.example", 'x, "y"'),
        ("domain-name", "c.example", "z"),
    ]
    for size in (1, 7, 64, 4096):
        monkeypatch.setattr(list_lines, "BLOCK_BYTES", size)
        assert read(text) == whole
        assert read(text.encode("utf-16")) == whole


@settings(deadline=None)  # a shared machine
@given(st.lists(st.sampled_from(["a.example", '"b.example"', '"c', "# f", "198.51.100.7", "\\\\.x+", ""])))
def test_the_size_of_blocks_makes_no_difference(lines: list[str]) -> None:
    """Values that stand in several blocks, quotes over their edges, expressions that come late."""
    text = "\n".join(["domain,info", *(f"{line},{number % 3}" if line else "" for number, line in enumerate(lines))])
    found = []
    for size in (5, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(list_lines, "BLOCK_BYTES", size)
            items, issues = read(text, "list.csv")
            found.append(([rows(item) for item in items], issues))
    assert found[0] == found[1]


def test_a_column_that_may_hold_labels_does_where_one_is_known() -> None:
    """However late it comes; else it is context."""
    late = "domain,classification\n" + "a.example,top\n" * 3 + "b.example,TLP:RED\n"
    items, _ = read(late)
    assert {item.markings for item in items} == {(marking_id("tlp:red"),), (label_marking("top", "classification"),)}
    (item,), _ = read("domain,classification\na.example,C2\n")
    assert (item.markings, rows(item)) == ((), [("domain-name", "a.example", "classification: C2")])


def test_rows_of_many_cells_and_many_labels_are_bounded() -> None:
    """The rest of a row stands in its last cell; rows beyond a thousand labels are kept under one nobody knows."""
    (item,), _ = read("domain,comment\na.example" + ",x" * 20_000 + "\n")
    assert rows(item)[0][2].count("column ") == 254
    items, _ = read("domain,tlp\n" + "".join(f"h{number}.example,l{number}\n" for number in range(1100)))
    assert len(items) == 1001
    assert sum(item.entries.num_rows for item in items if item.entries is not None) == 1100


def test_quotes_that_never_close_do_not_cost_time() -> None:
    """Each line opens one; after a hundred, quotes are taken as letters."""
    text = "domain,comment\n" + "".join(f'{number}.example,"x\n' for number in range(20_001))
    (item,), _ = read(text)
    assert item.entries is not None
    assert item.entries.num_rows == 20_001


@given(st.text(alphabet=st.sampled_from('a.,;\t"\n#/:|0{}é'), max_size=200), st.sampled_from(["x.csv", "x.txt", "x"]))
def test_any_text_can_be_looked_at_and_read(text: str, name: str) -> None:
    """No text breaks the reader; whatever comes out is bound to its object."""
    lists.detect(document(text, name))
    items, _ = read(text, name)
    for item in items:
        assert item.entries is not None
        assert (read_extension(item.object, "list") or {})["entries_sha256"] == entries_digest(item.entries)


def test_fingerprints_and_addresses_of_cards_are_found_as_whole_cells() -> None:
    """A column says JA3, whose form is an MD5's; a MAC address is found in any of its forms."""
    (item,), _ = read(f"ja3,note\n{MD5},x\n")
    assert rows(item) == [("tls-fingerprint", MD5, "note: x")]
    assert entry_keys(ListEntry("mac-addr", "00-11-22-33-44-5a")) == [
        "x:00:11:22:33:44:5a",
        "x:00-11-22-33-44-5a",
        "x:0011.2233.445a",
        "x:00112233445a",
    ]


@pytest.mark.long
def test_a_million_lines_are_one_object() -> None:
    """Hashes, domains and addresses with comments: every line is an entry, in well under a minute."""
    lines = [
        f"{number:032x};wave {number % 7}"
        if number % 2
        else f"host{number}.example"
        if number % 4
        else f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        for number in range(1_000_000)
    ]
    before = time.process_time()
    (item,), issues = read("\n".join(lines), "big.txt")
    assert time.process_time() - before < 45
    assert issues == []
    assert item.entries is not None
    assert item.entries.num_rows == 1_000_000
    assert Counter(item.entries.column("type").to_pylist()) == {
        "file:hashes": 500_000,
        "domain-name": 250_000,
        "ipv4-addr": 250_000,
    }


@pytest.mark.data
def test_real_lists_go_in(test_data: Path) -> None:
    """Signature-base's four lists: every line is an entry, a duplicate, or a comment."""
    found: dict[str, Counter[str]] = {}
    issues = []
    for item in read_knowledge([test_data / "ioc-lists"]):
        if isinstance(item, Issue):
            issues.append((item.code, item.place.path.rpartition("/")[2]))
            continue
        assert item.entries is not None
        lines = (test_data / "ioc-lists" / (item.object.name or "")).read_text().splitlines()
        values = [line for line in lines if line.strip() and not line.strip().startswith("#")]
        assert sum(item.entries.column("count").to_pylist()) == len(values)
        found[item.object.name or ""] = Counter(item.entries.column("type").to_pylist())
        assert strict_errors(item.object) == []
    assert sorted(issues) == [("not-knowledge", "LICENSE"), ("not-knowledge", "README.txt")]
    assert found == {
        "c2-iocs.txt": {"domain-name": 1655, "ipv4-addr": 118},
        "filename-iocs.txt": {"regex": 3711},
        "hash-iocs.txt": {"file:hashes": 3053},
        "keywords.txt": {"text": 13, "domain-name": 1},
    }


def test_a_list_of_which_nothing_is_known_says_so() -> None:
    """Beside the lines: who named the file is told that nothing came of it."""
    _, issues = read("domain,note\na%d.example.org,x\nb c,y\n", "bad.csv")
    assert [(issue.code, issue.records) for issue in issues] == [("list-value", 2), ("empty", None)]
