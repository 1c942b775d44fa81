"""The example's generator: the same bytes for a seed, a valid pack, and a ground truth that its logs bear out."""

from __future__ import annotations

import ast
import hashlib
import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import stix2validator
from sigma.collection import SigmaCollection

from tests.examples.simulation import EXAMPLE, load, moment, requests, windows

SCALE = 0.02

FOLDERS = {
    "portal.sherbime.example": "portal",
    "www.ministria.example": "ministria",
    "mail.qeveria.example": "mail",
    "www.policia.example": "pol-web01",
    "tims.policia.example": "pol-app01",
}


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("albania")
    load().build(folder, scale=SCALE)
    return folder


@pytest.fixture(scope="module")
def truth(example: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((example / "truth.json").read_bytes())
    return known


@pytest.fixture(scope="module")
def bundle(example: Path) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads((example / "pack" / "bundle.json").read_bytes())["objects"]
    return objects


def test_one_seed_gives_the_same_bytes_in_another_process(example: Path, tmp_path: Path) -> None:
    """Also with another hash seed, time zone and folder."""
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    command = [sys.executable, str(EXAMPLE / "generate.py"), str(tmp_path / "again"), "--scale", str(SCALE)]
    subprocess.run(command, check=True, env=environment, capture_output=True, cwd=tmp_path)
    assert digests(tmp_path / "again") == digests(example)


def test_another_seed_changes_the_evidence_but_not_the_pack(example: Path, tmp_path: Path) -> None:
    load().build(tmp_path, seed=7, scale=SCALE)
    first, second = digests(example), digests(tmp_path)
    assert {name for name in first if name.startswith("pack/")} == {name for name in second if name.startswith("pack/")}
    assert all(first[name] == second[name] for name in first if name.startswith(("pack/", "statements/")))
    assert first["evidence/windows/uj-dc01.jsonl"] != second["evidence/windows/uj-dc01.jsonl"]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    load().build(tmp_path, seed=7, scale=0.01)
    (tmp_path / "evidence" / "windows" / "left-over.jsonl").write_text("{}\n")
    load().build(tmp_path, seed=7, scale=0.01)
    assert not (tmp_path / "evidence" / "windows" / "left-over.jsonl").exists()


def test_the_generator_does_not_know_aleat() -> None:
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.split(".")[0] == "aleat"], path


def test_every_object_of_the_pack_is_valid(bundle: list[dict[str, Any]]) -> None:
    """Strict, one by one, with check 103 (UUIDv4) off."""
    options = stix2validator.ValidationOptions(strict=True, version="2.1", disabled=["103"])
    for made in bundle:
        result = stix2validator.validate_instance(made, options)
        assert result.is_valid, (made["id"], [str(error) for error in result.errors])


def test_every_reference_in_the_pack_leads_somewhere(bundle: list[dict[str, Any]]) -> None:
    known = {made["id"] for made in bundle}
    assert len(known) == len(bundle)
    for made in bundle:
        ends = [made.get(name) for name in ("created_by_ref", "source_ref", "target_ref")]
        ends += made.get("object_refs", []) + made.get("object_marking_refs", [])
        assert {end for end in ends if end} <= known, made["id"]


