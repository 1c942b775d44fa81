"""What a rule of Snort or Suricata says about fields that logs have: conditions, as STIX patterns.

A rule looks into packets; logs keep a few fields of them: names asked for, hosts, URIs, certificates, fingerprints,
addresses, ports. Of a rule are taken

- the addresses that its header fixes, with the port where that is fixed too;
- the names that it fixes (a whole name, or a name and what is below it), also in DNS's wire form
  (``|04|evil|07|example|00|``), and the other fields' whole values;
- where *nothing else* is asked for, all that it asks of one kind of field: beginnings, ends, parts.

A condition that is a part of its rule is marked so (`Derived.whole`): it finds more than the rule does. Everything else
(payload, regular expressions, byte tests, flow bits) can't be asked of a log, and gives nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aleat.knowledge.network_rules import NetworkRule, language_facts, unquoted

__all__ = ["Derived", "derive_patterns", "pattern_text"]

_HEX = re.compile(r"\|([0-9A-Fa-f\s]*)\|")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9][a-z0-9-]*[a-z0-9]", re.IGNORECASE)
_VARIABLE = re.compile(r"!?\$\w+|any", re.IGNORECASE)
_LEAST = 4  # characters of a part of a field that a whole rule is about
_MOST_ADDRESSES = 2_000
_HARMLESS_PORTS = {"any", "53", "80", "443", ""}


@dataclass(frozen=True, slots=True)
class Derived:
    """One condition on a log: its STIX pattern, whether it is all that the rule asks, and what it is about."""

    pattern: str
    whole: bool
    about: str


@dataclass(slots=True)
class _Content:
    """A text that a buffer has to hold, and where in it."""

    text: str | None  # None: bytes that are no text
    buffer: int | None
    negated: bool = False
    caseless: bool = False
    starts: bool = False
    ends: bool = False
    placed: bool = False  # bound to what stands before it
    dotted: bool = False
    length: int = 0
    raw: bytes = b""


@dataclass(slots=True)
class _Conditions:
    contents: list[_Content] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    more: bool = False


def pattern_text(value: str) -> str:
    r"""Return a text as a constant of a STIX pattern.

    >>> pattern_text("it's C:\\x")
    "'it\\'s C:\\\\x'"
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def derive_patterns(rule: NetworkRule) -> list[Derived]:
    """Return what of a rule can be looked for in logs, each pattern once."""
    found = _conditions(rule)
    addresses = list(_addresses(rule))
    ports = {rule.source_ports, rule.target_ports}
    free = all(port in _HARMLESS_PORTS or _VARIABLE.fullmatch(port) for port in ports)
    alone = not found.contents and not found.more
    result = [Derived(pattern, alone, "address") for pattern in addresses]
    whole = None if found.more or addresses or not free else _whole_pattern(found)
    if whole is not None:
        result.append(whole)
    else:
        result += _fixed_values(found)
    return list({item.pattern: item for item in result if _is_storable(item.pattern)}.values())


def _is_storable(pattern: str) -> bool:
    return len(pattern) <= 90_000 and pattern.isprintable()


# ---------------------------------------------------------------------------------------------- addresses


def _addresses(rule: NetworkRule) -> Iterator[str]:
    """Yield patterns for the addresses that the header fixes; a list with an exception fixes none."""
    both = rule.direction == "<>"
    for text, port, side in ((rule.source, rule.source_ports, "src"), (rule.target, rule.target_ports, "dst")):
        members = text.strip("[]").split(",")
        if len(members) > _MOST_ADDRESSES:
            continue
        networks = [_network(member) for member in members]
        if None in networks:
            continue
        fixed = port.isascii() and port.isdigit() and len(port) <= 5 and not both
        for version in (4, 6):
            own = [network for network in networks if network is not None and network.version == version]
            if own and fixed:
                ends = " OR ".join(_compared(f"network-traffic:{side}_ref.value", own))
                yield f"[({ends}) AND network-traffic:{side}_port = {int(port)}]"
            elif own:
                yield f"[{' OR '.join(_compared(f'ipv{version}-addr:value', own))}]"


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    return network if network.prefixlen >= (8 if network.version == 4 else 20) else None


