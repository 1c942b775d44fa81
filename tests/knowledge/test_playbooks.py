"""A playbook told as a list of steps; signatures that fit, don't fit, or can't be checked."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aleat.errors import Place
from aleat.knowledge.playbooks import PlaybookStep, read_steps, render_playbook
from aleat.knowledge.playbooks.signatures import signature_states
from aleat.knowledge.playbooks.steps import FIELD_EXTENSION, MOST_STEPS
from aleat.stix import canonical_json, make_object, parse_object
from tests.knowledge.playbooks import playbook, read_playbook, step_id

WHEN = datetime(2022, 7, 1, tzinfo=UTC)


def told(**steps: dict[str, Any]) -> list[str]:
    """The lines of a workflow whose steps have short names; each as "depth branch name" or "depth → number"."""
    found, _ = read_steps({"workflow_start": "a", "workflow": steps})
    return [_line(step) for step in found]


def _line(step: PlaybookStep) -> str:
    what = f"→{step.refers_to}" if step.refers_to is not None else step.name
    return " ".join(filter(None, (str(step.depth), step.branch, step.case, what)))


def act(name: str, **flows: Any) -> dict[str, Any]:
    """An action step."""
    return {"type": "action", "name": name, **flows}


def test_branches_are_set_in_and_what_follows_them_is_not() -> None:
    """As a reader does it: decide, do the branch, go on."""
    assert told(
        a={"type": "start", "on_completion": "b"},
        b={"type": "if-condition", "name": "B", "on_true": "c", "on_false": "d", "on_completion": "e"},
        c=act("C", on_completion="c2"),
        c2=act("C2", on_completion="x"),
        d=act("D", on_success="x", on_failure="c"),
        e={"type": "switch-condition", "name": "E", "cases": {"1": "f", "2": "g"}, "on_completion": "h"},
        f=act("F"),
        g={"type": "while-condition", "name": "G", "on_true": "g2"},
        g2=act("G2"),
        h={"type": "parallel", "name": "H", "next_steps": ["i", "j"], "on_completion": "x"},
        i=act("I"),
        j=act("J"),
        x={"type": "end"},
    ) == [
        "0 B", "1 then C", "1 C2", "1 else D", "2 failure →2", "0 E", "1 case 1 F", "1 case 2 G", "2 while G2", "0 H",
        "1 parallel I", "1 parallel J",
    ]  # fmt: skip


def test_what_comes_twice_is_referred_to_and_loops_end() -> None:
    """Each step once; a loop leads back by number."""
    assert told(a=act("A", on_completion="b"), b=act("B", on_completion="a")) == ["0 A", "0 B", "0 →1"]
    assert told(a=act("A", on_completion="a")) == ["0 A", "0 →1"]


def test_what_nothing_leads_to_is_told_last_and_says_so() -> None:
    """Nothing is dropped; steps that aren't there are passed over."""
    assert told(a=act("A", on_completion="zz"), c=act("C"), d={"type": "end"}) == ["0 A", "1 unreached C"]


def test_depth_and_number_of_steps_are_bounded() -> None:
    """However deep a stranger nests, and however long a workflow is."""
    deep = {f"n{n}": {"type": "if-condition", "name": str(n), "on_true": f"n{n + 1}"} for n in range(3_000)}
    steps, left_out = read_steps({"workflow_start": "n0", "workflow": deep})
    assert max(step.depth for step in steps) <= 12
    assert (len(steps), left_out) == (MOST_STEPS, 3_000 - MOST_STEPS)


@pytest.mark.parametrize(
    "odd", [None, 1, "x", [], {}, {"workflow": [1]}, {"workflow": {"a": 1}, "workflow_start": ["a"]}]
)
def test_any_json_can_be_told(odd: Any) -> None:
    """A playbook that is none has no steps."""
    assert read_steps(odd if isinstance(odd, dict) else {"workflow": odd}) == ((), 0)


def test_commands_are_shown_as_they_stand() -> None:
    """Base64 that is text is shown as text; nothing is filled in."""
    text = base64.b64encode("rm -rf __path__:value; ë".encode()).decode()
    binary = base64.b64encode(b"\0\1\2").decode()
    content = playbook()
    content["workflow"][step_id("action", 11)]["commands"] = [
        {"type": "bash", "command_b64": text},
        {"type": "jupyter", "command_b64": binary},
        {"type": "http-api", "command": "GET / HTTP/1.1", "content": "x"},
    ]
    (first, *_), _ = read_steps(content)
    assert [command.text for command in first.commands] == ["rm -rf __path__:value; ë", binary, "GET / HTTP/1.1\nx"]


