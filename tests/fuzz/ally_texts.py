"""Makers of the targets "yara", "prose" and "warning-lists": rules, advisories and lists of what is no indicator."""

from __future__ import annotations

import json
import random

__all__ = ["make_prose", "make_warning_list", "make_yara"]

_STRINGS = ('"a\\x41b" wide ascii nocase', "{ 6A 40 [2-4] ( 68 | 69 ) ?? }", "/ab+c[^x]{1,9}/i", '"\\""', "{ 6A", "/a")
_CONDITIONS = (
    "any of them", "all of ($a*)", "#a > 2 and filesize < 1MB", "other", "not other and $a at 0", "for any i in (1..3):"
    " ( @a[i] > 5 )", "pe.is_pe", "them", "uint16(0) == 0x5A4D", "",
)  # fmt: skip
_META = (
    'author = "x"',
    "score = 80",
    'date = "2022-07-15"',
    "odd = true",
    'reference = "https://example.org/\\"a"',
    "x =",
)
_SENTENCES = (
    "The actor used 198.51.100[.]7 and hxxps://evil[.]example/a?b=c for command and control.",
    "SHA-256: " + "ab" * 32, "| 203.0.113.9 | C2 |", "CVE-2019-0604 was exploited; see https://example.org/report.",
    "T1059.003 and T1486 were seen on mail.qeveria.example.",
    "<b>cl.exe</b> in C:\\Windows\\Temp\\", "user@evil.example",
    "# Indicators", "* `evil(dot)example`", "&lt;script&gt;", "TLP:AMBER+STRICT", "PAP:RED", "é\u202e\x07",
)  # fmt: skip
_VALUES = (
    "8.8.8.8",
    "10.0.0.0/8",
    ".example",
    "example.org",
    "/^a+$/",
    "d41d8cd98f00b204e9800998ecf8427e",
    "",
    5,
    None,
)


def make_yara(rng: random.Random) -> str:
    """Return a file of rules that need each other, some of them odd."""
    rules = [rng.choice(("", 'import "pe"\n', 'include "other.yar"\n'))]
    for number in range(rng.randrange(1, 6)):
        kind = rng.choice(("", "private ", "global ", "global private "))
        name = rng.choice(("other", "a", f"rule_{number}"))
        tags = rng.choice(("", " : one two"))
        meta = "".join(f"    {rng.choice(_META)}\n" for _ in range(rng.randrange(4)))
        strings = "".join(f"    $a{at} = {rng.choice(_STRINGS)}\n" for at in range(rng.randrange(3)))
        body = (f"  meta:\n{meta}" if meta else "") + (f"  strings:\n{strings}" if strings else "")
        comment = rng.choice(("", "/* rule x { */ ", "// }\n"))
        rules.append(f"{comment}{kind}rule {name}{tags} {{\n{body}  condition:\n    {rng.choice(_CONDITIONS)}\n}}\n")
    return "".join(rules)


def make_prose(rng: random.Random) -> str:
    """Return an advisory: sentences, tables and markup with values in them."""
    return rng.choice(("\n", " ", "\n\n")).join(rng.choice(_SENTENCES) for _ in range(rng.randrange(1, 30)))


def make_warning_list(rng: random.Random) -> str:
    """Return a list as MISP's warning lists are written."""
    content = {
        "name": rng.choice(("Known resolvers", "", 5)),
        "type": rng.choice(("string", "cidr", "hostname", "substring", "regex", "odd", None)),
        "version": rng.choice((20220715, "1", None)),
        "description": "x",
        "matching_attributes": rng.choice((["ip-src", "ip-dst"], "ip-dst", [5], None)),
        "list": [rng.choice(_VALUES) for _ in range(rng.randrange(20))],
    }
    return json.dumps({key: value for key, value in content.items() if rng.random() < 0.9})
