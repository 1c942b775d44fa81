"""Real logs of Unix machines and network devices: each file to its reader, each record accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

from aleat.errors import Issue
from aleat.evidence import ReadOptions, open_sources, read_batches
from aleat.evidence.opener import NOTE_CODES

pytestmark = pytest.mark.data


@dataclass
class Read:
    readers: set[str]
    channels: Counter[tuple[str, str]]
    issues: list[Issue]
    undated: int


def read(path: Path, year: int | None = None) -> Read:
    """Open and read a file as `aleat add` does."""
    found = Read(set(), Counter(), [], 0)
    for source in open_sources([path], options=ReadOptions(year=year)):
        assert not isinstance(source, Issue), source
        found.readers.add(source.reader)
        for batch in read_batches(source, found.issues):
            found.channels[batch.format, batch.channel] += batch.table.num_rows
            found.undated += batch.table.column("time").null_count
    return found


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("syslog_cron.log", 9),
        ("syslog_ssh.log", 9),
        ("syslog_rsyslog_ForwardFormat", 9),
        ("syslog_rsyslog_SysklogdFileFormat", 9),
        ("syslog_rsyslog_SyslogProtocol23Format", 9),
    ],
)
def test_syslog_of_every_layout(test_data: Path, name: str, records: int) -> None:
    """One message has a second line, which belongs to it."""
    found = read(test_data / "logs" / "plaso" / "syslog" / name, year=2021)
    assert found.readers == {"syslog"}
    assert found.channels == {("syslog", ""): records}
    assert found.undated == 0
    assert {issue.code for issue in found.issues} <= NOTE_CODES


@pytest.mark.parametrize(
    ("name", "records"), [("log.admin.vc0", 10), ("log.diagnosticlog.vc0", 10), ("log.policytrace.vc0", 0)]
)
def test_ivanti_files_give_every_record(test_data: Path, name: str, records: int) -> None:
    """As many as there are bytes 5 that begin one; the last file is a header alone."""
    path = test_data / "logs" / "plaso" / "ivanti_vc0" / name
    assert path.read_bytes()[8192:].count(b"\x05") == records
    found = read(path)
    assert found.readers == {"ivanti-vc0"}
    assert sum(found.channels.values()) == records
    assert (found.undated, found.issues) == (0, [])


def test_netlogon_of_an_attack(test_data: Path) -> None:
    """ZeroLogon: every line is a record, of a year that was stated."""
    [path] = sorted((test_data / "logs" / "evtx-attack-samples" / "Other").iterdir())
    found = read(path, year=2020)
    assert found.readers == {"netlogon"}
    assert found.channels == {
        ("netlogon", "netlogon"): sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
    }
    assert found.undated == 0


def test_sysmon_for_linux_in_azures_table(test_data: Path) -> None:
    """Log4Shell: every object is an event of Sysmon; 16 lost semicolons on their way, one was cut off as well."""
    [path] = sorted((test_data / "logs" / "security-datasets" / "compound" / "Log4Shell").glob("syslog_sysmon*.zip"))
    with ZipFile(path) as archive:
        [name] = archive.namelist()
        lines = archive.read(name).count(b"\n{") + 1
    found = read(path)
    assert found.readers == {"syslog-azure"}
    assert found.channels == {("windows", "Linux-Sysmon/Operational"): lines}
    assert [issue.code for issue in found.issues] == ["odd-line"]