def test_the_pack_has_profiles_under_several_sponsors(bundle: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    names = {made["id"]: made.get("name") for made in bundle}
    links = [
        (names[made["source_ref"]], names[made["target_ref"]])
        for made in bundle
        if made.get("relationship_type") == "attributed-to" and made["source_ref"].startswith("intrusion-set")
    ]
    assert len({sponsor for _, sponsor in links}) >= 4
    assert {group for group, sponsor in links if sponsor == truth["sponsor"]} == set(truth["groups"])
    others = [name for pair in links for name in pair if name not in {truth["sponsor"], *truth["groups"]}]
    assert all(name.endswith("(invented)") for name in others)


def test_canaries_stand_only_with_the_third_party_and_what_points_at_it(
    example: Path, bundle: list[dict[str, Any]], truth: dict[str, Any]
) -> None:
    """An own object may name one only in a relationship to it, or by its id in a report: both are traps for a gate."""
    for label, canary in truth["canaries"].items():
        theirs = set(canary["ids"])
        assert {made["id"].partition("--")[0] for made in bundle if made["id"] in theirs} >= {
            "indicator",
            "relationship",
        }
        for made in bundle:
            text = json.dumps(made)
            if any(word in text for word in canary["texts"]):
                points = {made.get("source_ref"), made.get("target_ref")} & theirs
                assert made["id"] in theirs or points, (label, made["id"])
    words = [word.encode() for canary in truth["canaries"].values() for word in canary["texts"] + canary["ids"]]
    for path in example.rglob("*"):
        if path.is_file() and path.name not in ("truth.json", "bundle.json"):
            content = path.read_bytes()
            assert not [word for word in words if word in content], path


def test_every_sigma_rule_parses(example: Path) -> None:
    rules = sorted((example / "pack" / "sigma").glob("*.yml"))
    assert 10 <= len(rules) <= 15
    parsed = [SigmaCollection.from_yaml(path.read_text(encoding="utf-8")).rules for path in rules]
    assert all(len(found) == 1 and not found[0].errors for found in parsed)
    assert len({str(found[0].id) for found in parsed}) == len(rules)


def test_outages_stand_between_the_last_and_the_first_served_request(example: Path, truth: dict[str, Any]) -> None:
    served = defaultdict(list)
    for folder, when, status, _ in requests(example / "evidence"):
        if status < 500:
            served[folder].append(when)
    assert {row["cause"] for row in truth["outages"]} == {
        "attacker", "protective-shutdown", "maintenance", "log-lost", "undetermined",
    }  # fmt: skip
    for row in truth["outages"]:
        last, first = moment(row["last_served"]), moment(row["first_served"])
        times = served[FOLDERS[row["service"]]]
        assert last in times
        assert first in times
        assert not [when for when in times if last < when < first]
        assert first - last > timedelta(hours=2)


def test_shutdowns_have_a_reason_in_the_host_s_own_log(example: Path, truth: dict[str, Any]) -> None:
    for row in truth["outages"]:
        if row["cause"] in ("maintenance", "protective-shutdown"):
            path = example / "evidence" / "windows" / f"{row['host'].lower()}.jsonl"
            last, first = moment(row["last_served"]), moment(row["first_served"])
            planned = [
                fields for when, _, number, fields in windows(path) if number == 1074 and last <= moment(when) < first
            ]
            assert len(planned) == 1
            assert ("mbrojtëse" in planned[0]["param6"]) is (row["cause"] == "protective-shutdown")


def test_where_only_the_web_log_is_lost_the_host_s_other_logs_go_on(example: Path, truth: dict[str, Any]) -> None:
    """At the small scale a day holds few events; the host must at least not have restarted."""
    (row,) = [row for row in truth["outages"] if row["cause"] == "log-lost"]
    path = example / "evidence" / "windows" / f"{row['host'].lower()}.jsonl"
    days = timedelta(days=2)
    around = [
        number
        for when, _, number, _ in windows(path)
        if moment(row["last_served"]) - days < moment(when) < moment(row["first_served"]) + days
    ]
    assert around
    assert not {1074, 6005, 6006, 6008} & set(around)


def test_incidents_begin_and_end_as_told(example: Path, truth: dict[str, Any]) -> None:
    folder = example / "evidence" / "windows"
    for incident in truth["incidents"]:
        times = [moment(when) for host in incident["hosts"] for when, *_ in windows(folder / f"{host.lower()}.jsonl")]
        for edge in ("first", "last"):
            told = moment(incident[edge])
            assert min(abs(when - told) for when in times) < timedelta(milliseconds=1)
    first, second = truth["incidents"]
    assert moment(first["last"]) < moment(second["first"])
    assert not set(first["hosts"]) & set(second["hosts"])
    assert moment(truth["first_alarm"]) - moment(first["first"]) > timedelta(days=14 * 30 - 5)


def test_benign_hosts_never_met_the_intruders(example: Path, truth: dict[str, Any]) -> None:
    marks = [
        b"203.0.113.77",
        b"198.51.100.44",
        b"192.0.2.153",
        b"edge-sync-cdn",
        b"GoXML",
        b"Mellona",
        b"rwdsk",
        b"tlsvc",
    ]
    assert len(truth["benign_hosts"]) + sum(len(row["hosts"]) for row in truth["incidents"]) >= 12
    for host in truth["benign_hosts"]:
        content = (example / "evidence" / "windows" / f"{host.lower()}.jsonl").read_bytes()
        assert not [mark for mark in marks if mark in content], host


def test_what_is_open_was_never_closed(example: Path, truth: dict[str, Any]) -> None:
    folder = example / "evidence" / "windows"
    (task,) = truth["open"]["persistence"]
    events = [
        (number, fields)
        for _, _, number, fields in windows(folder / f"{task['host'].lower()}.jsonl")
        if fields.get("TaskName") == task["value"]
    ]
    assert [number for number, _ in events] == [4698]
    reset = {
        f"{fields['TargetDomainName']}\\{fields['TargetUserName']}"
        for host in ("uj-dc01", "pol-dc01")
        for _, _, number, fields in windows(folder / f"{host}.jsonl")
        if number in (4724, 4725, 4726)
    }
    assert not set(truth["open"]["accounts"]) & reset
    assert set(truth["closed"]["accounts"]) <= reset


def test_counts_in_the_truth_are_those_of_the_files(example: Path, truth: dict[str, Any]) -> None:
    web: dict[str, int] = defaultdict(int)
    for folder, *_ in requests(example / "evidence"):
        web[folder] += 1
    assert {service: web[folder] for service, folder in FOLDERS.items()} == truth["events"]["web"]
    for host, count in truth["events"]["windows"].items():
        lines = (example / "evidence" / "windows" / f"{host.lower()}.jsonl").read_bytes().count(b"\n")
        assert lines == count


def test_events_of_a_host_stand_in_order_of_time(example: Path) -> None:
    for path in (example / "evidence" / "windows").glob("*.jsonl"):
        times = [when for when, *_ in windows(path)]
        assert times == sorted(times)


def test_only_documentation_and_private_addresses_occur(example: Path) -> None:
    nets = [
        ipaddress.ip_network(net)
        for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "127.0.0.0/8")
    ]
    for path in (example / "evidence").rglob("*"):
        if path.is_file():
            for text in set(re.findall(rb"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.])", path.read_bytes())):
                try:
                    address = ipaddress.ip_address(text.decode())
                except ValueError:
                    continue
                if b"Version" not in text:
                    assert any(address in net for net in nets) or _is_version(path, text), (path.name, text)


