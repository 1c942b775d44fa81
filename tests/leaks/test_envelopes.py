"""What is around what leaves tells nothing either: names of files, lengths, cards, drafts, ledgers' heads, events."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.exchange import Sent, deliver, prepare_release
from aleat.trust.agreements import export_card
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.openpgp import PgpKey
from aleat.trust.seal import _decrypt, open_sealed, seal, sealed_name
from tests.leaks.ground import NOW, OURS, RECIPIENTS, Ground, identity
from tests.leaks.oracle import plain
from tests.leaks.surfaces import assert_untold, composed, everything
from tests.release.world import CREATED, made

GIVER, NORTH = identity("giver"), identity("north")
ALLIES = tuple(name for name in RECIPIENTS if name != "stranger")
OPEN = made("malware", "OpenTool", OURS, "green")
RED = made("malware", "Zqredcanary", GIVER, "red", aliases=["Zqredalias"])
HIDDEN = [RED, *(made("malware", f"Zqhidden{number}", GIVER, "red") for number in range(5))]


def sealed(ground: Ground, to: str = "north") -> Sent:
    """A sealed release of all that may leave."""
    with ground.ws.writing(), ground.ws._desk(write=True) as desk:
        return deliver(desk, to, prepare_release(desk, to))


# ------------------------------------------------------------------------------------- file names


def test_names_of_sealed_files_are_random(ground: Ground) -> None:
    """The same release twice has two names, which say neither whose it is nor what is inside."""
    ground.know([OPEN])
    names = {sealed(ground, to).name for to in ("north", "north", "bank")} | {sealed_name() for _ in range(100)}
    assert len(names) == 103
    assert all(re.fullmatch(r"aleat-[0-9a-f]{16}\.sealed", name) for name in names)


def test_names_inside_a_sealed_file_are_the_same_for_all(ground: Ground) -> None:
    """Parts are called by what they are; the header has no other name, and the manifest none of a file."""
    rows = "value,type\nzqlisted.example,domain\n"
    (ground.folder / "zqlistfile.csv").write_text(rows, encoding="utf-8")
    ground.ws.add_knowledge(ground.folder / "zqlistfile.csv", giver="giver")
    ground.know([OPEN])
    ground.know(HIDDEN, GIVER)
    parts = ground.unseal("north", sealed(ground).data)
    assert parts.keys() == {"header", "signature", "messages.json", "bundle.json", "manifest.json", "lists.json"}
    header = json.loads(parts["header"])
    assert header.keys() == {
        "format", "sender", "recipient", "recipient_key", "serial", "file", "sealed", "release", "parts"
    }  # fmt: skip
    assert {part["name"] for part in header["parts"]} == parts.keys() - {"header", "signature"}
    assert_untold(ground, "zqlistfile", "zqlisted", ".csv", to=("north", "bank", "sister", "stranger"))


def test_names_of_files_that_knowledge_came_in_stay(ground: Ground, tmp_path: Path) -> None:
    """Where a pack lay, and how it was called here, goes with nothing of it, wherever it may go."""
    folder = tmp_path / "zqpackfolder"
    folder.mkdir()
    bundle = {"type": "bundle", "id": "bundle--5f5f5f5f-0000-4000-8000-000000000011"}
    theirs = made("malware", "TheirTool", GIVER, "clear")
    content = {**bundle, "objects": [json.loads(theirs.raw)]}
    (folder / "zqpackname.json").write_text(json.dumps(content), encoding="utf-8")
    ground.ws.add_knowledge(folder / "zqpackname.json", giver="giver")
    assert_untold(ground, "zqpackfolder", "zqpackname", str(tmp_path).lower())
    assert "theirtool" in plain(dict(everything(ground, "north"))["sealed bundle.json"])


def test_letters_in_the_post_box_name_nothing(ground: Ground) -> None:
    """A sealed file that an ally fetches is an artifact under a random id: no name of a file, no thread, no release."""
    ground.know([OPEN])
    ground.know(HIDDEN, GIVER)
    name = ground.ws.release("north", None)
    with ground.serving() as server:
        listed = server.ask("north", "/taxii2/root/collections/").json["collections"]
        replies = [server.ask("north", f"/taxii2/root/collections/{one['id']}/objects/") for one in listed]
    letters = [one for reply in replies for one in reply.json.get("objects", ()) if one["type"] == "artifact"]
    assert [one.keys() for one in letters] == [
        {"type", "spec_version", "id", "mime_type", "payload_bin", "object_marking_refs"}
    ]
    text = "".join(plain(reply.seen) for reply in replies)
    assert str(name) not in text
    assert "zqhidden" not in text
    assert "release--" not in text


# --------------------------------------------------------------------------------------- lengths


def test_the_length_of_a_sealed_file_tells_nothing_of_what_is_withheld(ground: Ground) -> None:
    """With a hundred withheld objects or none it has the same length, and so have its parts."""
    lengths = []
    for hidden in ([], HIDDEN, [made("malware", f"Zqhidden{number}", GIVER, "red") for number in range(100)]):
        ground.restore()
        ground.know([OPEN])
        ground.know(hidden, GIVER)
        sent = sealed(ground)
        parts = ground.unseal("north", sent.data)
        whole = len(_decrypt(sent.data, [ground.allies["north"].age], ()))
        lengths.append((whole, {name: len(data) for name, data in parts.items()}))
    assert lengths[0] == lengths[1] == lengths[2]


def test_what_is_taken_out_leaves_no_length_behind(ground: Ground) -> None:
    """A masked word is as long whatever it was, and however often references were cut from a list."""
    lengths = set()
    for word, more in (("zqab", 1), ("zqa-word-of-many-letters", 1), ("zqab", 5)):
        ground.restore()
        hidden = [made("malware", f"{word}{number}", GIVER, "red") for number in range(more)]
        refs = [OPEN.id, *(one.id for one in hidden)]
        note = made("note", "n", OURS, "green", content=f"Like {hidden[0].name}.", object_refs=refs)
        ground.know([OPEN, note])
        ground.know(hidden, GIVER)
        parts = ground.unseal("north", sealed(ground).data)
        assert b"[withheld]" in parts["bundle.json"]
        lengths.add(len(parts["bundle.json"]))
    assert len(lengths) == 1


_KEYS = SigningKey.generate(), AgeKey.generate()
_COMMON: dict[str, Any] = {"sender": OURS, "recipient": NORTH, "recipient_key": _KEYS[1].recipient}


@pytest.mark.parametrize("kind", ["age", "openpgp"])
def test_sealed_files_are_padded_and_not_compressed(kind: str) -> None:
    """Of contents of about one size all files have one length, whether they would compress well or not."""
    key, own = _KEYS
    pgp = PgpKey.generate("North")
    certificate = pgp.certificate.text if kind == "openpgp" else ""

    def lengths(content: bytes) -> tuple[int, int]:
        data, _ = seal({"a": content}, key=key, serial=1, time=NOW, certificate=certificate, **_COMMON)
        return len(_decrypt(data, (own,), (pgp,))), len(data)

    mixed = bytes(number * number % 251 for number in range(101_000))
    found = [lengths(part) for part in (bytes(101_000), mixed, mixed[:-100], mixed[:-300])]
    assert {inside for inside, _ in found} == {102_400}
    assert all(inside < outside < inside + 2_000 for inside, outside in found)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 300_000))
def test_a_sealed_file_has_one_of_few_lengths(size: int) -> None:
    """Any size of content is rounded up (Padmé), by an eighth at most, and comes out as it was."""
    key, own = _KEYS
    data, _ = seal({"a": bytes(size)}, key=key, serial=1, time=NOW, **_COMMON)
    opened = open_sealed(data, own=NORTH, age_keys=(own,), senders={OURS: (key.public,)})
    assert opened.parts == {"a": bytes(size)}
    inside = len(_decrypt(data, (own,), ()))
    least = size + len(opened.header_bytes) + len(opened.signature)
    assert least < inside <= (least + 20) * 1.125
    exponent = inside.bit_length() - 1
    assert inside % (1 << (exponent - exponent.bit_length())) == 0


# ---------------------------------------------------------------- ledgers' heads, cards, agreements


def test_a_page_of_ledger_heads_tells_counts_and_hashes_only(ground: Ground) -> None:
    """Nothing of an entry is on the page: each ledger is its name, how many entries it has, and the last one's hash."""
    ground.know([OPEN])
    ground.know(HIDDEN, GIVER)
    ground.ws.hold([RED.id], "legal-hold", "Zqreason of a court")
    sealed(ground)
    page = ground.ws.export_heads()
    content = json.loads(page)
    assert content.keys() == {"statement", "signature", "countersignatures"}
    assert content["statement"].keys() == {"workspace", "identity", "organisation", "key", "time", "heads"}
    assert content["countersignatures"] == []
    for head in content["statement"]["heads"]:
        assert head.keys() == {"ledger", "entries", "hash"}
        assert re.fullmatch("[0-9a-f]{64}", head["hash"])
    text = plain(page)
    others = [identity(name)[-36:] for name in (*RECIPIENTS, "third")]
    for secret in ("zqhidden", "zqred", "zqreason", RED.id[-36:], OPEN.id[-36:], "legal-hold", "release--", *others):
        assert secret not in text, secret


