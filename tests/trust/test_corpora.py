"""Public corpora: recognised by digest, declaration or appearance, under a signed policy."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import SignatureError, TrustError
from aleat.knowledge import KnowledgeItem, read_knowledge
from aleat.stix import StixObject, make_object, parse_bundle
from aleat.trust.corpora import (
    CorpusMatch,
    CorpusPolicy,
    corpus_digest,
    parse_policy,
    policy_bytes,
    recognise_file,
    recognise_objects,
    recognise_rules,
    sign_policy,
    verify_policy,
)
from aleat.trust.keys import SigningKey
from aleat.trust.markings import marking_id

WHEN = datetime(2022, 7, 15, 8, tzinfo=UTC)
POLICY = parse_policy(policy_bytes())
MITRE = POLICY.get("mitre-attack").identity
STATEMENT = POLICY.get("mitre-attack").markings[0]
LICENCE = "The rules are released under the [Detection Rule License (DRL)\n1.1] by SigmaHQ."


def technique(number: int, **more: Any) -> StixObject:
    """An object that looks like one of ATT&CK's."""
    properties: dict[str, Any] = {"created_by_ref": MITRE, "markings": [STATEMENT], "name": f"T{number}", **more}
    type_ = properties.pop("type", "attack-pattern")
    return make_object(type_, f"{type_}--8e2e2d2b-17d4-4cbf-938f-{number:012x}", created=WHEN, **properties)


def with_version(policy: CorpusPolicy, name: str, digest: str) -> CorpusPolicy:
    text = policy_bytes().decode()
    entry = f'versions = [{{ name = "test", objects = 2, digest = "{digest}" }}]'
    marker = f'name = "{name}"\n'
    assert marker in text
    lines = []
    skip = False
    for line in text.splitlines():
        if line.startswith("versions = ["):
            skip = True
        if not skip:
            lines.append(line)
        if skip and line.endswith("]"):
            skip = False
    return parse_policy("\n".join(lines).replace(marker, f"{marker}{entry}\n").encode())


def test_a_known_version_is_recognised_by_its_digest_in_any_order() -> None:
    """And no longer when one object is changed, added or left out."""
    objects = [technique(1, created_by_ref=None, markings=[]), technique(2)]
    policy = with_version(POLICY, "mitre-attack", corpus_digest(item.digest for item in objects))
    assert recognise_objects(objects[::-1], policy) == CorpusMatch("mitre-attack", "digest", "test")
    for changed in ([*objects, technique(3, created_by_ref=None)], objects[:1]):
        match = recognise_objects(changed, policy)
        assert match is None or match.basis == "appearance"


def test_a_bundle_all_by_mitre_is_recognised_by_appearance() -> None:
    """Some objects may be by nobody, as in ATT&CK's own bundles; most must be MITRE's."""
    objects = [technique(1), technique(2), technique(3, created_by_ref=None)]
    assert recognise_objects(objects, POLICY) == CorpusMatch("mitre-attack", "appearance")
    assert recognise_objects(objects[2:], POLICY) is None
    assert recognise_objects([], POLICY) is None


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("by somebody else", {"created_by_ref": "identity--11111111-1111-4111-8111-111111111111"}),
        ("with a label", {"markings": [STATEMENT, marking_id("tlp:amber")]}),
        ("with a label on a part", {"granular_markings": [{"selectors": ["name"], "marking_ref": STATEMENT}]}),
        ("of a type that isn't ATT&CK's", {"type": "indicator"}),
        ("changed by another team", {"x_mitre_modified_by_ref": "identity--11111111-1111-4111-8111-111111111111"}),
    ],
)
def test_one_object_that_does_not_fit_makes_it_another_bundle(fault: str, more: dict[str, Any]) -> None:
    """Nothing of it is recognised then: a corpus is whole or it isn't one."""
    objects = [technique(number) for number in range(20)]
    assert recognise_objects(objects, POLICY) is not None
    assert recognise_objects([*objects, technique(99, **more)], POLICY) is None, fault


def test_rules_are_recognised_by_digest_and_shown_by_appearance() -> None:
    """A licence and a layout can be a team's own copy with its own rules: not accepted."""
    rules = {"rules/windows/a.yml": "aa", "rules-threat-hunting/b.yml": "bb"}
    policy = with_version(POLICY, "sigmahq", corpus_digest(rules.values()))
    digest = recognise_rules({**rules, "private/c.yml": "cc"}, [], policy)
    assert digest == CorpusMatch("sigmahq", "digest", "test")
    appearance = recognise_rules({**rules, "rules/own.yml": "cc"}, [LICENCE], policy)
    assert appearance == CorpusMatch("sigmahq", "appearance")
    assert policy.treats_as_clear("sigmahq", "digest")
    assert policy.treats_as_clear("sigmahq", "declared")
    assert not policy.treats_as_clear("sigmahq", "appearance")


