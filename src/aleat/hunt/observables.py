"""Observables found in cell values: addresses, domains, URLs, e-mail addresses, hashes, file names and paths.

They are looked for in any text, a command line, a message, a query string, a Sysmon `Hashes` field
("SHA1=…,MD5=…"), defanged or not (``hxxp``, ``[.]``, ``(dot)``, ``[at]``), percent-encoded or not, once for
each distinct value. What is found is a *candidate*: "powershell.exe" has the form of a file name and
"microsoft.net" that of a domain; whether it means something is for the list that it is compared with.

All regular expressions run in Rust's engine through polars (linear in the text); candidates are then
classified once for each distinct token. Results are normalised: lower case, domains without the last dot and
in their ASCII form, addresses in their shortest form, URLs without scheme, user and fragment, paths with ``/``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from urllib.parse import unquote_plus

import polars as pl

__all__ = [
    "KINDS",
    "extract_in_chunks",
    "extract_observables",
    "find_observables",
    "normalise_domain",
    "normalise_url",
    "refang",
]

KINDS = (
    "ipv4-addr",
    "ipv6-addr",
    "domain-name",
    "url",
    "email-addr",
    "file:hashes",
    "file:name",
    "file:path",
    "vulnerability",
)
"""What can be found; the head of a STIX object path, `file` told apart by its property."""

MAXIMUM_TEXT = 1 << 20
"""Characters of one value that are looked at; a longer one is searched up to there."""

_CHUNK_CHARACTERS = 4_000_000  # of text extracted at once: bounds the memory of the tokens
_TOKEN_KINDS = frozenset({"ipv4-addr", "ipv6-addr", "domain-name", "email-addr", "file:hashes", "vulnerability"})
_HASH_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_MAXIMUM_PATH = 1024
_MAXIMUM_ENDS = 16

# Defanged: looked for once, so that the replacements touch only the few values that need them.
_DEFANGED = r"(?i)h[x*]{2}ps?|fxps?:|[\[({]\s?(?:\.|dot|@|at|:|/|://)|\.\]"
_REFANG: tuple[tuple[str, str], ...] = (
    (r"(?i)\bh[x*]{2}p(s?)\b", "http$1"),
    (r"(?i)\bfxp(s?):", "ftp$1:"),
    (r"(?i)\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?", "."),
    (r"(?i)\s?[\[({]\s?(?:@|at)\s?[\])}]\s?", "@"),
    (r"[\[({]://[\])}]", "://"),
    (r"[\[({]:[\])}]", ":"),
    (r"[\[({]/[\])}]", "/"),
    (r"\[\.|\.\]", "."),
)
_BRACKETS = frozenset("[({]")
_PERCENT = r"%[0-9A-Fa-f]{2}"
# A token keeps up to two slashes before it: they tell a host (//, \\) from a folder that looks like one.
_TOKEN = r"[\\/]{0,2}[\p{L}\p{N}_.:@+-]+"  # noqa: S105
_TOKEN_WANTED = r"[.:@]|[0-9a-f]{32}|cve-"  # noqa: S105
_URL = r"""(?:[a-z][a-z0-9+]{1,9}://)[^\s"'<>|^`{}\\]+|[\p{L}\p{N}_.-]+\.[\p{L}\p{N}-]+(?::[0-9]{1,5})?/[^\s"'<>|^`{}\\]*"""
_SITE_PATH = r"""^/[^\s"'<>|^`{}\\]+"""
_NAME_SPACED = r"""[^/"<>|:*?\r\n\t]+"""
_NAME = r"""/?[^/"'<>|:*?\s,;=()&\[\]{}]+"""
_PATH_DRIVE = r"""[a-z]:/[^"<>|*?\r\n:]+"""
_PATH_WORD = r"""[^\s"'<>|*?,;=]*/[^\s"'<>|*?,;]*"""
_PATH_QUOTED = r""""[^"]*/[^"]*\""""

_HEX = re.compile(r"[0-9a-f]+\Z")
_CVE = re.compile(r"cve-[0-9]{4}-[0-9]{4,7}\Z")
_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)\Z")
_LOCAL_PART = re.compile(r"[\w.+-]{1,64}\Z")
_DOTTED = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")


def find_observables(text: str, kinds: Collection[str] = KINDS) -> tuple[tuple[str, str], ...]:
    """Return the (kind, normalised value) pairs found in one text, sorted.

    >>> find_observables("certutil hxxps://evil[.]example/a.exe", ["domain-name", "url"])
    (('domain-name', 'evil.example'), ('url', 'evil.example/a.exe'))
    """
    found = extract_observables(pl.Series("value", [text], dtype=pl.String), kinds)
    return tuple(sorted(zip(found["kind"].to_list(), found["value"].to_list(), strict=True)))