def test_the_ledgers_themselves_are_in_nothing_that_leaves(ground: Ground) -> None:
    """Their export names what was withheld and from whom: it is ours, and no ally gets an entry or its hash."""
    ground.know([OPEN])
    ground.know(HIDDEN, GIVER)
    sealed(ground, "bank")
    ground.ws.hold([RED.id], "legal-hold", "Zqreason of a court")
    entries = [json.loads(line) for line in ground.ws.export_ledgers()]
    assert any(RED.id in json.dumps(entry) for entry in entries)
    hashes = [head.hash for head in ground.ws.heads()]
    assert_untold(ground, "zqreason", RED.id[-36:], *hashes, to=RECIPIENTS)


def test_our_card_tells_who_we_are_and_nothing_of_what_is_here(ground: Ground) -> None:
    """With allies, knowledge, evidence and releases or without: it stays the same, byte for byte."""
    before = ground.ws.export_card()
    ground.know(HIDDEN, GIVER)
    sealed(ground)
    assert ground.ws.export_card() == before == export_card(ground.ws.card(), ground.ws.key)
    text = plain(before)
    for secret in ("zqhidden", "zqred", str(ground.folder).lower(), *(identity(name)[-36:] for name in RECIPIENTS)):
        assert secret not in text, secret
    assert json.loads(before)["card"]["people"] == []