def _compared(path: str, networks: list[Any]) -> Iterator[str]:
    single = [str(network.network_address) for network in networks if network.num_addresses == 1]
    if len(single) == 1:
        yield f"{path} = {pattern_text(single[0])}"
    elif single:
        yield f"{path} IN ({', '.join(map(pattern_text, single))})"
    for network in networks:
        if network.num_addresses > 1:
            yield f"{path} ISSUBSET {pattern_text(str(network))}"


# ----------------------------------------------------------------------------------------------- contents


@cache
def _buffers() -> tuple[dict[str, int], dict[str, int]]:
    """Return the numbers of the buffers by their keywords: those before contents, and those behind one."""
    table = language_facts()["buffers"]
    sticky = {word: number for number, row in enumerate(table) for word in row.get("sticky", ())}
    return sticky, {word: number for number, row in enumerate(table) for word in row.get("modifier", ())}


def _conditions(rule: NetworkRule) -> _Conditions:
    """Read a rule's contents and what they are held against."""
    found = _Conditions()
    sticky, modifiers = _buffers()
    if _stands_before(rule, modifiers):  # Snort 3: the words of Snort 2 stand before their contents
        sticky, modifiers = sticky | modifiers, {}
    neutral = language_facts()["neutral"]
    current: int | None = None
    dotted = False
    for option in rule.options:
        name = option.name
        last = found.contents[-1] if found.contents else None
        if name in sticky:
            current, dotted = sticky[name], False
        elif name == "content":
            found.contents.append(_content(option.value, current, dotted=dotted))
        elif name == "uricontent":
            found.contents.append(_content(option.value, modifiers.get("http_uri"), dotted=False))
        elif name in modifiers and last is not None:
            last.buffer = modifiers[name]
        elif name == "dotprefix":
            dotted = True
        elif name in ("bsize", "urilen", "bufferlen") and option.value.strip().isdigit():
            at = current if name != "urilen" else _number_of("http.uri")
            if at is not None:
                found.sizes[at] = int(option.value.strip()[:9])
        elif last is None or not _modify(last, name, option.value):
            found.more |= name not in neutral and not _is_harmless_flowbit(name, option.value)
    return found


def _number_of(word: str) -> int | None:
    return _buffers()[0].get(word)


def _is_harmless_flowbit(name: str, value: str) -> bool:
    return name in ("flowbits", "xbits") and value.strip().lower().startswith(("set", "unset", "noalert", "toggle"))


def _stands_before(rule: NetworkRule, modifiers: dict[str, int]) -> bool:
    for option in rule.options:
        if option.name in ("content", "uricontent"):
            return False
        if option.name in modifiers:
            return True
    return False


def _content(value: str, buffer: int | None, *, dotted: bool) -> _Content:
    """Read a content with Snort 3's modifiers, which stand behind commas."""
    text = value.strip()
    negated = text.startswith("!")
    text = text.removeprefix("!").strip()
    end = _closing(text)
    raw = _bytes(unquoted(text[: end + 1]))
    try:
        decoded: str | None = raw.decode()
    except UnicodeDecodeError:
        decoded = None
    content = _Content(decoded, buffer, negated, dotted=dotted, length=len(raw), raw=raw)
    for part in text[end + 1 :].split(","):
        name, _, argument = part.strip().partition(" ")
        if name:
            _modify(content, name, argument)
    return content


def _closing(text: str) -> int:
    for mark in re.finditer(r'\\.|"', text[1:]):
        if mark[0] == '"':
            return mark.start() + 1
    return len(text)


