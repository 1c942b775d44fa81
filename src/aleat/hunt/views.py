"""The transforms of `aleat.hunt.expression.View`: from a cell's text to the parts of it that a test reads.

A transform is pure, works on one text, and yields no part, one, or several. The registry is the literal table
at the end. Texts are hostile: each transform is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address

from aleat.hunt.account_names import WELL_KNOWN, well_known
from aleat.hunt.network_views import NETWORK_TRANSFORMS
from aleat.hunt.object_views import OBJECT_TRANSFORMS
from aleat.hunt.stix_views import STIX_TRANSFORMS

__all__ = ["TRANSFORMS", "view"]

Transform = Callable[[str, str], tuple[str, ...]]


def _before(text: str, mark: str) -> tuple[str, ...]:
    """All before the first `mark`; the whole text where there is none."""
    return (text.partition(mark)[0],)


def _after(text: str, mark: str) -> tuple[str, ...]:
    """All after the first `mark`; nothing where there is none."""
    _, found, rest = text.partition(mark)
    return (rest,) if found else ()


def _separator(text: str) -> int:
    return max(text.rfind("\\"), text.rfind("/"))


def _basename(text: str, _: str) -> tuple[str, ...]:
    """What follows the last slash or backslash of a path."""
    name = text[_separator(text) + 1 :]
    return (name,) if name else ()


def _parent(text: str, _: str) -> tuple[str, ...]:
    """What stands before the last slash or backslash of a path."""
    at = _separator(text)
    return (text[:at],) if at > 0 else ()


def _extension(text: str, _: str) -> tuple[str, ...]:
    """What follows the last dot of a path's or request's last part, without a query."""
    path = text.partition("?")[0]
    name = path[_separator(path) + 1 :]
    _, found, extension = name.rpartition(".")
    return (extension,) if found and extension else ()


def _pair(text: str, key: str) -> tuple[str, ...]:
    """The values of `key` in a list of ``key=value`` pairs between commas, as Sysmon writes hashes."""
    wanted = key.casefold()
    parts = []
    for item in text.split(","):
        name, found, value = item.partition("=")
        if found and name.strip().casefold() == wanted:
            parts.append(value.strip())
    return tuple(parts)


def _attribute(text: str, key: str) -> tuple[str, ...]:
    """The values of `key` in a list of ``key=value`` pairs between semicolons, as Exchange writes event data."""
    start = f"{key}="
    return tuple(item[len(start) :] for part in text.split(";") if (item := part.strip()).startswith(start))


def _account(text: str, _: str) -> tuple[str, ...]:
    """The name in ``DOMAIN\\name``, or the whole text."""
    return (text.rpartition("\\")[2],)


def _account_domain(text: str, _: str) -> tuple[str, ...]:
    """The domain in ``DOMAIN\\name``."""
    domain, found, _name = text.rpartition("\\")
    return (domain,) if found else ()


_BETWEEN = re.compile(r"[\s,;|\"'\[\]=]++")


def _addresses(text: str, _: str) -> tuple[str, ...]:
    """All addresses in a text: a chain of proxies (``X-Forwarded-For``, ``Forwarded``), ``address:port``, with zones.

    Which of a chain is the client is for an analyst to say: any but the last proxy's own can be made up.
    """
    found: dict[str, None] = {}
    for part in _BETWEEN.split(text[:_LONGEST_CHAIN]):
        host, colon, port = part.rpartition(":")
        forms = [part.partition("%")[0]]
        if colon and port.isdecimal():
            forms.append(host.partition("%")[0])
        if (address := next(filter(None, map(_address, forms)), None)) is not None:
            found[address] = None
    return tuple(found)


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def _word(text: str, number: str) -> tuple[str, ...]:
    """One of the words between blanks, counted from 0: of a request line the method, the target, the protocol."""
    words = text.split()
    return (words[int(number)],) if int(number) < len(words) else ()


def _backslashes(text: str, _: str) -> tuple[str, ...]:
    """A path with backslashes, where a tool wrote Windows' paths with slashes."""
    return (text.replace("/", "\\"),)


def _rooted(text: str, _: str) -> tuple[str, ...]:
    """A bare file name as the end of a path: prefetch keeps ``CMD.EXE`` where rules ask for ``\\cmd.exe``."""
    return () if _separator(text) >= 0 else (f"\\{text}",)


def _url_path(text: str, _: str) -> tuple[str, ...]:
    """The path of a URL or of a request's target, without the query."""
    _, found, rest = text.partition("://")
    if found:
        _, slash, path = rest.partition("/")
        text = slash + path
    return (text.partition("?")[0],)


_LONGEST_CHAIN = 4096

TRANSFORMS: dict[str, Transform] = {
    "before": _before,
    "after": _after,
    "basename": _basename,
    "parent": _parent,
    "extension": _extension,
    "pair": _pair,
    "attribute": _attribute,
    "account": _account,
    "account_domain": _account_domain,
    "addresses": _addresses,
    "word": _word,
    "url_path": _url_path,
    "rooted": _rooted,
    "backslashes": _backslashes,
    **NETWORK_TRANSFORMS,
    WELL_KNOWN: well_known,
    **STIX_TRANSFORMS,
    **OBJECT_TRANSFORMS,
}


def view(transform: str, text: str, argument: str = "") -> tuple[str, ...]:
    """Return the parts of `text` that the named transform yields.

    >>> view("pair", "MD5=0A,SHA256=0B", "sha256"), view("before", "/a?b=c", "?"), view("after", "/a", "?")
    (('0B',), ('/a',), ())
    >>> view("addresses", "198.51.100.7, [2001:db8::1]:443, unknown, 10.0.0.1:8080")
    ('198.51.100.7', '2001:db8::1', '10.0.0.1')
    """
    return TRANSFORMS[transform](text, argument)