def test_the_draft_of_an_agreement_names_the_two_parties_alone(ground: Ground) -> None:
    """No other ally, what is agreed with any, nor what is here; and the same whatever is here."""
    before = ground.ws.draft_agreement("north")
    ground.know(HIDDEN, GIVER)
    sealed(ground, "bank")
    assert ground.ws.draft_agreement("north") == before
    text = plain(before)
    assert NORTH[-36:] in text
    for other in RECIPIENTS:
        if other != "north":
            assert identity(other)[-36:] not in text
            assert f"team {other}" not in text
    for secret in ("zqhidden", "zqred", "with-north", ground.ws.key.public.text[20:40].lower()):
        assert secret not in text, secret


# ------------------------------------------------------------------------------------ misp events


def test_what_goes_to_a_misp_server_holds_nothing_of_what_is_withheld(ground: Ground) -> None:
    """Each kind of thing that events are made of, beside a RED one that it names, refers to or counts."""
    ground.know([RED], GIVER)
    beacon = made("indicator", "beacon", OURS, "green", description="Of Zqredcanary's.")
    report = made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[beacon.id, RED.id])
    note = made("note", "n", OURS, "green", content="Zqredalias again.", object_refs=[beacon.id])
    link = made(
        "relationship", "r", OURS, "green", relationship_type="indicates", source_ref=beacon.id, target_ref=RED.id
    )
    seen = made("sighting", "s", OURS, "green", sighting_of_ref=beacon.id, count=3, description="Zqredcanary, too.")
    ground.know([beacon, report, note, link, seen])
    for to in ALLIES:
        text = plain(composed(ground, to))
        assert "beacon.example" in text
        for secret in ("zqred", RED.id[-36:], report.id[-36:], note.id[-36:], link.id[-36:], seen.id[-36:]):
            assert secret not in text, (to, secret)


def test_what_is_for_one_organisation_goes_to_no_misp_server(ground: Ground) -> None:
    """AMBER+STRICT of ours leaves for our own organisation in a sealed file, and is in none of its events."""
    strict = made("indicator", "zqstrict", OURS, "amber+strict")
    amber = made("indicator", "zqamber", OURS, "amber")
    ground.know([strict, amber, made("indicator", "beacon", OURS, "green")])
    parts = ground.unseal("sister", sealed(ground, "sister").data)
    assert b"zqstrict" in parts["bundle.json"]
    assert "zqstrict" not in plain(composed(ground, "sister"))
    assert "zqamber" in plain(composed(ground, "north"))
    assert "zqamber" not in plain(composed(ground, "bank"))
    events = json.loads(composed(ground, "north"))["response"]
    assert {one["Event"]["distribution"] for one in events} <= {"0", "1"}


def test_events_are_named_by_nothing_that_is_withheld(ground: Ground) -> None:
    """Their titles, dates, UUIDs and numbers are the same with withheld things about and without."""
    late = [made("indicator", f"zqlate{number}", GIVER, "red", modified=NOW + timedelta(number)) for number in range(3)]
    told = []
    for hidden in ([], late):
        ground.restore()
        ground.know(hidden, GIVER)
        ground.know([made("indicator", "beacon", OURS, "green"), made("indicator", "second", OURS, "amber")])
        told.append(composed(ground, "north"))
    assert told[0] == told[1]