@pytest.mark.parametrize(
    ("fault", "rules", "licences"),
    [
        ("no licence", {"rules/a.yml": "a"}, []),
        ("another licence", {"rules/a.yml": "a"}, ["MIT"]),
        ("another layout", {"mine/a.yml": "a"}, [LICENCE]),
        ("no rules", {}, [LICENCE]),
    ],
)
def test_rules_without_the_signs_are_not_recognised(fault: str, rules: dict[str, str], licences: list[str]) -> None:
    """They stay, until somebody declares what they are."""
    assert recognise_rules(rules, licences, POLICY) is None, fault


def test_a_policy_knows_its_corpora_by_name_and_alias() -> None:
    """And says which it knows."""
    assert POLICY.get("attack") is POLICY.get("mitre-attack")
    with pytest.raises(TrustError, match=r"knows no corpus 'x'\. It knows mitre-attack, sigmahq"):
        POLICY.get("x")
    assert not POLICY.treats_as_clear(None, "")
    assert not POLICY.treats_as_clear("mitre-attack", "rumour")


def test_a_policy_counts_only_with_its_signature() -> None:
    """One byte changed, or another key: refused."""
    key, data = SigningKey.generate(), policy_bytes()
    signature = sign_policy(data, key)
    assert verify_policy(data, signature, [key.public]) == POLICY
    with pytest.raises(SignatureError):
        verify_policy(data + b"\n", signature, [key.public])
    with pytest.raises(SignatureError):
        verify_policy(data, signature, [SigningKey.generate().public])


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"version = 1", b"version = 2\ncorpus = []", b"version = 1\n[[corpus]]\nname = 'x'\ntrust = 'all'"],
)
def test_a_policy_that_is_not_understood_is_refused(data: bytes) -> None:
    """Also one that says more than is understood, or is of a later version; nor is it signed."""
    with pytest.raises(TrustError, match="policy on public corpora"):
        sign_policy(data, SigningKey.generate())


@pytest.mark.data
@pytest.mark.parametrize("name", ["enterprise", "ics", "mobile"])
def test_attack_18_1_is_known_by_digest(test_data: Path, name: str) -> None:
    """And would be recognised by its appearance if it were another version."""
    objects = parse_bundle((test_data / "attack" / f"{name}-attack.json").read_bytes(), name).objects
    match = recognise_objects(objects, POLICY)
    assert match is not None
    assert (match.basis, match.version[:4]) == ("digest", "18.1")
    assert recognise_objects(objects[:-1], POLICY) == CorpusMatch("mitre-attack", "appearance")


@pytest.mark.data
def test_sigmahqs_rules_are_known_by_digest(test_data: Path) -> None:
    """The version of August 2026; with one rule more it is only an appearance."""
    root = test_data / "sigma"
    rules = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.glob("rules*/**/*.yml")
    }
    licence = (root / "LICENSE").read_text()
    assert len(rules) == 3780
    assert recognise_rules(rules, [licence], POLICY) == CorpusMatch("sigmahq", "digest", "2026-08")
    assert recognise_rules({**rules, "rules/x.yml": "x"}, [licence], POLICY) == CorpusMatch("sigmahq", "appearance")


def test_a_galaxy_is_recognised_by_its_files_digest_alone() -> None:
    """Anybody can write a file that looks like one."""
    version = POLICY.get("misp-galaxy").versions[0]
    assert recognise_file(version.digest, POLICY) == CorpusMatch("misp-galaxy", "digest", version.name)
    assert recognise_file(hashlib.sha256(b"").hexdigest(), POLICY) is None
    assert not POLICY.treats_as_clear("misp-galaxy", "appearance")
    assert POLICY.get("mitre-d3fend").name == "d3fend"


@pytest.mark.data
def test_the_galaxies_are_the_versions_in_the_list(test_data: Path) -> None:
    """All of their objects are told as the corpus', by digest, with the galaxy's version."""
    files = sorted((test_data / "misp-galaxy" / "clusters").glob("*.json"))
    found = [recognise_file(hashlib.sha256(file.read_bytes()).hexdigest(), POLICY) for file in files]
    assert {match.version for match in found if match} == {one.name for one in POLICY.get("misp-galaxy").versions}
    items = [one for one in read_knowledge([files[-1]], policy=POLICY) if isinstance(one, KnowledgeItem)]
    assert {(one.corpus, one.corpus_basis) for one in items} == {("misp-galaxy", "digest")}
