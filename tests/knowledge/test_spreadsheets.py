"""Lists in spreadsheets: every sheet, headers below titles, dates, labels; packages that claim or hold too much."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime

import pytest
from openpyxl import Workbook

from aleat.errors import InputError, Issue, LimitError
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.readers import spreadsheets
from aleat.knowledge.sheet_process import read_book
from aleat.trust.markings import marking_id

MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def document(data: bytes, name: str = "ally.xlsx") -> Document:
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(data: bytes, name: str = "ally.xlsx", limits: Limits | None = None) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(spreadsheets.read(document(data, name), limits or Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def rows(item: KnowledgeItem) -> list[tuple[str, str, str]]:
    assert item.entries is not None
    return [(row["type"], row["value"], row["context"]) for row in item.entries.to_pylist()]


def saved(book: Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def with_member(data: bytes, name: str, content: bytes) -> bytes:
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def workbook() -> Workbook:
    """A title in merged cells, a label, a header, dates, a formula; a second sheet of hashes, a third of words."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "C2"
    sheet["A1"] = "Indicators of the July wave"
    sheet.merge_cells("A1:D1")
    sheet["A2"] = "TLP:AMBER+STRICT"
    sheet.append([])
    sheet.append(["Type", "Indicator", "First seen", "Note"])
    sheet.append(["domain", "evil[.]example", datetime(2022, 7, 15), "<b>C2</b>"])
    sheet.append(["ip-dst", "192.0.2.7:443", datetime(2022, 7, 15, 8, 30), '=HYPERLINK("http://x.example")'])
    hashes = book.create_sheet("Hashes")
    hashes.append(["MD5", "File name", "Size"])
    hashes.append([MD5, "wiper.exe", 4096.0])
    book.create_sheet("Notes").append(["Nothing to see here"])
    return book


def test_each_sheet_is_a_list() -> None:
    """Header below titles, label of the title, dates and numbers as they are meant; what holds no values is named."""
    items, issues = read(with_member(saved(workbook()), "xl/vbaProject.bin", b"x"))
    assert {item.object.name: rows(item) for item in items} == {
        "ally.xlsx: C2": [
            ("domain-name", "evil.example", "First seen: 2022-07-15; Note: <b>C2</b>"),
            ("ipv4-addr", "192.0.2.7", "First seen: 2022-07-15T08:30:00; port: 443"),
        ],
        "ally.xlsx: Hashes": [("file:hashes", MD5, "Size: 4096"), ("file:name", "wiper.exe", "Size: 4096")],
    }
    assert [item.markings for item in items] == [(marking_id("tlp:amber+strict"),), ()]
    assert "July wave" in str(items[0].object.description)
    assert items[0].entries is not None
    assert items[0].entries.column("line").to_pylist() == [5, 6]
    assert [issue.code for issue in issues] == ["macros", "list-value", "empty"]


@pytest.mark.long
def test_a_sheet_without_a_header_is_lines_of_values() -> None:
    """The only sheet gives its file's name to the list."""
    book = Workbook()
    assert book.active is not None
    book.active.append(["evil.example"])
    book.active.append(["192.0.2.1"])
    (item,), issues = read(saved(book))
    assert (item.object.name, [value for _, value, _ in rows(item)], issues) == (
        "ally.xlsx",
        ["evil.example", "192.0.2.1"],
        [],
    )


@pytest.mark.long
def test_a_process_says_which_limit_it_met() -> None:
    """Cells or sheets beyond the limits: the file is refused by the limit's name."""
    with pytest.raises(LimitError, match="sheet_cells"):
        read(saved(workbook()), limits=Limits(sheet_cells=5))


@pytest.mark.long
def test_open_document_sheets() -> None:
    """The same reader: a sheet of LibreOffice's form, by hand."""
    content = (
        '<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>'
        '<table:table table:name="one"><table:table-row><table:table-cell office:value-type="string">'
        "<text:p>domain</text:p></table:table-cell></table:table-row><table:table-row>"
        '<table:table-cell office:value-type="string"><text:p>evil.example</text:p></table:table-cell>'
        "</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<x/>")
        archive.writestr("content.xml", content)
    (item,), _ = read(stream.getvalue(), "ally.ods")
    assert rows(item) == [("domain-name", "evil.example", "")]


def test_a_table_of_billions_of_cells_costs_a_file() -> None:
    """Two cells in opposite corners claim 17 billion: the process that reads them may not have the memory."""
    book = Workbook()
    assert book.active is not None
    book.active["A1"] = "domain"
    book.active["XFD1048576"] = "evil.example"
    with pytest.raises(LimitError, match="claims more cells"):
        read(saved(book))


def test_a_package_that_unpacks_without_end_is_refused() -> None:
    """Counted, whatever it says of itself, before anything else reads it."""
    data = with_member(saved(workbook()), "xl/media/x.bin", b"\0" * 5_000_000)
    with pytest.raises(LimitError, match="list_bytes"):
        read(data, limits=Limits(list_bytes=1_000_000))
    lying = data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(LimitError, match="list_bytes"):
        read(lying, limits=Limits(list_bytes=1_000_000))


def test_more_cells_or_sheets_than_allowed_are_refused() -> None:
    """By the limit's name."""
    data = saved(workbook())
    assert [read_book(data, sheets, cells).cut for sheets, cells in ((10, 1_000), (10, 5), (1, 1_000))] == [
        False,
        True,
        True,
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 500, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600]
)
def test_damaged_files_are_named(data: bytes) -> None:
    """No package, no compound file."""
    assert spreadsheets.detect(document(data))
    with pytest.raises(InputError):
        read(data)


def test_pieces_of_a_workbook_are_read_or_named() -> None:
    """Cut and changed anywhere: an error, or sheets."""
    data = saved(workbook())
    for at in range(0, len(data), 401):
        for broken in (data[:at], data[:at] + b"\xff" + data[at + 1 :]):
            found = read_book(broken, 10, 1_000)
            assert found.fault or found.sheets or not found.cut


def test_spreadsheets_are_told_by_name_and_beginning() -> None:
    """A text called so is none, a package called otherwise neither."""
    data = saved(workbook())
    assert spreadsheets.detect(document(data))
    assert not spreadsheets.detect(document(data, "pack.zip"))
    assert not spreadsheets.detect(document(b"evil.example\n", "a.xls"))