def extract_observables(values: pl.Series, kinds: Collection[str] = KINDS) -> pl.DataFrame:
    """Return the observables of many texts, as distinct rows (`row` of the text in `values`, `kind`, `value`)."""
    frames = extract_in_chunks(values, kinds)
    return pl.concat([_frame([], [], []), *frames]).unique(maintain_order=True)


def extract_in_chunks(values: pl.Series, kinds: Collection[str] = KINDS) -> Iterator[pl.DataFrame]:
    """Yield what `extract_observables` returns for one part of the texts after the other, rows not yet distinct."""
    for texts in _texts(values):
        yield _extract(texts, frozenset(kinds))


def refang(text: str) -> str:
    """Return one text with its defanged parts written as they are used."""
    if "xp" not in text.lower() and not _BRACKETS.intersection(text) and "*" not in text:
        return text  # nearly all: no need of the engine
    return str(_refanged(pl.Series([text], dtype=pl.String))[0])


def _texts(values: pl.Series) -> Iterator[pl.DataFrame]:
    """Yield (row, text) in chunks: each value refanged in lower case, and once more without percent-encoding."""
    texts = pl.DataFrame({"row": pl.Series(range(len(values)), dtype=pl.UInt32), "text": values.cast(pl.String)})
    if values.null_count() or (values.str.len_chars() > MAXIMUM_TEXT).any():
        texts = texts.drop_nulls().with_columns(pl.col("text").str.slice(0, MAXIMUM_TEXT))
    for chunk in _chunks(texts):
        encoded = chunk.filter(pl.col("text").str.contains(_PERCENT))
        if len(encoded):
            decoded = [unquote_plus(text) for text in encoded["text"].to_list()]
            chunk = pl.concat([chunk, encoded.with_columns(pl.Series("text", decoded))])  # noqa: PLW2901
        yield pl.DataFrame([chunk["row"], _refanged(chunk["text"]).str.to_lowercase().alias("text")])


