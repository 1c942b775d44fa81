"""What kind of thing each value of a list is, and its usual form: addresses, domains, URLs, hashes, paths …

Works on whole columns (polars, Rust regex, linear in the text). Defanged values (``hxxp``, ``[.]``, ``(dot)``,
``[at]``) are written as they are used; hashes, domains and e-mail domains are lower-cased, everything else
stays as given. The types are `aleat.stix.entries.ENTRY_TYPES`. What looks like none of them has type "".
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import numpy as np
import polars as pl

from aleat.stix.entries import ENTRY_TYPES

__all__ = ["TYPES", "classify_values", "ipv6_number", "refang_values"]

TYPES = ("", *ENTRY_TYPES)
"""The types, that of what has none first."""

_LOWERED = np.array([name in {"file:hashes", "domain-name", "email-addr", "ipv6-addr", "mac-addr"} for name in TYPES])

_SIGN = r"[\[({\]*\x{FF0E}\x{3002}\x{FF61}]|[xX]{2}[pP]|(?i:fxp|^h(?:xt|tx)p| dot )"

_DEFANGED = (
    r"(?i)h[x*]{2}ps?\b|\bfxps?:|^h(?:xt|tx)ps?:|[\[({]\s?(?:\.|,|dot|@|at|:|/|://)\s?[\])}]|\[\.|\.\]|^http\[s\]:"
    r"|^[^\s\\/]*[\x{FF0E}\x{3002}\x{FF61}][^\s\\/]*$|^\S+(?:\sat\s\S+)?(?:\sdot\s[^\s.]+)+$"
)
_REFANG = (
    (r"(?i)^h(?:[x*]{2}|xt|tx)p(s?)\b", "http$1"),
    (r"(?i)^http\[s\]:", "https:"),
    (r"[\x{FF0E}\x{3002}\x{FF61}]", "."),
    (r"[\[({],[\])}]", "."),
    (r"(?i)\sdot\s", "."),
    (r"(?i)\sat\s", "@"),
    (r"(?i)^fxp(s?):", "ftp$1:"),
    (r"(?i)\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?", "."),
    (r"(?i)\s?[\[({]\s?(?:@|at)\s?[\])}]\s?", "@"),
    (r"[\[({]://[\])}]", "://"),
    (r"[\[({]:[\])}]", ":"),
    (r"[\[({]/[\])}]", "/"),
    (r"\[\.|\.\]", "."),
)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
# Letters beyond ASCII are taken by range, and lengths are not counted: so the automaton stays small, and fast.
_LETTER = r"A-Za-z\x{C0}-\x{1FFF}\x{2C00}-\x{FDFF}"
_HOST = rf"(?:\*\.)?(?:[{_LETTER}0-9_][{_LETTER}0-9_-]*\.)+(?:[{_LETTER}][{_LETTER}]+|xn--[a-zA-Z0-9-]+)\.?"

# A last label that is a file's extension far more often than a domain's.
_FILES = (
    "exe|dll|sys|scr|bat|cmd|ps1|psm1|vbs|vbe|js|jse|wsf|hta|lnk|msi|msp|cpl|ocx|drv|tmp|log|dat|bin|ini|cfg|conf|txt|"
    "doc|docx|docm|dot|dotm|xls|xlsx|xlsm|xlam|ppt|pptx|pptm|pdf|rtf|odt|chm|iso|img|vhd|vhdx|rar|7z|gz|tar|jar|war|"
    "class|php|asp|aspx|ashx|asmx|jsp|jspx|cgi|html|htm|xml|json|yml|csv|bak|old|elf|so|apk|deb|rpm|dmg|pkg|job|pif|"
    "reg|evt|evtx|etl|jpg|jpeg|png|gif|bmp|ico|mp3|mp4|wav|ttf|swf|cab|crt|cer|pem|key|pfx|kdbx|vmdk|sqlite|db"
)

_RULES: tuple[tuple[str, str, str], ...] = (
    ("file:hashes", "", r"^[0-9a-fA-F]+$"),
    ("ipv4-addr", "", rf"^{_IPV4}(?:/(?:3[0-2]|[12]?[0-9]))?$"),
    ("ipv4-addr", "-", rf"^{_IPV4}\s?-\s?{_IPV4}$"),
    ("text", "\\", r"^(?:Global|Local)\\[^\\]+$"),  # a mutex
    ("vulnerability", "-", r"^(?i:cve)-[0-9]{4}-[0-9]{4,7}$"),
    ("windows-registry-key", "\\", r"(?i)^(?:HKEY_[A-Z_]+|HKLM|HKCU|HKCR|HKU|HKCC|\\REGISTRY)\\"),
    ("url", "://", r"(?i)^[a-z][a-z0-9+.-]{1,19}://\S+$"),
    ("email-addr", "@", rf"^[^@\s/\\<>,;:]+@{_HOST}$"),
    ("regex", r"[(\[*+\\]", r"\(\?[imsx:=!<]|\[\^|\.\*|\.\+|\\\\?\.[A-Za-z({]|\\[dwsb][+*{]|\\\\[^\\]+\\\\"),
    (
        "file:path",
        r"[\\/]",
        r"^[A-Za-z]:\\|^\\\\|^%[A-Za-z_()0-9]+%\\|^\\[^\\]|^[^\s\\]+\\[^\\]|^~?/[^/\s]+/|^~?/[^/\s]*\.[A-Za-z0-9]{1,8}$",
    ),
    ("file:name", ".", rf"(?i)^[^\\/:*?\"<>|\r\n]{{1,200}}\.(?:{_FILES})$"),
    ("domain-name", ".", rf"^{_HOST}$"),
    ("url", "/", rf"^(?:{_IPV4}|{_HOST})(?::[0-9]{{1,5}})?/\S*$"),
    (
        "mac-addr",
        "",
        r"^(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$|^(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}$|^(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}$",
    ),
    ("autonomous-system", "", r"^(?i:asn?)\s?[0-9]{2,10}$"),
    ("tls-fingerprint", "_", r"^[tqd][0-9s]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}$"),  # JA4
    ("file:ssdeep", ":", r"^[0-9]{1,10}:[0-9A-Za-z/+]{6,}:[0-9A-Za-z/+]{6,}$"),
    (
        "cryptocurrency-address",
        "",
        r"^(?:bc1|tb1)[02-9ac-hj-np-z]{11,71}$|^[13][1-9A-HJ-NP-Za-km-z]{25,34}$|^0x[0-9a-fA-F]{40}$|^4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}$",
    ),
)
"""Type, what every such value holds (plain characters, or a class of them), and form; the first that fits counts."""

_HASH_LENGTHS = (32, 40, 56, 64, 96, 128)
_PORT = rf"^({_IPV4}|{_HOST}):([0-9]{{1,5}})$"
_HASH_NAMED = r"^(?i:md5|sha-?1|sha-?256|sha-?512|imphash|hash)\s?:\s?([0-9a-fA-F]{32,128})$"
_BRACKETS = rf"^\[({_IPV4}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)\](?::([0-9]{{1,5}}))?$"
_HEX_GROUPS = re.compile(r"[0-9A-Fa-f:]+")
_IPV6_CANDIDATE = r"^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%a-z]*(?:/[0-9]{1,3})?$"


def refang_values(values: pl.Series) -> pl.Series:
    """Return the values as they are used; only those that show a sign of defanging are touched."""
    rows = values.str.contains(_SIGN).arg_true()  # a cheap look at all, a close one at few
    if not len(rows):
        return values
    some = values.gather(rows)
    rows = rows.filter(some.str.contains(_DEFANGED) & ~some.str.contains(r"\\\.|\(\?|\[\^"))  # no regular expression
    if not len(rows):
        return values
    values = values.clone()  # `scatter` writes in place
    changed = values.gather(rows)
    for pattern, replacement in _REFANG:
        changed = changed.str.replace_all(pattern, replacement)
    return values.scatter(rows, changed)


def classify_values(values: pl.Series) -> pl.DataFrame:
    """Return, for each trimmed value, its `type` ("" where it looks like nothing known), usual `value`, and `port`."""
    value = refang_values(values).clone()  # `scatter` writes in place
    port = pl.repeat("", len(value), dtype=pl.String, eager=True)
    colons = value.str.contains(":", literal=True).arg_true()
    with_port = colons.filter(value.gather(colons).str.contains(_PORT))
    if len(with_port):
        written = value.gather(with_port)
        port = port.scatter(with_port, written.str.extract(_PORT, 2))
        value = value.scatter(with_port, written.str.extract(_PORT, 1))
    named = colons.filter(value.gather(colons).str.contains(_HASH_NAMED))
    if len(named):
        value = value.scatter(named, value.gather(named).str.extract(_HASH_NAMED, 1))
    bracketed = value.str.starts_with("[").arg_true()
    bracketed = bracketed.filter(value.gather(bracketed).str.contains(_BRACKETS))
    if len(bracketed):
        written = value.gather(bracketed)
        port = port.scatter(bracketed, written.str.extract(_BRACKETS, 2).fill_null(""))
        value = value.scatter(bracketed, written.str.extract(_BRACKETS, 1))
        colons = value.str.contains(":", literal=True).arg_true()
    codes = _type_codes(value)
    colons = colons.filter(value.gather(colons).str.contains(_IPV6_CANDIDATE))
    codes[colons.filter(_are_ipv6(value.gather(colons))).to_numpy()] = TYPES.index("ipv6-addr")
    lowered = np.flatnonzero(_LOWERED[codes])
    usual = value.gather(lowered).str.to_lowercase()
    # nearly all are in lower case already: those that aren't are few, or all (hashes in capitals)
    rows = np.flatnonzero((usual != value.gather(lowered)).to_numpy())
    if len(rows):
        value = value.scatter(lowered[rows], usual.gather(rows))
    type_ = pl.Series(TYPES, dtype=pl.Enum(TYPES)).gather(codes)
    return pl.DataFrame([type_.alias("type"), value.alias("value"), port.alias("port")])


def ipv6_number(text: str) -> int | None:
    """Return an IPv6 address in hexadecimal groups alone as a number; None where it is none.

    A list may have a million of them, and the standard library takes ten times as long.

    >>> ipv6_number("2001:db8::1") == int(ipaddress.IPv6Address("2001:db8::1")), ipv6_number("1::2::3")
    (True, None)
    """
    head, gap, tail = text.partition("::")
    left = head.split(":") if head else []
    right = tail.split(":") if tail else []
    absent = 8 - len(left) - len(right)
    if (absent < 1) if gap else absent:
        return None
    number = 0
    for group in (*left, *("0",) * absent, *right):
        if not 1 <= len(group) <= 4:
            return None
        number = number << 16 | int(group, 16)
    return number


def _type_codes(value: pl.Series) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the place in `TYPES` of each value's type by its form; each rule looks only at what is left."""
    codes = np.zeros(len(value), dtype=np.uint8)
    left = np.arange(len(value), dtype=np.uint32)
    rest = value
    for name, sign, form in _RULES:
        if not len(left):
            break
        if name == "file:hashes":
            likely = rest.str.len_bytes().is_in(_HASH_LENGTHS).arg_true()
        elif sign:
            likely = rest.str.contains(sign, literal=sign[0] != "[").arg_true()
        else:
            likely = pl.Series(np.arange(len(rest), dtype=np.uint32))
        found = likely.filter(rest.gather(likely).str.contains(form)).to_numpy()
        if not len(found):
            continue
        codes[left[found]] = TYPES.index(name)
        keep = np.ones(len(left), dtype=np.bool_)
        keep[found] = False
        left, rest = left[keep], rest.filter(pl.Series(keep))
    return codes


def _are_ipv6(values: pl.Series) -> pl.Series:
    return pl.Series([_is_ipv6(value) for value in values.to_list()], dtype=pl.Boolean)


def _is_ipv6(value: str) -> bool:
    address, slash, prefix = value.partition("/")
    if _HEX_GROUPS.fullmatch(address) and (not slash or (prefix.isdecimal() and len(prefix) <= 3)):
        return ipv6_number(address) is not None and (not slash or int(prefix) <= 128)
    try:
        ipaddress.IPv6Network(value, strict=False)
    except ValueError:
        return False
    return True
