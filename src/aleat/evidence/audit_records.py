"""Records of Linux's audit daemon: their values decoded, and those of one event joined.

A record is ``type=SYSCALL msg=audit(1657872001.123:456): key=value …``; records of one (node, time, serial) are one
event, as `ausearch` shows them. Values are what `ausearch -i` shows of them where the kernel wrote them in hexadecimal
(names with blanks, command lines, socket addresses); numbers stay numbers. What stands behind the byte 0x1D is the
daemon's own translation (``log_format = ENRICHED``), in capitals. A field that several records have with different
values is a list of them, in their order.

Derived, because rules ask for them: ``command_line`` (EXECVE's arguments joined by blanks), ``SYSCALL`` where the
daemon didn't translate it (`data`: of x86-64, i386 and AArch64), ``path.CREATE``, ``path.DELETE``, ``path.NORMAL``,
``path.PARENT`` (the names of PATH records by `nametype`, absolute where CWD says so), ``saddr_fam``, ``laddr``,
``lport`` and ``path`` of a socket address, ``outbound`` of a connect(2), ``seresult`` and ``seperms`` of an AVC.

The kernel's and the daemon's documentation: https://github.com/linux-audit/audit-documentation/wiki
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from aleat.evidence.columns import free_name

__all__ = ["AUDIT_RECORD", "AuditJoiner", "audit_key", "parse_record"]

AUDIT_RECORD = (
    r"^(?:\[ *\d{1,12}\.\d{1,9}\] )?(?:audit: )?(?:node=\S{1,256} )?type=\S{1,64} "
    r"(?:msg=)?audit\(\d{1,12}\.\d{1,9}:\d{1,20}\):"
)
"""Expression (Rust's and Python's) of a line, or a syslog message, that is an audit record."""

MAX_VALUES = 4096
"""`audit values`: a record with more has the rest of its text in the field ``rest``."""
MAX_RECORDS = 1000
"""`audit records`: more of one event begin another event."""

_HEAD = re.compile(
    r"(?:\[ *\d{1,12}\.\d{1,9}\] )?(?:audit: )?(?:node=(?P<node>\S{1,256}) )?type=(?P<type>\S{1,64}) "
    r"(?:msg=)?audit\((?P<time>\d{1,12}\.\d{1,9}):(?P<serial>\d{1,20})\):[ ]?"
)
_PAIR = re.compile(r"""([A-Za-z_][\w.\-]*+(?:\[\d{1,6}\])?)=(?:"([^"]*+)"|'([^']*+)'|(\{[^{}]*+\})|([^\s"'{]\S*+|))""")
_AVC = re.compile(r"avc: +(granted|denied) +\{ ([^{}]*+)\} for\b")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})++")
_ENCODED = frozenset(
    {
        "acct",
        "cmd",
        "comm",
        "cwd",
        "data",
        "device",
        "dir",
        "exe",
        "file",
        "filter",
        "grp",
        "grp-list",
        "hostname",
        "invalid_context",
        "key",
        "name",
        "new_name",
        "ocomm",
        "old",
        "op",
        "path",
        "proctitle",
        "root_dir",
        "sw",
        "unit",
        "user",
        "vm",
        "watch",
    }
)
_ARGUMENT = re.compile(r"a(\d{1,6})(?:\[(\d{1,6})\])?")
_NESTED = frozenset({"msg"})
_KINDS = {
    "1300": "SYSCALL",
    "1302": "PATH",
    "1305": "CONFIG_CHANGE",
    "1306": "SOCKADDR",
    "1307": "CWD",
    "1309": "EXECVE",
    "1325": "NETFILTER_CFG",
    "1326": "SECCOMP",
    "1327": "PROCTITLE",
    "1334": "BPF",
    "1400": "AVC",
}
"""Types that the kernel writes as numbers where no daemon listens (linux/audit.h)."""
_FAMILIES = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink"}


def audit_key(line: str) -> tuple[str, str, str] | None:
    """Return (node, time, serial) of a record's line, or None where it is none."""
    match = _HEAD.match(line)
    return (match["node"] or "", match["time"], match["serial"]) if match else None


