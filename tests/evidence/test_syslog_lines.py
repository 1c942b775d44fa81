"""Records of rsyslog's forward format follow one another without line ends."""

from __future__ import annotations

import io

from aleat.evidence.reader import ReadOptions, reader_named


def test_many_records_in_one_line_are_told_apart_each_at_its_place() -> None:
    """Offsets count bytes; a hundred thousand records take a moment."""
    record = "<13>2022-07-15T08:00:01Z wëb app: ç".encode()
    data = record * 100_000
    reader = reader_named("syslog")
    [(span, piece)] = reader.cut(io.BytesIO(data), data, ReadOptions())
    result = reader.read(piece, span, "x", ReadOptions())
    [(form, _, table)] = result.tables
    assert (form, table.num_rows, result.issues) == ("syslog", 100_000, [])
    assert table.column("offset").to_pylist() == list(range(0, len(data), len(record)))
