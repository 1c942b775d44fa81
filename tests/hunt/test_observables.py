"""Observables found in cell values."""

from __future__ import annotations

import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.hunt.observables import KINDS, extract_observables, find_observables, normalise_url, refang


def found(text: str, kind: str) -> list[str]:
    return [value for _, value in find_observables(text, [kind])]


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("from 198.51.100.7:443 to 203.0.113.9", "ipv4-addr", ["198.51.100.7", "203.0.113.9"]),
        ("[198.51.100[.]7]", "ipv4-addr", ["198.51.100.7"]),
        ("version 1.2.3.4.5 or 10.0.19041.1", "ipv4-addr", []),
        ("::ffff:198.51.100.7", "ipv4-addr", ["198.51.100.7"]),
        ("fe80::1%eth0 and [2001:DB8::0:1]:443", "ipv6-addr", ["2001:db8::1", "fe80::1"]),
        ("12:30:45 is no address", "ipv6-addr", []),
        ("nslookup Mail.Evil.Example. 1", "domain-name", ["mail.evil.example"]),
        ("evil(dot)example and bad{.}example, worse [.] example", "domain-name", None),
        ("Ministria-Ë.example", "domain-name", ["xn--ministria--67a.example"]),
        (r"C:\Windows\Microsoft.NET\Framework", "domain-name", []),
        (r"\\srv.corp.example\share", "domain-name", ["srv.corp.example"]),
        ("hxxps://evil[.]example/a.php?x=1", "url", ["evil.example/a.php?x=1"]),
        ("next=http%3A%2F%2Fevil.example%2Fa", "url", ["evil.example/a"]),
        ("GET http://user@Evil.example:80/A#top HTTP/1.1", "url", ["evil.example/a"]),
        ("mail arben(at)evil(dot)example now", "email-addr", ["arben@evil.example"]),
        ("SHA1=DA39A3EE5E6B4B0D3255BFEF95601890AFD80709,MD5=D41D8CD98F00B204E9800998ECF8427E", "file:hashes", None),
        (f"sha256:{'ab' * 32};", "file:hashes", ["ab" * 32]),
        ("ab" * 33, "file:hashes", []),
        (r'"C:\Temp\My Tool.exe" -x', "file:name", None),
        ("patched CVE-2019-0604, they say", "vulnerability", ["cve-2019-0604"]),
    ],
)
def test_observables_are_found_inside_text_defanged_or_not(text: str, kind: str, values: list[str] | None) -> None:
    expected = {
        "evil(dot)example and bad{.}example, worse [.] example": ["bad.example", "evil.example", "worse.example"],
        "SHA1=DA39A3EE5E6B4B0D3255BFEF95601890AFD80709,MD5=D41D8CD98F00B204E9800998ECF8427E": [
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ],
        r'"C:\Temp\My Tool.exe" -x': ["my", "my tool.exe", "temp", "tool.exe"],
    }
    assert found(text, kind) == (expected[text] if values is None else values)


def test_paths_in_free_text_are_found_up_to_each_blank() -> None:
    paths = found(r"cmd /c C:\Temp\a b.exe -q", "file:path")
    assert {"c:/temp/a", "c:/temp/a b.exe", "c:/temp/a b.exe -q"} <= set(paths)


def test_rows_tell_where_each_observable_was_found() -> None:
    texts = pl.Series(["198.51.100.7", None, "x 198.51.100.7 y evil.example"])
    rows = extract_observables(texts, ["ipv4-addr", "domain-name"]).rows()
    assert set(rows) == {
        (0, "ipv4-addr", "198.51.100.7"),
        (2, "ipv4-addr", "198.51.100.7"),
        (2, "domain-name", "evil.example"),
    }


@settings(deadline=None)  # a shared machine
@given(st.text(max_size=200))
def test_any_text_gives_only_known_kinds_and_no_error(text: str) -> None:
    assert {kind for kind, _ in find_observables(text)} <= set(KINDS)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.text(" ,;=()\"'<>", min_size=1), st.text(" ,;=()\"'<>", min_size=1))
def test_an_address_is_found_between_any_delimiters(number: int, before: str, after: str) -> None:
    address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert address in found(f"{before}{address}{after}", "ipv4-addr")
    assert address in found(f"{before}{address.replace('.', '[.]')}{after}", "ipv4-addr")


def test_refanging_leaves_plain_text_alone() -> None:
    assert refang("array[1].name (at home)") == "array[1].name (at home)"
    assert refang("hxxp[:]//evil[.]example[/]a") == "http://evil.example/a"


def test_a_url_without_a_host_is_a_path_on_any_site() -> None:
    assert normalise_url("/owa/x.aspx") == "/owa/x.aspx"
    assert normalise_url("http://evil.example/") == "evil.example"
    assert normalise_url("no url") is None


@pytest.mark.parametrize("part", ["a.", "1.", "a/", "[.", "a@", "%41", "::", "c:\\ ", "http://a"])
def test_hostile_repetition_takes_linear_time(part: str) -> None:
    started = time.process_time()
    find_observables(part * 100_000)
    assert time.process_time() - started < 10
