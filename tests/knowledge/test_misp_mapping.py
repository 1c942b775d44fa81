"""What MISP's types and templates are in STIX: every type has its place, every pattern is one."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from stix2patterns.validator import run_validator

from aleat.knowledge.misp.mapping import attribute_type, attribute_types, kept_reason
from tests.knowledge.misp_world import alone, attribute, told, uuid
from tests.stix.strict import strict_errors


def test_every_type_of_attribute_is_known() -> None:
    """Each of MISP's types is hunted for, or kept for a reason; PyMISP's list is the judge."""
    import pymisp  # noqa: PLC0415 - its import takes a second

    listed = json.loads((Path(pymisp.__file__).parent / "data/describeTypes.json").read_bytes())["result"]["types"]
    assert set(listed) == set(attribute_types())
    for name in listed:
        type_ = attribute_type(name)
        assert type_ is not None
        assert bool(type_.paths or type_.rule) != bool(kept_reason(name)), name


VALUES = {
    "text": "it's C:\\a", "hex": "0a", "ssdeep": "3:AbC/x:Def", "tlsh": "0a" * 35, "host": "a.example.org",
    "url": "https://example.org/a'b", "email": "a@example.org", "port": "443", "number": "5", "asn": "AS64500",
    "mac": "00-1A-2b-3c-4d-5e", "ip": "192.0.2.0/24", **{f"hex{n}": "0a" * (n // 2) for n in (32, 40, 56, 64, 96, 128)},
}  # fmt: skip


JUDGED: set[str] = set()
"""Types of objects that the validator has seen: it takes its time."""


@pytest.mark.parametrize("name", [name for name in attribute_types() if (t := attribute_type(name)) and t.paths])
def test_each_type_gives_a_sound_pattern_and_observable(name: str) -> None:
    """STIX's grammar takes the pattern, the strict validator every object; unfit values give none, and are named."""
    table = tomllib.loads(files("aleat.knowledge.misp").joinpath("attributes.toml").read_text("utf-8"))["types"][name]
    value = "|".join(VALUES[form] for form in table["values"])
    items, issues = alone(attribute(1, name, value))
    assert issues == []
    (indicator,) = (item.object for item in items if item.object.type == "indicator")
    assert run_validator(indicator.pattern or "", stix_version="2.1") == []
    items, _ = alone(attribute(1, name, value, to_ids=False))
    new = [item.object for item in items if item.object.type not in JUDGED]
    JUDGED.update(item.type for item in new)
    assert [error for item in new for error in strict_errors(item)] == []
    items, issues = alone(attribute(1, name, ""))
    assert [item.object.type for item in items if item.object.type == "indicator"] == []
    assert [issue.code for issue in issues] == ["misp-value"]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("ip-dst", "999.1.1.1"), ("ip-dst", "::1::"), ("ip-dst|port", "192.0.2.1|99999"), ("ip-dst|port", "192.0.2.1"),
        ("md5", "xyz"), ("sha256", "0a" * 16), ("domain", "a b"), ("filename|md5", "a|b|" + "0a" * 16), ("AS", "ASx"),
    ],
)  # fmt: skip
def test_a_value_that_is_none_of_its_type_is_kept_and_named(type_: str, value: str) -> None:
    """It is not hunted for."""
    items, (issue,) = alone(attribute(1, type_, value))
    assert issue.code == "misp-value"
    assert told(items, 1).object.type == "note"


N, K = "network-traffic", "windows-registry-key"
OBJECTS = [
    ("file", [("md5", "md5", "0a" * 16), ("sha256", "sha256", "0b" * 32), ("filename", "filename", "a.exe")],
     {f"[file:hashes.MD5 = '{'0a' * 16}' OR file:hashes.'SHA-256' = '{'0b' * 32}']", "[file:name = 'a.exe']"}),
    ("file", [("filename", "filename", "a.exe"), ("size-in-bytes", "size-in-bytes", "77")],
     {"[file:name = 'a.exe' AND file:size = 77]"}),
    ("file", [("fullpath", "text", "C:\\x\\a.exe")],
     {"[file:name = 'a.exe' AND file:parent_directory_ref.path = 'C:\\\\x']"}),
    ("file", [("size-in-bytes", "size-in-bytes", "77")], set()),
    ("domain-ip", [("domain", "domain", "a.example.org"), ("ip", "ip-dst", "192.0.2.1")],
     {"[domain-name:value = 'a.example.org' OR ipv4-addr:value = '192.0.2.1']"}),
    ("network-connection",
     [("ip-src", "ip-src", "192.0.2.1"), ("ip-dst", "ip-dst", "2001:db8::1"), ("dst-port", "port", "53")],
     {f"[{N}:src_ref.value = '192.0.2.1' AND {N}:dst_ref.value = '2001:db8::1' AND {N}:dst_port = 53]"}),
    ("ip-port", [("dst-port", "port", "53")], set()),
    ("email",
     [("from", "email-src", "a@example.org"), ("subject", "email-subject", "Hello"),
      ("attachment", "email-attachment", "a.iso")],
     {"[email-addr:value = 'a@example.org' OR file:name = 'a.iso' OR email-message:subject = 'Hello']"}),
    ("registry-key", [("key", "regkey", "HKLM\\Run"), ("name", "text", "x"), ("data", "text", "y.exe")],
     {f"[{K}:key = 'HKLM\\\\Run' AND {K}:values[*].name = 'x' AND {K}:values[*].data = 'y.exe']"}),
    ("process", [("command-line", "text", "a.exe -x"), ("image", "filename", "C:\\t\\a.exe")],
     {"[process:command_line = 'a.exe -x' AND process:image_ref.name = 'a.exe'"
      " AND process:image_ref.parent_directory_ref.path = 'C:\\\\t']"}),
    ("url", [("url", "url", "https://example.org/x"), ("domain", "domain", "example.org")],
     {"[url:value = 'https://example.org/x' OR domain-name:value = 'example.org']"}),
    ("x509", [("x509-fingerprint-sha256", "x509-fingerprint-sha256", "0b" * 32), ("serial-number", "text", "01")],
     {f"[x509-certificate:hashes.'SHA-256' = '{'0b' * 32}']"}),
    ("pe", [("imphash", "imphash", "0a" * 16), ("original-filename", "filename", "o.exe")],
     {f"[file:hashes.IMPHASH = '{'0a' * 16}']", "[file:name = 'o.exe']"}),
    ("unheard-of", [("a", "domain", "a.example.org"), ("b", "domain", "b.example.org")],
     {"[domain-name:value = 'a.example.org']", "[domain-name:value = 'b.example.org']"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rows", "patterns"), OBJECTS)
def test_an_objects_pattern_joins_what_belongs_together(
    name: str, rows: list[tuple[str, str, str]], patterns: set[str]
) -> None:
    """What names the thing alone is enough; what doesn't has to fit together; nothing that is flagged is left out."""
    attributes = [
        attribute(n + 1, type_, value, object_relation=relation) for n, (relation, type_, value) in enumerate(rows)
    ]
    items, _ = alone(Object=[{"name": name, "uuid": uuid(50), "Attribute": attributes}])
    found = {item.object.pattern for item in items if item.object.type == "indicator"}
    assert found == patterns
    assert all(run_validator(pattern or "", stix_version="2.1") == [] for pattern in found)