def parse_record(line: str) -> tuple[tuple[str, str, str], str, dict[str, Any]] | None:
    """Return a record's key, its type and its fields, or None where the line is no record."""
    match = _HEAD.match(line)
    if match is None:
        return None
    kind = _KINDS.get(match["type"], match["type"])
    body, _, enriched = line[match.end() :].partition("\x1d")
    fields: dict[str, Any] = {}
    if kind in ("AVC", "USER_AVC") and (found := _AVC.search(body)):
        fields["seresult"] = found[1]
        fields["seperms"] = found[2].split()
    _read_pairs(body, kind, fields, depth=0)
    _read_pairs(enriched, "", fields, depth=1)
    if kind == "EXECVE":
        _join_arguments(fields)
    return (match["node"] or "", match["time"], match["serial"]), kind, fields


def _read_pairs(text: str, kind: str, fields: dict[str, Any], depth: int) -> None:
    for count, match in enumerate(_PAIR.finditer(text)):
        if count >= MAX_VALUES:
            fields["rest"] = text[match.start() :]
            return
        key, double, single, braces, bare = match.groups()
        if single is not None and key in _NESTED and depth == 0 and "=" in single:
            _read_pairs(single, kind, fields, depth=1)
            continue
        if braces is not None:  # SADDR={ saddr_fam=inet laddr=… lport=… }
            _read_pairs(braces[1:-1], "", fields, depth=1)
            continue
        value: Any = double if double is not None else single if single is not None else _decoded(key, bare, kind)
        if key == "saddr" and bare:
            fields.update(_socket_address(bare))
        _put(fields, key, value)


def _decoded(key: str, text: str, kind: str) -> Any:
    """Return what a value without quotes says: hexadecimal where the kernel encodes such values so."""
    is_argument = kind == "EXECVE" and _ARGUMENT.fullmatch(key) is not None
    if (key in _ENCODED or is_argument) and len(text) % 2 == 0 and _HEX.fullmatch(text):
        plain = bytes.fromhex(text)
        if key == "key" and b"\x01" in plain:
            return [part.decode("utf-8", "replace") for part in plain.split(b"\x01")]
        if key == "proctitle":
            plain = plain.rstrip(b"\0").replace(b"\0", b" ")
        return plain.decode("utf-8", "replace")
    return text


def _put(fields: dict[str, Any], key: str, value: Any) -> None:
    if fields.get(key) != value and fields.get(f"{key}~") != value:
        fields[free_name(key, fields)] = value


def _join_arguments(fields: dict[str, Any]) -> None:
    """Put the pieces of long arguments together, and all arguments to `command_line`."""
    pieces: dict[int, list[tuple[int, str]]] = {}
    for name in [name for name in fields if name[0] == "a"]:
        match = _ARGUMENT.fullmatch(name)
        if match is not None and isinstance(fields[name], str):
            pieces.setdefault(int(match[1]), []).append((int(match[2] or 0), fields[name]))
            if match[2]:
                del fields[name]
    for number, parts in pieces.items():
        fields[f"a{number}"] = "".join(text for _, text in sorted(parts))
    if pieces:
        fields["command_line"] = " ".join(fields[f"a{number}"] for number in sorted(pieces))


def _socket_address(text: str) -> dict[str, Any]:
    """Return the parts of a socket address in hexadecimal, by the names that `ausearch` gives them."""
    if len(text) > 512 or len(text) % 2 or not _HEX.fullmatch(text) or len(text) < 4:
        return {}
    data = bytes.fromhex(text)
    family = _FAMILIES.get(int.from_bytes(data[:2], "little"))
    if family is None:
        return {}
    found: dict[str, Any] = {"saddr_fam": family}
    if family == "inet" and len(data) >= 8:
        found |= {"laddr": str(IPv4Address(data[4:8])), "lport": int.from_bytes(data[2:4], "big")}
    elif family == "inet6" and len(data) >= 24:
        found |= {"laddr": str(IPv6Address(data[8:24])), "lport": int.from_bytes(data[2:4], "big")}
    elif family == "unix":
        found["path"] = data[2:].split(b"\0", 1)[0].decode("utf-8", "replace")
    return found