@pytest.mark.parametrize("name", ["playbook_bin", "playbook_base64"])
def test_a_playbook_in_somebody_elses_course_of_action_is_told_too(name: str) -> None:
    """As CACAO Roaster writes it; the STIX object itself stays as it came."""
    data = base64.b64encode(json.dumps(playbook()).encode()).decode()
    field = {"extension_type": "property-extension", name: data}
    item = make_object(
        "course-of-action", step_id("course-of-action", 1), created=WHEN, extensions={FIELD_EXTENSION: field}
    )
    shown = render_playbook(parse_object(item.raw, Place("p")))
    assert shown is not None
    assert (shown.name, len(shown.steps)) == ("Contain ransomware", 3)
    for text in ("?", "QQ==", base64.b64encode(b"[1]").decode()):
        broken = {FIELD_EXTENSION: {"extension_type": "property-extension", name: text}}
        item = make_object("course-of-action", step_id("course-of-action", 1), created=WHEN, extensions=broken)
        assert render_playbook(item) is None


ED = ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
EC = ec.derive_private_key(7, ec.SECP256R1())
RSA = rsa.generate_private_key(65_537, 2_048)


def signed(key: Any, algorithm: str, *, hexadecimal: bool = False, **changes: Any) -> dict[str, Any]:
    """The playbook with a signature over itself, as ITU-T X.590 §7.1 makes it."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature: dict[str, Any] = {
        "type": "jss",
        "id": step_id("jss", 30),
        "created": "2022-07-02T08:00:00.000Z",
        "modified": "2022-07-02T08:00:00.000Z",
        "signee": "CERT North",
        "related_to": step_id("playbook", 1),
        "related_version": "2022-07-02T08:00:00.000Z",
        "hash_algorithm": "sha-256",
        "algorithm": algorithm,
        "public_key": base64.b64encode(public).decode(),
    }
    digest = hashlib.sha256(canonical_json(playbook(signatures=[signature])))
    data = digest.hexdigest().encode() if hexadecimal else digest.digest()
    if key is ED:
        value = ED.sign(data)
    elif key is EC:
        r, s = decode_dss_signature(EC.sign(data, ec.ECDSA(hashes.SHA256())))
        value = r.to_bytes(32) + s.to_bytes(32)
    else:
        value = RSA.sign(data, padding.PKCS1v15(), hashes.SHA256())
    text = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    return playbook(signatures=[{**signature, "value": text, **changes}])


@pytest.mark.parametrize(("key", "algorithm"), [(ED, "Ed25519"), (EC, "ES256"), (RSA, "RS256")])
@pytest.mark.parametrize("hexadecimal", [False, True])
def test_a_signature_that_fits_says_that_nothing_was_changed(key: Any, algorithm: str, hexadecimal: bool) -> None:
    """The hash as bytes, or as its text: the specification leaves it open."""
    content = signed(key, algorithm, hexadecimal=hexadecimal)
    assert signature_states(content) == ("intact",)
    assert signature_states({**content, "name": "changed"}) == ("broken",)
    (item,), issues = read_playbook(content)
    assert issues == []
    shown = render_playbook(item.object)
    assert shown is not None
    assert shown.signatures == ("intact",)


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "AAAA"}, {"public_key": 1}, {"algorithm": "XMSS-SHA2_10_256"}, {"hash_algorithm": "md5"},
        {"value": "ë"}, {"value": 7}, {"algorithm": "ES256"}, {"public_key": None, "cert_url": "https://example.org/c"},
    ],
)  # fmt: skip
def test_a_signature_that_cannot_be_checked_says_so(changes: dict[str, Any]) -> None:
    """Nothing is fetched, and nothing is called fitting that wasn't seen to fit."""
    content = signed(ED, "Ed25519")
    content["signatures"][0] |= changes
    assert signature_states(content) == ("not-verified",)


def test_signatures_of_another_version_are_named() -> None:
    """CACAO 2.0 §10.15: related_to and related_version are this playbook's."""
    content = signed(ED, "Ed25519", related_version="2022-07-01T08:00:00.000Z")
    issues = read_playbook(content)[1]
    assert any("/signatures/0/related_version" in issue.reason for issue in issues)
    assert signature_states(playbook(signatures=[1, {}])) == ("not-verified", "not-verified")
    assert signature_states(playbook(signatures="x")) == ()
