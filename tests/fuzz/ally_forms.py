"""The targets "network-rules", "openioc", "json-lists", "spreadsheets", "yara", "prose", "warning-lists".

Forms in which allies write. An input is a file's bytes; what is made of it is read again the same, in valid objects,
whose patterns are patterns.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from aleat.errors import InputError, Issue
from aleat.hunt import compile_plan
from aleat.hunt.from_store import indicators_of_items
from aleat.hunt.stix_syntax import parse_pattern
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.readers import list_json, misp_warninglists, network_rules, openioc, prose, spreadsheets, yara
from aleat.stix.entries import entries_digest
from aleat.stix.extensions import read_extension
from tests.fuzz.ally_texts import make_prose, make_warning_list, make_yara
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["ALLY_FORMS", "AllyFormTarget"]

_VALUES = (
    "evil.example", "hxxp://evil[.]example/a", "192.0.2.7", "198.51.100.0/24", "2001:db8::1", "0a" * 16, "ab" * 32,
    "x", "", "C:\\Temp\\x.exe", "HKLM\\Software\\X\\Run", "CVE-2022-1234", "a@evil.example", "wiper.exe", "TLP:RED",
    "AS64500", "é",
)  # fmt: skip
_LIMITS = replace(Limits(), sheet_cells=10_000, sheets=5, list_bytes=2_000_000)


class AllyFormTarget:
    """See the module."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.limit = 3.0
        self._form = ALLY_FORMS[name]

    def make(self, rng: random.Random) -> bytes:
        """Return a file, half of the time damaged."""
        _, _, make, tokens = self._form
        made = make(rng)
        if isinstance(made, bytes):
            return mutate_bytes(made, rng) if rng.random() < 0.5 else made
        if rng.random() < 0.5:
            made = mutate_text(made, rng, tokens)
        return made.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "cp1252")), "replace")

    def check(self, data: bytes) -> None:
        """Read it twice; what comes out is the same, bound to its rows, and can be compiled."""
        reader, name, _, _ = self._form
        document = Document(name, name, len(data), data[:8192], lambda: data)
        reader.detect(document)
        first = _read(reader, document)
        if self.name != "spreadsheets":  # each a process
            assert [_told(item) for item in first] == [_told(item) for item in _read(reader, document)], "not the same"
        items = [item for item in first if isinstance(item, KnowledgeItem)]
        for item in items:
            if item.entries is not None:
                listed = read_extension(item.object, "list") or {}
                assert listed["entries_sha256"] == entries_digest(item.entries), "rows of another list"
            elif item.object.pattern_type == "stix":
                parse_pattern(str(item.object.pattern))
        given = list(indicators_of_items(items, "fuzz"))
        compile_plan(given)


def _read(reader: Any, document: Document) -> list[KnowledgeItem | Issue]:
    try:
        return list(reader.read(document, _LIMITS))
    except InputError as error:
        return [error.issue("knowledge", document.path)]


def _told(item: KnowledgeItem | Issue) -> object:
    return item if isinstance(item, Issue) else (item.object.id, item.object.digest, item.markings, item.place)


# ------------------------------------------------------------------------------------------------- makers

_OPTIONS = (
    "dns.query;", "http.uri;", "http.host;", "tls.sni;", "ja3.hash;", "dotprefix;", "http_uri;", "http_header;",
    "nocase;", "startswith;", "endswith;", "bsize:12;", "depth:5;", "isdataat:!1,relative;", "distance:0;", "urilen:5;",
    'pcre:"/a+/R";',
    "flow:established,to_server;", "flowbits:set,x;", "classtype:trojan-activity;", "reference:url,example.org/a;",
    "metadata:created_at 2022_07_15, mitre_technique_id T1059;", "filemd5:list.txt;", "gid:3;", "rev:2;", "priority:1;",
    "dataset:isset,x,type string,load x.lst;", "threshold:type limit, track by_src, count 1, seconds 60;",
)  # fmt: skip
_ENDS = ("any", "$HOME_NET", "192.0.2.7", "[192.0.2.7,198.51.100.0/24]", "![192.0.2.7]", "2001:db8::/32", "0.0.0.0/0")


def _rules(rng: random.Random) -> str:
    lines = []
    for number in range(rng.randrange(1, 8)):
        options = [f'msg:"rule {number}";']
        for _ in range(rng.randrange(8)):
            value = rng.choice((*_VALUES, "|04|evil|07|example|00|", "|0d 0a", ".evil.example"))
            escaped = value.replace("\\", "\\\\").replace(";", "\\;")
            options.append(rng.choice((*_OPTIONS, f'content:"{escaped}";', f'content:!"{escaped}",nocase;')))
        header = (
            f"tcp {rng.choice(_ENDS)} any {rng.choice(('->', '<>'))} {rng.choice(_ENDS)} {rng.choice(('any', '443'))}"
        )
        header = rng.choice((header, header, "http"))
        rule = f"alert {header} ({' '.join(options)} sid:{rng.choice((2900001, 1000001))};)"
        rule = rule.replace("; ", "; \\\n", 1) if rng.random() < 0.2 else rule
        lines.append(rng.choice(("", "", "", "#", "# ")) + rule)
    return "\n".join(lines)


