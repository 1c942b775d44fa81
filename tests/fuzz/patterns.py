"""The target "patterns": STIX patterns over events and over observed data."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from aleat.errors import PatternError, Place
from aleat.hunt import Hunter, Indicator, Plan, compile_plan, match_pattern
from aleat.hunt.stix_paths import event_objects
from aleat.hunt.stix_pattern import compile_pattern
from aleat.knowledge.quality import quality_of
from aleat.stix.objects import StixObject
from tests.fuzz.mutation import mutate_text
from tests.fuzz.world import FIELDS, VALUES, Folder, checked_hunt, expected_records, random_batches

__all__ = ["PatternsTarget"]

_TOKENS = (
    " AND ", " OR ", " FOLLOWEDBY ", " REPEATS 2 TIMES", " WITHIN 5 SECONDS", "NOT ", "EXISTS ", "[*]", "[0]", "_ref",
    ".", ":", "t'2022-07-15T08:00:00Z'", "h'0a'", "b'YQ=='", "START t'2022-07-15T08:00:00Z'", "STOP ", " IN ('a')",
    "[file:name = 'a']", "MATCHES", "LIKE", "ISSUBSET", "\\'", "'", "9" * 40,
)  # fmt: skip
_REGEXES = ("a.*b", "^(a+)+$", "(a|aa)+$", "cmd\\\\.exe", "(?=a)", "[a-", "\\\\d+", "(.*a){20}", "a{1,999}")
_ODD_PATHS = (
    "file:size", "file:hashes.'SHA-256'", "file:hashes.MD5", "x-thing:a.b[*].c", "network-traffic:protocols[0]",
    "process:opened_connection_refs[*].dst_ref.value", "email-message:body_multipart[*].body_raw_ref.name",
    "process:image_ref.name", "file:extensions.'ntfs-ext'.sid", "windows-registry-key:values[*].data",
    "network-traffic:dst_ref.type", "ipv4-addr:value", "domain-name:value", "url:value", "a:b",
)  # fmt: skip


class PatternsTarget:
    """See the module."""

    name = "patterns"
    limit = 3.0

    def __init__(self, place: Folder, seeds: Sequence[str] = ()) -> None:
        self._place = place
        self._seeds = seeds
        mapped = {f"{item.type}:{name}" for item in event_objects() for name in item.properties}
        self._paths = (*sorted(mapped), *_ODD_PATHS)

    def make(self, rng: random.Random) -> bytes:
        """Return a pattern, half of the time damaged."""
        if self._seeds and rng.random() < 0.2:
            return mutate_text(rng.choice(self._seeds), rng, _TOKENS).encode("utf-8", "surrogatepass")
        text = self._observations(rng, 2)
        if rng.random() < 0.4:
            text = mutate_text(text, rng, _TOKENS)
        return text.encode("utf-8", "surrogatepass")

    def check(self, data: bytes) -> None:
        """Compile, hunt and write; the naive evaluator agrees; then the same pattern over observed data."""
        text = data.decode("utf-8", "replace")
        indicator = Indicator("i", "indicator--1", "d", "stix", text, "t", "fuzz", Place("pack.json"))
        plan = compile_plan([indicator])
        light = msgspec.structs.replace(plan, lists=())
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(light), type=Plan) == light, "a plan is data"
        named = [row for row in plan.not_evaluated if not row.partial]
        assert bool(named) != bool(plan.rules or plan.patterns or plan.lists), "in the plan or named"
        if plan.rules or plan.patterns or plan.lists:
            item = StixObject("indicator", "indicator--1", pattern=text, pattern_type="stix")
            doubts = {label.reason for label in quality_of(item)}
            assert "pattern" not in doubts, "what is evaluated can be a pattern"
            checked_hunt([self._place.logs], plan)
            _check_naive(text, data, plan)
        try:
            found = match_pattern(text, _bundles(random.Random(crc32(data))))  # noqa: S311
        except PatternError:
            return
        assert len(set(found)) == len(found)

    # ----------------------------------------------------------------------------------------------- making

    def _observations(self, rng: random.Random, depth: int) -> str:
        kind = rng.randrange(8)
        if depth and kind < 3:
            one, other = (self._observations(rng, depth - 1) for _ in range(2))
            made = f"{one} {rng.choice(('AND', 'OR', 'FOLLOWEDBY'))} {other}"
        elif depth and kind == 3:
            made = f"({self._observations(rng, depth - 1)})"
        else:
            made = f"[{self._comparisons(rng, 2, rng.choice(self._paths).partition(':')[0])}]"
        return made + rng.choice(_QUALIFIERS) if rng.random() < 0.2 else made

    def _comparisons(self, rng: random.Random, depth: int, of: str) -> str:
        kind = rng.randrange(6)
        if depth and kind < 2:
            one, other = (self._comparisons(rng, depth - 1, of) for _ in range(2))
            return f"{one} {rng.choice(('AND', 'OR'))} {other}"
        if depth and kind == 2:
            return f"({self._comparisons(rng, depth - 1, of)})"
        near = [path for path in self._paths if path.startswith(f"{of}:")]
        path = rng.choice(near if near and rng.random() < 0.9 else self._paths)
        negated = "NOT " if rng.random() < 0.15 else ""
        if rng.random() < 0.1:
            return f"{negated}EXISTS {path}"
        return f"{path} {negated}{_operation(rng)}"


def _operation(rng: random.Random) -> str:
    kind = rng.randrange(9)
    if kind == 0:
        return f"IN ({', '.join(_constant(rng) for _ in range(rng.randrange(1, 4)))})"
    if kind == 1:
        return f"MATCHES '{rng.choice(_REGEXES)}'"
    if kind == 2:
        return f"LIKE {_text(rng, '%_')}"
    if kind == 3:
        return f"{rng.choice(('ISSUBSET', 'ISSUPERSET'))} {_text(rng)}"
    return f"{rng.choice(('=', '!=', '<', '<=', '>', '>='))} {_constant(rng)}"


_QUALIFIERS = (
    " REPEATS 2 TIMES", " REPEATS 5000 TIMES", " WITHIN 5 SECONDS", " WITHIN 0.5 SECONDS", " WITHIN 999999999 SECONDS",
    " START t'2022-07-15T08:00:00Z' STOP t'2022-07-15T09:00:00Z'", " WITHIN 300 SECONDS REPEATS 3 TIMES",
    " START t'0001-01-01T00:00:00Z' STOP t'9999-12-31T23:59:59.999999Z'", " REPEATS 0 TIMES", " WITHIN -1 SECONDS",
)  # fmt: skip


def _text(rng: random.Random, more: str = "") -> str:
    text = rng.choice(VALUES)
    if more and text:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(more) + text[at + 1 :]
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _constant(rng: random.Random) -> str:
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(("5", "443", "-1", "0.5", "4624", "9" * 30, "1.0", "true", "false"))
    if kind == 1:
        return rng.choice(("t'2022-07-15T08:00:00Z'", "h'0a0a'", "b'YQ=='", "t'2022-02-30T08:00:00Z'", "h'0'", "b'Y'"))
    return _text(rng)


def _bundles(rng: random.Random) -> list[dict[str, Any]]:
    """Return bundles of observed data; some of it is none."""
    objects: list[Any] = []
    for number in range(6):
        roots = []
        for kind in rng.sample(("file", "process", "network-traffic", "ipv4-addr", "x-thing", "url"), 2):
            name = f"{kind}--{number}"
            keys = ("name", "value", "dst_ref", "size", "hashes", "command_line", "a", "protocols", "extensions")
            objects.append({"type": kind, "id": name, **{key: _property(rng) for key in rng.sample(keys, 4)}})
            roots.append(name)
        time = f"2022-07-15T08:00:{number:02}Z"
        observed: dict[str, Any] = {"type": "observed-data", "id": f"observed-data--{number}", "object_refs": roots}
        observed |= {"first_observed": time, "last_observed": time, "number_observed": rng.choice((1, 1, 3))}
        if rng.random() < 0.2:
            odd = (None, "x", 5, -1, 10**20, [], {}, "2022-07-15T08:00:00Z", ["file--0", 5], True)
            observed[rng.choice(tuple(observed))] = rng.choice(odd)
        objects.append(observed)
    return [{"type": "bundle", "id": "bundle--1", "objects": objects}]


def _property(rng: random.Random) -> Any:
    kind = rng.randrange(8)
    if kind == 0:
        return {"MD5": rng.choice(VALUES), "b": [{"c": rng.choice(VALUES)}]}
    if kind == 1:
        return [rng.choice(VALUES), 5, None, {"c": 1}]
    if kind == 2:
        return rng.choice((0, 5, 443, 0.5, True, None, 10**20, "file--1", "ipv4-addr--2"))
    return rng.choice(VALUES)


def _check_naive(text: str, data: bytes, plan: Plan) -> None:
    """Compare the records of each part that stands for events only with the naive evaluator's."""
    compiled = compile_pattern(text)
    if not compiled.single or compiled.parts[0].entries:
        return
    words = data + " ".join(FIELDS[:20]).encode()
    made = random_batches(words)
    expected = expected_records(compiled.parts[0].expression, made)
    if expected is None:
        return
    hunter = Hunter(plan)
    found = {(one.format, one.channel, hit.record) for _, _, one in made for hit in hunter.hunt([one]).sightings}
    assert found == expected, "the naive evaluator differs"


def seeds_of(data: Path) -> list[str]:
    """Return the patterns of ATT&CK-like bundles in the samples, at most 200."""
    found: list[str] = []
    for path in sorted(data.glob("**/*.json"))[:2000]:
        if path.stat().st_size < 2_000_000 and b'"pattern"' in (content := path.read_bytes()):
            try:
                found += [item["pattern"] for item in json.loads(content)["objects"] if "pattern" in item]
            except (ValueError, KeyError, TypeError):
                continue
    return found[:200]
