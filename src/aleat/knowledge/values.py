"""What kind of thing each value of a list is, and its usual form: addresses, domains, URLs, hashes, paths …

Works on whole columns (polars, Rust regex, linear in the text). Defanged values (``hxxp``, ``[.]``, ``(dot)``,
``[at]``) are written as they are used; hashes, domains and e-mail domains are lower-cased, everything else
stays as given. The types are `aleat.stix.entries.ENTRY_TYPES`. What looks like none of them has type "".
"""

from __future__ import annotations

import ipaddress

import polars as pl

__all__ = ["classify_values", "refang_values"]

_DEFANGED = r"(?i)h[x*]{2}ps?\b|\bfxps?:|[\[({]\s?(?:\.|dot|@|at|:|/|://)\s?[\])}]|\[\.|\.\]"
_REFANG = (
    (r"(?i)^h[x*]{2}p(s?)\b", "http$1"),
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

_RULES: tuple[tuple[str, str], ...] = (
    (
        "file:hashes",
        r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})$",
    ),
    ("ipv4-addr", rf"^{_IPV4}(?:/(?:3[0-2]|[12]?[0-9]))?$"),
    ("ipv4-addr", rf"^{_IPV4}\s?-\s?{_IPV4}$"),
    ("vulnerability", r"^(?i:cve)-[0-9]{4}-[0-9]{4,7}$"),
    ("windows-registry-key", r"(?i)^(?:HKEY_[A-Z_]+|HKLM|HKCU|HKCR|HKU|HKCC|\\REGISTRY)\\"),
    ("url", r"(?i)^[a-z][a-z0-9+.-]{1,19}://\S+$"),
    ("email-addr", rf"^[^@\s/\\<>,;:]+@{_HOST}$"),
    ("regex", r"\(\?[imsx:=!<]|\[\^|\.\*|\.\+|\\\\?\.[A-Za-z({]|\\[dwsb][+*{]|\\\\[^\\]+\\\\"),
    (
        "file:path",
        r"^[A-Za-z]:\\|^\\\\|^%[A-Za-z_()0-9]+%\\|^\\[^\\]|^[^\s\\]+\\[^\\]|^~?/[^/\s]+/|^~?/[^/\s]*\.[A-Za-z0-9]{1,8}$",
    ),
    ("file:name", rf"(?i)^[^\\/:*?\"<>|\r\n]{{1,200}}\.(?:{_FILES})$"),
    ("domain-name", rf"^{_HOST}$"),
    ("url", rf"^(?:{_IPV4}|{_HOST})(?::[0-9]{{1,5}})?/\S*$"),
)
"""Type and form, the first that fits counts."""

_PORT = rf"^({_IPV4}|{_HOST}):([0-9]{{1,5}})$"
_IPV6_CANDIDATE = r"^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%a-z]*(?:/[0-9]{1,3})?$"


def refang_values(values: pl.Series) -> pl.Series:
    """Return the values as they are used; only those that show a sign of defanging are touched."""
    mask = values.str.contains(_DEFANGED) & ~values.str.contains(r"\\\.|\(\?|\[\^")  # not a regular expression
    if not mask.any():
        return values
    changed = values.filter(mask)
    for pattern, replacement in _REFANG:
        changed = changed.str.replace_all(pattern, replacement)
    return values.scatter(mask.arg_true(), changed)


def classify_values(values: pl.Series) -> pl.DataFrame:
    """Return, for each trimmed value, its `type` ("" where it looks like nothing known), usual `value`, and `port`."""
    frame = pl.DataFrame({"value": refang_values(values)})
    with_port = pl.col("value").str.contains(_PORT)
    frame = frame.with_columns(
        pl.when(with_port).then(pl.col("value").str.extract(_PORT, 2)).otherwise(pl.lit("")).alias("port"),
        pl.when(with_port).then(pl.col("value").str.extract(_PORT, 1)).otherwise(pl.col("value")).alias("value"),
    )
    kind: pl.Expr = pl.lit("")
    for name, pattern in reversed(_RULES):
        kind = pl.when(pl.col("value").str.contains(pattern)).then(pl.lit(name)).otherwise(kind)
    frame = frame.with_columns(kind.alias("type"))
    frame = _with_ipv6(frame)
    lowered = pl.col("type").is_in(["file:hashes", "domain-name", "email-addr", "ipv6-addr"])
    value = pl.when(lowered).then(pl.col("value").str.to_lowercase()).otherwise(pl.col("value"))
    return frame.with_columns(value.alias("value")).select("type", "value", "port")


def _with_ipv6(frame: pl.DataFrame) -> pl.DataFrame:
    """Set the type of the few values that look like IPv6, each checked by the standard library."""
    rows = frame["value"].str.contains(_IPV6_CANDIDATE).arg_true()
    if not len(rows):
        return frame
    found = [row for row, value in zip(rows, frame["value"].gather(rows), strict=True) if _is_ipv6(value)]
    if not found:
        return frame
    return frame.with_columns(frame["type"].scatter(found, "ipv6-addr").alias("type"))


def _is_ipv6(value: str) -> bool:
    try:
        ipaddress.IPv6Network(value, strict=False)
    except ValueError:
        return False
    return True