def _is_version(path: Path, text: bytes) -> bool:
    """A version number of a file or browser, or a product, has four parts too."""
    content = path.read_bytes()
    around = [content[max(0, at.start() - 40) : at.start()] for at in re.finditer(re.escape(text), content)]
    return all(re.search(rb"Version|Chrome/|Edge/", before) for before in around)


def test_albanian_names_stand_in_two_code_pages(example: Path) -> None:
    ministry = b"".join(path.read_bytes() for path in (example / "evidence" / "iis" / "ministria").glob("*.log"))
    mail = b"".join(path.read_bytes() for path in (example / "evidence" / "iis" / "mail").glob("*.log"))
    assert "këshillit" in ministry.decode("cp1252")
    assert "çela" in mail.decode("utf-8")
    with pytest.raises(UnicodeDecodeError):
        ministry.decode("utf-8")


def test_the_statements_say_that_they_are_a_simulation(example: Path) -> None:
    assert (example / "statements" / "news.txt").read_text(encoding="utf-8").startswith("SIMULATION.")
    assert "**This is a simulation.**" in (EXAMPLE / "README.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_whole_example_is_large_and_made_in_a_minute(tmp_path: Path) -> None:
    """About 700,000 events, the background far larger than the attack, two requests a minute at the sites."""
    started = time.process_time()
    known = load().build(tmp_path)
    assert time.process_time() - started < 60
    assert 650_000 <= known["events"]["total"] <= 760_000
    assert sum(row["events"] for row in known["incidents"]) * 100 < sum(known["events"]["windows"].values())
    minutes: dict[str, int] = defaultdict(int)
    for folder, when, _, _ in requests(tmp_path / "evidence"):
        if when.date().isoformat() in ("2022-09-06", "2022-09-07"):
            minutes[folder] += 1
    assert all(count / 2880 >= 2 for count in minutes.values())
    assert len(minutes) == len(FOLDERS)
    (row,) = [row for row in known["outages"] if row["cause"] == "log-lost"]
    went_on = [
        when
        for when, *_ in windows(tmp_path / "evidence" / "windows" / f"{row['host'].lower()}.jsonl")
        if moment(row["last_served"]) < moment(when) < moment(row["first_served"])
    ]
    assert len(went_on) >= 15