_TERMS = (
    "FileItem/Md5sum", "FileItem/FullPath", "FileItem/SizeInBytes", "Network/DNS", "PortItem/remoteIP",
    "RegistryItem/Path",
    "Network/URI", "ProcessItem/arguments", "Odd/Term",
)  # fmt: skip
_CONDITIONS = ("is", "isnot", "contains", "starts-with", "ends-with", "matches", "greater-than", "odd")


def _openioc(rng: random.Random) -> str:
    def group(depth: int) -> str:
        inner = "".join(
            group(depth + 1) if depth < 4 and rng.random() < 0.3 else term() for _ in range(rng.randrange(4))
        )
        return f'<Indicator operator="{rng.choice(("AND", "OR"))}">{inner}</Indicator>'

    def term() -> str:
        content = rng.choice((*_VALUES, "1 TO 5", "&lt;&amp;", "%_'"))
        negate = rng.choice(("", ' negate="true"', ' preserve-case="true"'))
        return (
            f'<IndicatorItem condition="{rng.choice(_CONDITIONS)}"{negate}><Context search="{rng.choice(_TERMS)}"/>'
            f"<Content>{content}</Content></IndicatorItem>"
        )

    head = '<ioc xmlns="http://schemas.mandiant.com/2010/ioc" id="x" last-modified="2022-07-20T19:28:20">'
    return f"{head}<short_description>x</short_description><definition>{group(0)}</definition></ioc>"


def _json(rng: random.Random) -> str:
    names = ("indicator", "ioc", "type", "url", "host", "tlp", "tags", "first_seen", "iocs", "md5", "x.y")

    def record() -> Any:
        if rng.random() < 0.3:
            return rng.choice(_VALUES)
        kinds: tuple[Callable[[], Any], ...] = (
            lambda: rng.choice(_VALUES), lambda: rng.choice((None, True, 5, 1.5)),
            lambda: [rng.choice(_VALUES) for _ in range(3)], lambda: {"value": rng.choice(_VALUES)},
        )  # fmt: skip
        return {rng.choice(names): rng.choice(kinds)() for _ in range(rng.randrange(1, 6))}

    records = [record() for _ in range(rng.randrange(1, 12))]
    kind = rng.randrange(4)
    if kind == 0:
        return "\n".join(map(json.dumps, records))
    if kind == 1:
        return json.dumps({"query_status": "ok", "TLP": rng.choice(("amber", "odd", 5)), "data": records})
    return json.dumps({str(number): [row] for number, row in enumerate(records)} if kind == 2 else records)


def _sheet(rng: random.Random) -> bytes:
    rows = "".join(
        f'<row r="{number}">' + "".join(_cells(rng, number)) + "</row>" for number in range(1, rng.randrange(2, 12))
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheet = f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
    if rng.random() < 0.5:
        sheet = mutate_text(sheet, rng, ('r="XFD1048576"', 't="s"', "<v>9999999</v>", "<c>", "</row>"))
    members = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text.encode("utf-8", "replace"))
    return stream.getvalue()


def _cells(rng: random.Random, row: int) -> Iterator[str]:
    for column in "ABCD"[: rng.randrange(1, 5)]:
        value = rng.choice((*_VALUES, "indicator", "comment")).replace("&", "&amp;").replace("<", "&lt;")
        yield f'<c r="{column}{row}" t="inlineStr"><is><t>{value}</t></is></c>'


ALLY_FORMS: dict[str, tuple[Any, str, Callable[[random.Random], str | bytes], tuple[str, ...]]] = {
    "network-rules": (
        network_rules,
        "own.rules",
        _rules,
        ('"', ";", "(", ")", "\\", "|", "[", "!", "sid:5;", "\n", "#"),
    ),
    "openioc": (openioc, "own.ioc", _openioc, ("<Indicator>", "</Indicator>", "<!DOCTYPE x>", "&x;", "<![CDATA[", "'")),
    "json-lists": (list_json, "feed.json", _json, ("{", "}", "[", "]", ",", '"', ":", "\n", "null", "1e999")),
    "spreadsheets": (spreadsheets, "ally.xlsx", _sheet, ()),
    "yara": (yara, "own.yar", make_yara, ("{", "}", "rule x {", '"', "/*", "*/", "//", "\\", "condition:", "$a", "(")),
    "prose": (prose, "advisory.md", make_prose, ("[.]", "hxxp", "|", "\n", "https://", "\u200b", "%", "@", "(dot)")),
    "warning-lists": (
        misp_warninglists,
        "list.json",
        make_warning_list,
        ("{", "}", "[", "]", '"', ",", "null", "1e999"),
    ),
}
"""Reader, file name, maker, tokens."""
