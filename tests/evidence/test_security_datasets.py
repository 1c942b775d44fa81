"""Real exports of attacks, one technique each (OTRF's Security-Datasets): all records are read, and what they show.

What each must show is in `tests/hunt/security_datasets_expected.toml`, which was written before the first hunt.
"""

from __future__ import annotations

import io
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from aleat.case.signal_rules import signals
from aleat.errors import Issue, Place
from aleat.evidence import NOTE_CODES, open_sources, read_batches
from aleat.hunt import Indicator, Plan, compile_plan, hunt_paths

pytestmark = pytest.mark.data

EXPECTED = Path(__file__).parents[1] / "hunt" / "security_datasets_expected.toml"
FOLDERS = ("rules", "rules-emerging-threats", "rules-threat-hunting")


@lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """Return the table of what is expected."""
    return tomllib.loads(EXPECTED.read_text("utf-8"))


def datasets(reader: str) -> Iterator[dict[str, Any]]:
    """Yield the datasets that a reader takes."""
    return (row for row in table()["dataset"] if row["reader"] == reader)


def json_lines(path: Path) -> int:
    """Count the lines of an archive's JSON members that aren't blank, by the plainest means."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
            return sum(bool(line.strip()) for name in names for line in archive.open(name))
    # behind the gzip data of the three tar archives there are bytes that are none
    data = zlib.decompressobj(31).decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = [tar.extractfile(member) for member in tar if member.name.endswith(".json") and member.isfile()]
        return sum(bool(line.strip()) for file in files if file is not None for line in file)


def read(path: Path, reader: str) -> tuple[int, list[Issue]]:
    """Return how many events a reader gives of an archive, and what could not be read."""
    events = 0
    issues: list[Issue] = []
    for source in open_sources([path]):
        if isinstance(source, Issue):
            issues.append(source)
        else:
            assert source.reader == reader, source.path
            events += sum(batch.table.num_rows for batch in read_batches(source, issues))
    return events, [issue for issue in issues if issue.code not in NOTE_CODES]


@lru_cache(maxsize=1)
def rules(folder: Path) -> Mapping[str, tuple[Indicator, frozenset[str]]]:
    """Return each rule with the techniques of its tags."""
    found = {}
    for name in FOLDERS:
        for path in sorted((folder / name).rglob("*.yml")):
            text = path.read_text("utf-8")
            data = yaml.load(text, yaml.CSafeLoader)
            tags = frozenset(tag[7:].upper() for tag in data.get("tags", ()) if tag.startswith("attack.t"))
            digest = sha256(text.encode()).hexdigest()
            rule = Indicator(
                data["id"], data["id"], digest, "sigma", text, data["title"], "t", Place(str(path), 1), data["level"]
            )
            found[data["id"]] = rule, tags
    return found


def own_rules() -> dict[str, tuple[Indicator, frozenset[str]]]:
    """Return the project's signals that name a technique: findings about the logs themselves."""
    tags = {
        rule.id: frozenset(tag[7:].upper() for tag in rule.tags if tag.startswith("attack.t")) for rule in signals()
    }
    return {rule.id: (rule, tags[rule.id]) for rule in signals() if tags[rule.id]}


def shown(path: Path, plan: Plan, known: Mapping[str, tuple[Indicator, frozenset[str]]]) -> tuple[set[str], set[str]]:
    """Return the techniques (and those above them) of SigmaHQ's rules that find something, and of all rules."""
    found = {sighting.indicator for sighting in hunt_paths([path], plan, workers=1).sightings}
    own = own_rules()
    return with_parents(known[rule][1] for rule in found - own.keys()), with_parents(known[rule][1] for rule in found)


def with_parents(techniques: Iterable[frozenset[str]]) -> set[str]:
    """Return all techniques, sub-techniques' own ones among them."""
    together = set().union(*techniques)
    return together | {technique.partition(".")[0] for technique in together}


def test_the_table_names_every_archive_of_windows_events(test_data: Path) -> None:
    folder = test_data / "logs" / "security-datasets"
    named = {row["path"] for row in table()["dataset"]}
    hosts = {path.relative_to(folder).as_posix() for path in folder.glob("atomic/windows/*/host/*")}
    assert hosts <= named
    assert all((folder / path).is_file() for path in named)


def test_some_archives_give_as_many_events_as_lines(test_data: Path) -> None:
    for row in list(datasets("windows-json"))[::16]:
        path = test_data / "logs" / "security-datasets" / row["path"]
        if path.suffix == ".zip":
            assert read(path, "windows-json") == (json_lines(path), []), row["path"]


@pytest.mark.long
def test_every_archive_gives_as_many_events_as_lines(test_data: Path) -> None:
    for row in datasets("windows-json"):
        path = test_data / "logs" / "security-datasets" / row["path"]
        events, issues = read(path, "windows-json")
        assert events == json_lines(path), row["path"]
        assert issues == [], row["path"]


@pytest.mark.long
def test_datasets_show_what_they_must_or_are_named(test_data: Path, tmp_path: Path) -> None:
    """What isn't shown stands in `[unshown]`, each with its reason; another result is another hunt."""
    known = {**rules(test_data / "sigma"), **own_rules()}
    plan = compile_plan([rule for rule, _ in known.values()], cache=tmp_path)
    rows = [row for row in table()["dataset"] if row["reader"] == "windows-json"]
    missing, still = [], []
    for row in rows:
        by_sigma, by_all = shown(test_data / "logs" / "security-datasets" / row["path"], plan, known)
        if not by_sigma & set(row["shows"]):
            missing.append(row["path"])
        if not by_all & set(row["shows"]):
            still.append(row["path"])
    assert sorted(missing) == sorted(table()["unshown"].keys() & {row["path"] for row in rows})
    assert sorted(set(missing) - set(still)) == sorted(table()["shown_by_signals"]["paths"])
    assert (len(rows) - len(missing), len(rows) - len(still), len(rows)) == (54, 56, 68)
