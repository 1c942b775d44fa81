"""Ids of cyber observables: those that the specification's algorithm gives, for every type that it defines."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stix2

from aleat.errors import ObjectError
from aleat.stix.observables import OBSERVABLE_TYPES, contributing_properties, make_observable
from tests.stix.strict import strict_errors

REF = "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd"
EMAIL = "email-addr--89f52ea8-d6ef-51e9-8fce-6a29236436ed"
FOLDER = "directory--93c0a9b0-520d-545d-9094-1a08ddf46b05"

EXAMPLES: dict[str, dict[str, Any]] = {
    "artifact": {"mime_type": "image/jpeg", "payload_bin": "VBORw0KGgoAAAANSUhEUgAAADI=="},
    "autonomous-system": {"number": 64_500, "name": "Example"},
    "directory": {"path": "C:\\Windows\\Temp"},
    "domain-name": {"value": "evil.example"},
    "email-addr": {"value": "agim@example.org", "display_name": "Agim"},
    "email-message": {"is_multipart": False, "from_ref": EMAIL, "subject": "përshëndetje", "body": "tung"},
    "file": {
        "name": "a.exe",
        "size": 3,
        "hashes": {"SHA-256": "0" * 64, "SHA-1": "1" * 40},
        "parent_directory_ref": FOLDER,
    },
    "ipv4-addr": {"value": "198.51.100.3"},
    "ipv6-addr": {"value": "2001:db8::1"},
    "mac-addr": {"value": "d2:fb:49:24:37:18"},
    "mutex": {"name": "__CLEANSWEEP__"},
    "network-traffic": {
        "src_ref": REF,
        "src_port": 50000,
        "dst_port": 443,
        "protocols": ["ipv4", "tcp"],
        "src_byte_count": 9,
    },
    "software": {"name": "Word", "vendor": "Example", "version": "2002"},
    "url": {"value": "https://example.org/a?b=c"},
    "user-account": {"user_id": "1001", "account_login": "agim", "account_type": "unix", "display_name": "Agim"},
    "windows-registry-key": {
        "key": "HKEY_LOCAL_MACHINE\\System\\Foo",
        "values": [{"name": "Foo", "data": "qwerty", "data_type": "REG_SZ"}],
    },
    "x509-certificate": {"issuer": "C=AL", "serial_number": "36:f7:d4:32"},
}


@pytest.mark.parametrize("type_", sorted(EXAMPLES))
def test_ids_are_those_of_another_implementation(type_: str) -> None:
    """And the object passes strict validation."""
    made = make_observable(type_, **EXAMPLES[type_])
    other = stix2.parse({"type": type_, "spec_version": "2.1", **EXAMPLES[type_]}, version="2.1")
    assert made.id == other["id"]
    assert strict_errors(made) == [] or type_ == "artifact"


def test_every_type_is_there_and_a_process_has_a_random_id() -> None:
    """Nothing of a process contributes: two of them are two."""
    assert set(EXAMPLES) | {"process"} == OBSERVABLE_TYPES
    first, second = (make_observable("process", command_line="whoami") for _ in range(2))
    assert first.id != second.id
    assert first.id[len("process--") + 14] == "4"


@pytest.mark.parametrize(
    ("hashes", "chosen"),
    [
        ({"SHA-512": "c", "SHA-256": "b", "MD5": "a"}, {"MD5": "a"}),
        ({"SHA-512": "c", "SHA-256": "b"}, {"SHA-256": "b"}),
        ({"TLSH": "e", "SSDEEP": "d"}, {"SSDEEP": "d"}),
    ],
)
def test_of_several_hashes_one_counts(hashes: dict[str, str], chosen: dict[str, str]) -> None:
    """The one that the specification prefers; of others the first by name."""
    assert contributing_properties("file", {"hashes": hashes, "size": 1}) == {"hashes": chosen}


def test_times_and_empty_properties_count_as_they_are_written() -> None:
    """A time as its timestamp; what is empty is not there."""
    made = make_observable("network-traffic", start=datetime(2022, 7, 15, tzinfo=UTC), protocols=["tcp"], dst_ref=None)
    again = make_observable("network-traffic", start="2022-07-15T00:00:00.000Z", protocols=["tcp"], extensions={})
    assert made == again


def test_a_type_that_is_no_observable_is_refused() -> None:
    """It has no such id."""
    with pytest.raises(ObjectError, match="no cyber observable"):
        make_observable("tool", name="x")


@pytest.mark.data
def test_the_specifications_own_ids(test_data: Path) -> None:
    """Examples of observables whose id is a UUIDv5 that follows from what they show."""
    text = (test_data / "specs" / "stix-v2.1.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    examples += map(html.unescape, re.findall(r'<code class="language-JSON">(.*?)</code>', text, re.DOTALL))
    same: set[str] = set()
    for example in examples:
        try:
            value = json.loads(example)
        except ValueError:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and item.get("type") in OBSERVABLE_TYPES - {"process"} and item.get("id"):
                more = {key: one for key, one in item.items() if key not in ("type", "spec_version", "id")}
                if make_observable(item["type"], **more).id == item["id"]:
                    same.add(item["type"])
    assert same >= {"ipv4-addr", "domain-name", "email-addr", "url"}
