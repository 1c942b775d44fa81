"""Audit records: decoded as the daemon's own tools do it, joined to events, cut between them."""

from __future__ import annotations

import io

import pytest

from aleat.evidence.audit_records import AuditJoiner, parse_record
from aleat.evidence.head import Head
from aleat.evidence.reader import ReadOptions, reader_named


def fields(text: str, kind: str = "SYSCALL") -> dict[str, object]:
    parsed = parse_record(f"type={kind} msg=audit(1657872001.123:7): {text}")
    assert parsed is not None
    return parsed[2]


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ('comm="a b" exe=2F6F70742F6120622E7368', "SYSCALL", {"comm": "a b", "exe": "/opt/a b.sh"}),
        ("name=(null) key=(null)", "PATH", {"name": "(null)", "key": "(null)"}),
        ("key=61016263", "SYSCALL", {"key": ["a", "bc"]}),
        ("proctitle=6C73002D6C00", "PROCTITLE", {"proctitle": "ls -l"}),
        ("exit=10 pid=1234", "SYSCALL", {"exit": "10", "pid": "1234"}),  # hexadecimal by chance
        ("a0=10", "SYSCALL", {"a0": "10"}),  # a register
        ("saddr=0A00005020010DB8000000000000000000000000000001", "SOCKADDR", {}),
        (
            "saddr=0A00005000000000" + "20010DB8000000000000000000000001" + "00000000",
            "SOCKADDR",
            {"saddr_fam": "inet6", "laddr": "2001:db8::1", "lport": 80},
        ),
        ("saddr=01002F72756E2F7300", "SOCKADDR", {"saddr_fam": "unix", "path": "/run/s"}),
        ("saddr=XY\x1dSADDR={ saddr_fam=inet laddr=192.0.2.1 lport=80 }", "SOCKADDR", {"laddr": "192.0.2.1"}),
        ("msg='op=login acct=\"root\" res=failed'", "USER_LOGIN", {"op": "login", "acct": "root", "res": "failed"}),
        ('argc=2 a0="echo" a1_len=6 a1[0]=6162 a1[1]=63', "EXECVE", {"a1": "abc", "command_line": "echo abc"}),
    ],
)
def test_values_are_decoded(text: str, kind: str, wanted: dict[str, object]) -> None:
    assert wanted.items() <= fields(text, kind).items()


@pytest.mark.parametrize(
    ("machine", "number", "name"), [("c000003e", 59, "execve"), ("40000003", 11, "execve"), ("c00000b7", 221, "execve")]
)
def test_system_calls_are_named_by_the_machine(machine: str, number: int, name: str) -> None:
    joiner = AuditJoiner()
    joiner.add(0, f"type=SYSCALL msg=audit(1.1:1): arch={machine} syscall={number}")
    [(_, _, event)] = joiner.events()
    assert event["SYSCALL"] == name


def test_what_the_daemon_translated_is_believed() -> None:
    joiner = AuditJoiner()
    joiner.add(0, "type=SYSCALL msg=audit(1.1:1): arch=c000003e syscall=59\x1dSYSCALL=own")
    [(_, _, event)] = joiner.events()
    assert event["SYSCALL"] == "own"


def log(events: int) -> bytes:
    """Events of four records each, two and two interleaved."""
    lines = []
    for first in range(0, events, 2):
        for record in range(4):
            for serial in (first, first + 1):
                lines.append(f"type=T{record} msg=audit({1657872000 + serial}.000:{serial}): f{record}={serial}")
    return ("\n".join(lines) + "\n").encode()


def test_ranges_end_where_no_event_is_open() -> None:
    """Every event whole, whatever the ranges' length; and there is more than one range."""
    reader, data = reader_named("auditd"), log(400)
    assert reader.detect(Head(data, "audit.log"))
    for length in (1000, 5000, 20_000):
        serials: list[int] = []
        ranges = list(reader.cut(io.BytesIO(data), data, ReadOptions(range_bytes=length)))
        assert len(ranges) > 2
        assert b"".join(piece for _, piece in ranges) == data
        for span, piece in ranges:
            [(_, _, table)] = reader.read(piece, span, "x", ReadOptions()).tables
            serials += table.column("record_id").to_pylist()
            assert table.column("f0|s").null_count == table.column("f3|s").null_count == 0
            assert span.first_line == data[: span.start].count(b"\n") + 1
        assert serials == list(range(400))


def test_an_event_without_end_is_cut() -> None:
    """Records of one event for ever are no reason to keep a file in memory."""
    line = b'type=PATH msg=audit(1.1:1): item=0 name="/a"\n'
    data = line * 9000
    reader = reader_named("auditd")
    ranges = list(reader.cut(io.BytesIO(data), data, ReadOptions(range_bytes=150_000)))
    assert b"".join(piece for _, piece in ranges) == data
    assert len(ranges) > 1