def _chunks(texts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    part = texts["text"].str.len_chars().cum_sum() // _CHUNK_CHARACTERS
    if not len(part) or part[-1] == 0:
        yield texts
        return
    yield from texts.with_columns(part.alias("part")).partition_by("part", maintain_order=True, include_key=False)


def _refanged(texts: pl.Series) -> pl.Series:
    mask = texts.str.contains(_DEFANGED)
    if not mask.any():
        return texts
    changed = texts.filter(mask)
    for pattern, replacement in _REFANG:
        changed = changed.str.replace_all(pattern, replacement)
    return texts.scatter(mask.arg_true(), changed)


def _extract(texts: pl.DataFrame, kinds: frozenset[str]) -> pl.DataFrame:
    frames = []
    if kinds & _TOKEN_KINDS:
        tokens = _matches(texts, _TOKEN)
        tokens = tokens.filter(pl.col("match").str.contains(_TOKEN_WANTED))
        frames.append(_classified(tokens, lambda token: _classify_token(token, kinds)))
    if "url" in kinds:
        urls = pl.concat([_matches(texts, _URL), _matches(texts, _SITE_PATH)])
        frames.append(_classified(urls, lambda url: (("url", key) for key in (normalise_url(url),) if key)))
    if kinds & {"file:name", "file:path"}:
        slashed = texts.with_columns(pl.col("text").str.replace_all(r"[\\/]+", "/"))
        if "file:name" in kinds:
            names = pl.concat([_matches(slashed, _NAME_SPACED), _matches(slashed, _NAME)])
            frames.append(_names(names))
        if "file:path" in kinds:
            found = [_matches(slashed, pattern) for pattern in (_PATH_DRIVE, _PATH_WORD, _PATH_QUOTED)]
            whole = slashed.filter(pl.col("text").str.contains("/", literal=True)).rename({"text": "match"})
            frames.append(_classified(pl.concat([*found, whole]), _classify_path))
    return pl.concat([_frame([], [], []), *frames])


def _matches(texts: pl.DataFrame, pattern: str) -> pl.DataFrame:
    found = texts.lazy().select("row", pl.col("text").str.extract_all(pattern).alias("match"))
    return found.explode("match", empty_as_null=False, keep_nulls=False).unique().collect()


_Classify = Callable[[str], Iterable[tuple[str, str]]]


def _classified(matches: pl.DataFrame, classify: _Classify) -> pl.DataFrame:
    """Classify each distinct match once, and return the rows that it was found in."""
    texts: list[str] = []
    kinds: list[str] = []
    values: list[str] = []
    for text in matches["match"].unique(maintain_order=True).to_list():
        for kind, value in classify(text):
            texts.append(text)
            kinds.append(kind)
            values.append(value)
    found = pl.DataFrame(
        {"match": texts, "kind": kinds, "value": values},
        schema={"match": pl.String, "kind": pl.String, "value": pl.String},
    )
    if not texts:
        return _frame([], [], [])
    return matches.lazy().join(found.lazy(), on="match").select("row", "kind", "value").collect()


def _frame(rows: list[int], kinds: list[str], values: list[str]) -> pl.DataFrame:
    schema = {"row": pl.UInt32, "kind": pl.String, "value": pl.String}
    return pl.DataFrame({"row": rows, "kind": kinds, "value": values}, schema=schema)


def _classify_token(token: str, kinds: frozenset[str]) -> Iterator[tuple[str, str]]:
    return (found for found in _token_observables(token) if found[0] in kinds)


def _token_observables(token: str) -> Iterator[tuple[str, str]]:
    bare = token.lstrip("\\/")
    host_place = len(token) - len(bare) != 1  # after one slash stands a folder or a file, not a host
    if bare.count(":") > 1:
        address = _ipv6(bare.strip(".@+-"))
        if address is not None:
            yield "ipv6-addr", str(address)
            if address.ipv4_mapped is not None:
                yield "ipv4-addr", str(address.ipv4_mapped)
            return
    for piece in bare.split(":"):
        yield from _piece_observables(piece.strip(".-+@"), host_place)


def _piece_observables(piece: str, host_place: bool) -> Iterator[tuple[str, str]]:
    if len(piece) in _HASH_LENGTHS and _HEX.match(piece):
        yield "file:hashes", piece
        return
    if _CVE.match(piece):
        yield "vulnerability", piece
        return
    local, at, domain = piece.rpartition("@")
    if at:
        name = normalise_domain(domain)
        if name and _LOCAL_PART.match(local):
            yield "email-addr", f"{local}@{name}"
            yield "domain-name", name
        return
    for part in piece.split("+"):
        for text in (part, *(part.split("-") if "-" in part and part[:1].isdigit() else ())):
            if _DOTTED.match(text):
                address = _ipv4(text)
                if address is not None:
                    yield "ipv4-addr", address
        name = normalise_domain(part) if host_place else None
        if name:
            yield "domain-name", name


def _ipv4(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def _ipv6(text: str) -> ipaddress.IPv6Address | None:
    try:
        return ipaddress.IPv6Address(text)
    except ValueError:
        return None


def normalise_domain(text: str) -> str | None:
    """Return a domain name in lower case, in ASCII form and without its last dot; None where it is none.

    >>> normalise_domain("Ministria-Ë.example."), normalise_domain("10.0.0.1"), normalise_domain("localhost")
    ('xn--ministria--67a.example', None, None)
    """
    name = text.lower().rstrip(".")
    if "." not in name or len(name) > 253:
        return None
    if not name.isascii():
        try:
            name = ".".join(_ascii_label(label) for label in name.split("."))
        except (UnicodeError, ValueError):
            return None
    labels = name.split(".")
    last = labels[-1]
    if len(last) < 2 or not last[0].isalpha() or "_" in last:
        return None
    return name if all(map(_LABEL.match, labels)) else None


def _ascii_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def normalise_url(text: str) -> str | None:
    """Return a URL as it is compared: lower case, without scheme, user, port 80 and 443, and fragment.

    A path without a host ("/owa/x.aspx") stays as it is. None where there is no host or path.

    >>> normalise_url("HTTPS://user@Evil.example:443/Gate.php?id=1#top")
    'evil.example/gate.php?id=1'
    """
    url = text.lower().split("#", 1)[0].rstrip(".,;:!)]'\"")
    if url.startswith("/") and not url.startswith("//"):
        return url
    _, scheme, rest = url.partition("://")
    rest = rest if scheme else url.removeprefix("//")
    end = min((at for at in (rest.find(mark) for mark in "/?") if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    authority = authority.rpartition("@")[2]
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, port = authority, ""
    name = _ipv4(host) or normalise_domain(host) or (host if host.startswith("[") else None)
    if name is None:
        return None
    if port and port not in {"80", "443"}:
        name += f":{port}"
    return name + (path if path != "/" else "")


def _names(matches: pl.DataFrame) -> pl.DataFrame:
    # Without an extension only what stands behind a slash is a file's name: every word would be one.
    name = pl.col("match").str.strip_chars(" ./")
    plausible = name.str.len_chars().is_between(1, 255) & (
        name.str.contains(".", literal=True) | pl.col("match").str.starts_with("/")
    )
    found = matches.lazy().filter(plausible)
    return found.select("row", pl.lit("file:name").alias("kind"), name.alias("value")).collect()


def _classify_path(text: str) -> Iterable[tuple[str, str]]:
    path = text.strip(" \"'")[:_MAXIMUM_PATH]
    # In free text a path has no certain end: each blank may be one.
    ends = [at for at, character in enumerate(path) if character == " "][:_MAXIMUM_ENDS]
    for end in (*ends, len(path)):
        candidate = path[:end].rstrip(" .,;")
        if "/" in candidate.strip("/") or candidate.startswith("/"):
            yield "file:path", candidate