class AuditJoiner:
    """Joins records to events, in the order of the events' first records."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, str, str, int], list[tuple[int, str, dict[str, Any]]]] = {}
        self._full: dict[tuple[str, str, str], int] = {}

    def add(self, place: int, line: str, host: str = "") -> bool:
        """Add the record in a line at `place`, which came from `host` if it names no node; say no where it is none."""
        parsed = parse_record(line)
        if parsed is None:
            return False
        (node, time, serial), kind, fields = parsed
        key = (node or host, time, serial)
        turn = self._full.get(key, 0)
        records = self._events.setdefault((*key, turn), [])
        records.append((place, kind, fields))
        if len(records) >= MAX_RECORDS:
            self._full[key] = turn + 1
        return True

    def events(self) -> Iterator[tuple[int, list[int], dict[str, Any]]]:
        """Yield (place of the first record, places of all, fields) of each event."""
        for (node, time, serial, _), records in self._events.items():
            event: dict[str, Any] = {"fact_time": time, "fact_serial": serial}
            if node:
                event["node"] = node
            _join(event, records)
            yield records[0][0], [place for place, _, _ in records], event


def _join(event: dict[str, Any], records: list[tuple[int, str, dict[str, Any]]]) -> None:
    kinds = list(dict.fromkeys(kind for _, kind, _ in records))
    event["type"] = kinds[0] if len(kinds) == 1 else kinds
    event["fact_type"] = kinds[0]
    has_arguments = "EXECVE" in kinds
    joined: dict[str, list[Any]] = {}
    for _, kind, fields in records:
        for name, value in fields.items():
            if kind == "SYSCALL" and has_arguments and name in ("a0", "a1", "a2", "a3"):
                name = f"SYSCALL.{name}"  # noqa: PLW2901 - registers, where EXECVE has the texts
            values = joined.setdefault(name, [])
            values.extend(item for item in (value if isinstance(value, list) else [value]) if item not in values)
    for name, values in joined.items():
        event[name] = values[0] if len(values) == 1 and name != "seperms" else values
    _name_syscall(event)
    _name_paths(event, records)
    if event.get("SYSCALL") == "connect" and event.get("saddr_fam") in ("inet", "inet6"):
        event["outbound"] = True


def _name_syscall(event: dict[str, Any]) -> None:
    number, machine = event.get("syscall"), event.get("arch")
    if "SYSCALL" not in event and isinstance(number, str) and isinstance(machine, str):
        name = _syscalls().get(machine.lower(), {}).get(number)
        if name is not None:
            event["SYSCALL"] = name


def _name_paths(event: dict[str, Any], records: list[tuple[int, str, dict[str, Any]]]) -> None:
    folder = event.get("cwd")
    named: dict[str, list[str]] = {}
    for _, kind, fields in records:
        name, use = fields.get("name"), fields.get("nametype")
        if kind == "PATH" and isinstance(name, str) and isinstance(use, str) and name != "(null)" and use.isalpha():
            if not name.startswith("/") and isinstance(folder, str):
                name = f"{folder.rstrip('/')}/{name.removeprefix('./')}"
            names = named.setdefault(f"path.{use}", [])
            if name not in names:
                names.append(name)
    for key, names in named.items():
        event[key] = names[0] if len(names) == 1 else names


@lru_cache(maxsize=1)
def _syscalls() -> Mapping[str, Mapping[str, str]]:
    """Return names of system calls by `arch` as records write it, and number."""
    text = resources.files("aleat.evidence").joinpath("syscalls.toml").read_text("utf-8")
    found: dict[str, dict[str, str]] = {}
    for table in tomllib.loads(text)["machine"]:
        names = {str(number): name for name, number in table["calls"].items()}
        for machine in table["arch"]:
            found[machine] = names
    return found