def _bytes(text: str) -> bytes:
    """Return a content's bytes: text, with hexadecimal bytes between bars."""
    result = b""
    for number, part in enumerate(_HEX.split(text)):
        if number % 2:
            digits = "".join(part.split())
            result += bytes.fromhex(digits[: len(digits) // 2 * 2])
        else:
            result += part.encode("utf-8", "replace")
    return result


def _modify(content: _Content, name: str, value: str) -> bool:
    """Take a modifier of a content; False where it is none."""
    value = value.strip()
    if name == "nocase":
        content.caseless = True
    elif name in ("startswith", "endswith"):
        content.starts |= name == "startswith"
        content.ends |= name == "endswith"
    elif name == "depth":
        content.starts |= value == str(content.length) and not content.placed
        content.placed |= value != str(content.length)
    elif name in ("offset", "distance", "within"):
        content.placed |= not (name == "offset" and value == "0")
    elif name == "isdataat" and value.replace(" ", "") in ("!1,relative", "!0,relative"):
        content.ends = True
    elif name not in ("fast_pattern", "fast_pattern_offset", "fast_pattern_length", "rawbytes"):
        return False
    return True


# ----------------------------------------------------------------------------------------------- patterns


def _whole_pattern(found: _Conditions) -> Derived | None:
    """Return one pattern for all that a rule asks; None where it asks more than one kind of field can tell."""
    contents = found.contents
    if not contents or any(item.buffer is None or item.text is None or item.placed for item in contents):
        return None
    table = language_facts()["buffers"]
    numbers = {item.buffer for item in contents if item.buffer is not None}
    if set(found.sizes) - numbers:
        return None
    among = len(numbers) > 1
    paths = {number: str(table[number].get("among" if among else "path", table[number]["path"])) for number in numbers}
    if len({path.partition(":")[0] for path in paths.values()}) > 1:
        return None
    if not any(not item.negated and item.length >= _LEAST for item in contents):
        return None
    if all(item.negated or table[item.buffer].get("least") == 0 for item in contents if item.buffer is not None):
        return None
    tests = []
    for item in contents:
        assert item.buffer is not None  # noqa: S101 - see above
        kind = str(table[item.buffer]["kind"])
        tests.append(_test(item, paths[item.buffer], kind, found.sizes.get(item.buffer)))
    pattern = f"[{' AND '.join(dict.fromkeys(tests))}]"
    about = str(table[min(numbers)].get("sticky", ["field"])[0])
    return Derived(pattern, True, about)


def _fixed_values(found: _Conditions) -> Iterator[Derived]:
    """Yield the whole values that a rule fixes among its other conditions."""
    table = language_facts()["buffers"]
    for item in found.contents:
        if item.negated:
            continue
        if item.buffer is None:
            name = _wire_name(item.raw)
            if name:
                yield Derived(f"[{_below('domain-name:value', name)}]", False, "domain")
            continue
        row = table[item.buffer]
        size = found.sizes.get(item.buffer)
        exact = _is_whole(item, str(row["kind"]), size)
        below = row["kind"] == "domain" and item.dotted and item.ends
        if item.text is None or item.placed or not (exact or below) or item.length < int(row.get("least", 0) or _LEAST):
            continue
        if row.get("least") == 0:  # a method alone says nothing
            continue
        yield Derived(f"[{_test(item, str(row['path']), str(row['kind']), size)}]", False, str(row["sticky"][0]))


def _is_whole(item: _Content, kind: str, size: int | None) -> bool:
    """Say whether a content is all of its buffer: JA3's fingerprints are MD5, and can't be longer."""
    return (item.starts and item.ends) or size == item.length or (kind == "fingerprint" and item.length == 32)


def _test(item: _Content, path: str, kind: str, size: int | None) -> str:
    text = item.text or ""
    exact = _is_whole(item, kind, size)
    if kind == "domain" and item.dotted and item.ends and text.startswith(".") and not item.negated:
        return f"({_below(path, text[1:])})"
    negation = "NOT " if item.negated else ""
    if kind in ("domain", "fingerprint"):
        text = text.lower()
    cased = kind == "text" and item.caseless
    if exact and not cased:
        return f"{path} {negation}= {pattern_text(text)}"
    start, end = "" if item.starts or exact else "%", "" if item.ends or exact else "%"
    if not cased and not set(text) & set("%_"):
        return f"{path} {negation}LIKE {pattern_text(f'{start}{text}{end}')}"
    regex = f"{'(?i)' if cased else ''}{'' if start else '^'}{re.escape(text)}{'' if end else '$'}"
    return f"{path} {negation}MATCHES {pattern_text(regex)}"


def _below(path: str, name: str) -> str:
    return f"{path} = {pattern_text(name.lower())} OR {path} LIKE {pattern_text(f'%.{name.lower()}')}"


def _wire_name(raw: bytes) -> str:
    """Return the domain name that bytes are in DNS's wire form (RFC 1035 §3.1), with at least two labels; else ""."""
    labels: list[str] = []
    at = 0
    while at < len(raw) and 0 < raw[at] < 64 and at + raw[at] < len(raw):
        labels.append(raw[at + 1 : at + 1 + raw[at]].decode("ascii", "replace"))
        at += raw[at] + 1
    name = ".".join(labels)
    ended = at == len(raw) or raw[at:] == b"\0"
    return name.lower() if ended and len(labels) > 1 and _NAME.fullmatch(name) and len(name) <= 253 else ""
