"""SigmaHQ's rules: all compiled or named; each regression sample fires its rule in every shape."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import orjson
import pytest
import yaml
from evtx import PyEvtxParser

from aleat.errors import Issue, Place
from aleat.evidence import open_sources, read_batches
from aleat.hunt import Hunter, Indicator, Plan, compile_plan

from .winlogbeat import winlogbeat_event

pytestmark = pytest.mark.data

Hits = Counter[tuple[str, str]]

WITHOUT_EMPTY_VALUES = {
    # Winlogbeat leaves empty values out, and to a rule that asks for null an absent field is null, an empty one not
    "HackTool - CACTUSTORCH Remote Thread Creation",  # selects StartModule: null
    "Uncommon New Firewall Rule Added In Windows Firewall Exception List",  # filters ApplicationPath: null
}

COUNTED_OTHERWISE = {
    # info.yml says 1 in both; the samples hold three files each that the rule's own lists name
    "0b9ad457-2554-44c1-82c2-d56a99c42377": 3,  # user.conf.new twice, user.conf~RF2d9c20d.TMP
    "8fbf3271-1ef6-4e94-8210-03c2317947f6": 3,  # procdump64.exe, procdump64a.exe, procdump.exe
}


@lru_cache(maxsize=1)
def rules(folder: Path) -> tuple[Indicator, ...]:
    found = []
    for path in sorted(folder.glob("rules*/**/*.yml")):
        text = path.read_text("utf-8")
        data = yaml.load(text, yaml.CSafeLoader)
        digest = sha256(text.encode()).hexdigest()
        found.append(Indicator(data["id"], data["id"], digest, "sigma", text, data["title"], "t", Place(str(path), 1)))
    return tuple(found)


@pytest.fixture(scope="module")
def plan(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return compile_plan(rules(test_data / "sigma"), cache=tmp_path_factory.mktemp("plan"))


def test_every_rule_is_compiled_or_named(plan: Plan, test_data: Path) -> None:
    """3,780 rules: 25 need placeholders that nobody gave; 10 have fields that the audit log lacks, and are partial."""
    given = rules(test_data / "sigma")
    kinds = Counter((item.code, item.partial) for item in plan.not_evaluated)
    assert kinds == {("placeholder", False): 25, ("rule", True): 10}
    assert len(plan.rules) + 25 == len(given) == 3780
    assert all(item.place.line and item.place.column for item in plan.not_evaluated if not item.partial)


def test_rules_without_evidence_of_their_kind_are_told_apart(plan: Plan) -> None:
    """Compiled, loaded, and known to have no reader yet."""
    products = Counter(rule.logsource.product for rule in plan.rules if not rule.formats)
    assert "windows" not in products
    assert products["qualys"] == 2


def test_placeholders_with_values_are_compiled(test_data: Path) -> None:
    """All 25 compile once each placeholder has a value."""
    given = [one for one in rules(test_data / "sigma") if "|expand:" in one.pattern]
    names: dict[str, list[str]] = {}
    for _ in range(10):
        rejected = compile_plan(given, placeholders=names).not_evaluated
        missing = {item.reason.split("%")[1] for item in rejected if item.code == "placeholder"}
        if not missing:
            break
        names.update({name: ["value*"] for name in missing})
    assert not [item for item in rejected if not item.partial]


def samples(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for path in sorted((folder / "sigma" / "regression_data").rglob("info.yml")):
        if list(path.parent.glob("*.evtx")):
            found.append((path.parent, yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)))
    return found


def hits(hunter: Hunter, path: Path) -> Hits:
    """Return how often each (rule's title, event digest) was found."""
    issues: list[Issue] = []
    found: Hits = Counter()
    for source in open_sources([path]):
        assert not isinstance(source, Issue), source
        for batch in read_batches(source, issues):
            found.update((sighting.title, sighting.event) for _, sighting in hunter.hunt_batch(batch))
    assert not issues, issues
    return found


def as_winlogbeat(evtx: Path, target: Path) -> Path:
    """Write what Winlogbeat would ship of a log; raises `ParseError` where a value can't stand in XML."""
    records = PyEvtxParser(str(evtx)).records()
    target.write_bytes(b"".join(orjson.dumps(winlogbeat_event(record["data"])) + b"\n" for record in records))
    return target


def test_every_regression_pair_fires_in_every_shape(plan: Plan, test_data: Path, tmp_path: Path) -> None:
    """95 samples as EVTX, as JSON, as Winlogbeat ships them: each rule's own count, where one is stated, and all
    rules find the same events (by their digests) in all three.
    """
    hunter = Hunter(plan)
    titles = {rule.indicator.id: rule.indicator.title for rule in plan.rules}
    pairs = samples(test_data)
    assert len(pairs) == 95
    for folder, info in pairs:
        identifier = info["rule_metadata"][0]["id"]
        evtx = next(folder.glob("*.evtx"))
        found = hits(hunter, evtx)
        own = sum(number for (title, _), number in found.items() if title == titles[identifier])
        stated = info["regression_tests_info"][0].get("match_count")
        if stated is not None:
            assert own == COUNTED_OTHERWISE.get(identifier, stated), (folder, own, stated)
        assert own, folder
        assert hits(hunter, next(folder.glob("*.json"))) == found, folder
        assert hits(hunter, as_winlogbeat(evtx, tmp_path / "beat.json")) == found, folder


def test_the_sample_that_is_no_windows_log_fires(plan: Plan, test_data: Path) -> None:
    """The 96th of the regression samples: a Cisco switch's line, without a year."""
    described = sorted((test_data / "sigma" / "regression_data").rglob("info.yml"))
    assert len(described) == 96
    [sample] = [path for item in described for path in item.parent.glob("*.raw")]
    found: Hits = Counter()
    for source in open_sources([sample]):
        assert not isinstance(source, Issue), source
        assert source.reader == "cisco"
        for batch in read_batches(source, []):
            found.update((sighting.title, sighting.event) for _, sighting in Hunter(plan).hunt_batch(batch))
    assert [(title, number) for (title, _), number in found.items()] == [("Cisco Dot1x Disabled", 1)]


@pytest.mark.long
def test_all_rules_find_the_same_events_in_real_logs_as_winlogbeat_ships_them(
    plan: Plan, test_data: Path, tmp_path: Path
) -> None:
    """All but the largest; some have values that no XML can hold."""
    hunter = Hunter(plan)
    logs = [path for path in sorted((test_data / "evtx").rglob("*.evtx")) if path.stat().st_size < 1_500_000]
    total = unwritable = 0
    for evtx in logs:
        try:
            shipped = hits(hunter, as_winlogbeat(evtx, tmp_path / "beat.json"))
        except ParseError:
            unwritable += 1
            continue
        found = hits(hunter, evtx)
        differ = {title for title, _ in (found - shipped) + (shipped - found)}
        assert differ <= WITHOUT_EMPTY_VALUES, (evtx, differ)
        total += sum(found.values())
    assert total > 1000
    assert unwritable < 10
