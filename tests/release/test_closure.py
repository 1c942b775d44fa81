"""Nothing of what is withheld is in what leaves: no id, name, value or reference, in any byte."""

from __future__ import annotations

import base64
import json
import random
import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.errors import IntegrityError, Place
from aleat.knowledge.playbooks.steps import FIELD_EXTENSION
from aleat.release import Subject, close, decide, describe_derived, describe_stored, prepare
from aleat.release.closure import FINDERS
from aleat.release.words import find_words, fold, words_of
from aleat.stix import StixObject, make_bundle, make_object, parse_object
from aleat.stix.extensions import extend
from aleat.trust.markings import marking_id
from tests.release.world import (
    CREATED,
    GIVER,
    MITRE,
    NORTH,
    OURS,
    SECRET,
    THIRD,
    agreement,
    made,
    oid,
    own_subject,
    stored,
    subject,
    terms,
)


def released(*subjects: Subject, to: str = "north", **changes: object) -> tuple[dict[str, StixObject], dict[str, str]]:
    """What leaves (by name, else id), and each object's final rule (by name, else id)."""
    agreed = terms(to, **changes)
    closed = close(subjects, decide(subjects, agreed), agreed, secret=SECRET)
    return (
        {item.name or item.id: item for item in closed.objects},
        {s.object.name or s.object.id: d.rule for s, d in zip(subjects, closed.decisions, strict=True)},
    )


def relate(source: StixObject, target: StixObject, by: str = OURS, *labels: str) -> StixObject:
    """A relationship."""
    return made(
        "relationship",
        f"{source.id}{target.id}",
        by,
        *labels,
        relationship_type="related-to",
        source_ref=source.id,
        target_ref=target.id,
    )


SECRET_RAT = made("malware", "QuietRat", THIRD, "amber", aliases=["Whisperer"])
OPEN = made("malware", "OpenTool", OURS, "green")
HIDDEN = subject(stored(SECRET_RAT, GIVER))
SHOWN = own_subject(OPEN, "green")


def test_a_relationship_with_a_withheld_end_stays() -> None:
    """It can't do without its ends; whom to ask is the withheld end's originator."""
    link = relate(OPEN, SECRET_RAT, OURS, "green")
    agreed = terms("north")
    subjects = [SHOWN, HIDDEN, own_subject(link, "green")]
    closed = close(subjects, decide(subjects, agreed), agreed, secret=SECRET)
    assert [item.id for item in closed.objects] == [OPEN.id]
    assert closed.decisions[2].rule == "refers-to-withheld"
    assert closed.decisions[2].ask == (THIRD,)


def test_a_report_of_ours_is_told_again_without_what_is_withheld() -> None:
    """Under another id, which differs by recipient and is the same each time, and says so."""
    report = made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[OPEN.id, SECRET_RAT.id])
    leaving, rules = released(SHOWN, HIDDEN, own_subject(report, "green"))
    again = leaving["Weekly"]
    assert again.id != report.id
    assert again.properties()["object_refs"] == [OPEN.id]
    assert "told-again" in again.labels
    assert released(SHOWN, HIDDEN, own_subject(report, "green"))[0]["Weekly"].raw == again.raw
    to_sister = released(SHOWN, HIDDEN, own_subject(report, "green"), to="sister")[0]["Weekly"]
    assert to_sister.id not in {again.id, report.id}
    assert rules["Weekly"] == "own-label"


def test_a_report_that_would_be_empty_stays() -> None:
    """Nothing is left to tell."""
    report = made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[SECRET_RAT.id])
    leaving, rules = released(HIDDEN, own_subject(report, "green"))
    assert leaving == {}
    assert rules["Weekly"] == "refers-to-withheld"


def test_what_others_gave_is_never_told_again() -> None:
    """A received report that lists a withheld object stays, though its own label lets it leave."""
    report = made("report", "Theirs", GIVER, "clear", published=CREATED, object_refs=[OPEN.id, SECRET_RAT.id])
    leaving, rules = released(SHOWN, HIDDEN, subject(stored(report, GIVER)))
    assert list(leaving) == ["OpenTool"]
    assert rules["Theirs"] == "refers-to-withheld"


def test_received_objects_leave_byte_for_byte() -> None:
    """With unknown properties and odd spacing."""
    raw = made("malware", "Odd", GIVER, "green").raw.replace(b"{", b'{ "x_odd" : 1.50, ', 1)
    item = parse_object(raw, Place("x"))
    leaving, _ = released(subject(stored(item, GIVER)))
    assert leaving["Odd"].raw == raw
    assert raw in make_bundle(leaving.values())


def test_names_of_withheld_objects_are_masked_in_texts_of_ours() -> None:
    """Also another case, an alias, a defanged value; the rest of the text stays."""
    bad = made("indicator", "callback", THIRD, "amber")
    text = "We saw QUIETRAT (whisperer) call callback[.]example on Monday."
    note = made("note", "n", OURS, "green", content=text, object_refs=[OPEN.id])
    leaving, _ = released(SHOWN, HIDDEN, subject(stored(bad, GIVER)), own_subject(note, "green"))
    (told,) = (item for item in leaving.values() if item.type == "note")
    content = told.properties()["content"]
    assert not find_words([fold(content)], words_of(SECRET_RAT.properties()) | words_of(bad.properties()))
    assert told.id != note.id
    plain = made("note", "n2", OURS, "green", content="We saw QuietRat on Monday.", object_refs=[OPEN.id])
    leaving, _ = released(SHOWN, HIDDEN, own_subject(plain, "green"))
    (told,) = (item for item in leaving.values() if item.type == "note")
    assert told.properties()["content"] == "We saw [withheld] on Monday."


def test_a_name_or_a_pattern_of_ours_that_tells_a_withheld_name_stays() -> None:
    """What can't be masked without changing its meaning is withheld."""
    campaign = made("campaign", "QuietRat autumn", OURS, "green")
    _, rules = released(HIDDEN, own_subject(campaign, "green"))
    assert rules["QuietRat autumn"] == "names-withheld"


def test_a_word_of_a_public_corpus_is_no_secret() -> None:
    """ATT&CK names it too, so our text may."""
    public = made("malware", "QuietRat", MITRE)
    corpus = subject(stored(public, "somebody", corpus="mitre-attack", corpus_basis="digest"))
    note = made("note", "n", OURS, "green", content="QuietRat, as ATT&CK has it.", object_refs=[OPEN.id])
    hidden = subject(stored(made("tool", "QuietRat", THIRD, "amber"), GIVER))
    leaving, _ = released(SHOWN, hidden, corpus, own_subject(note, "green"))
    assert leaving[note.id].raw == note.raw


def test_a_value_that_we_state_ourselves_is_ours_but_one_derived_here_is_not() -> None:
    """Two givers of one value are two copies; what was made from the other's copy is none of ours."""
    hidden = subject(
        stored(made("indicator", "Call home", THIRD, "amber", pattern="[domain-name:value = 'beacon.example']"), GIVER)
    )
    ours = make_object("domain-name", oid("domain-name", "b"), value="beacon.example")
    assert len(released(hidden, own_subject(ours, "green"))[0]) == 1
    assert released(hidden, own_subject(ours, "green", derived=True))[0] == {}


def test_what_rests_on_a_withheld_object_stays() -> None:
    """Also where it neither names nor refers to it."""
    incident = made("incident", "Number 1", OURS, "green")
    hidden_one = own_subject(incident, "green", derived=True, rests_on=frozenset({SECRET_RAT.id}))
    _, rules = released(HIDDEN, hidden_one)
    assert rules["Number 1"] == "rests-on-withheld"


def test_what_refers_to_something_told_again_is_told_again_too() -> None:
    """Ours with the new id; others' objects stay."""
    report = made("report", "Weekly", OURS, "green", published=CREATED, object_refs=[OPEN.id, SECRET_RAT.id])
    note = made("note", "n", OURS, "green", content="see there", object_refs=[report.id])
    theirs = made("note", "t", GIVER, "clear", content="see there", object_refs=[report.id])
    subjects = (SHOWN, HIDDEN, own_subject(report, "green"), own_subject(note, "green"), subject(stored(theirs, GIVER)))
    leaving, rules = released(*subjects)
    (told,) = (item for item in leaving.values() if item.type == "note")
    assert told.properties()["object_refs"] == [leaving["Weekly"].id]
    assert rules[theirs.id] == "refers-to-withheld"


def test_a_label_is_added_where_ours_has_none() -> None:
    """The agreement's default, as the object's next version."""
    bare = made("malware", "Bare", OURS)
    leaving, _ = released(own_subject(bare))
    marked = leaving["Bare"]
    assert marked.object_marking_refs == ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",)
    assert marked.modified == "2022-09-01T00:00:00.001Z"


def test_a_label_beside_an_object_of_ours_goes_into_it() -> None:
    """The label that a list's column gave: without it the recipient's tools would read "no marking"."""
    bare = make_object("domain-name", oid("domain-name", "d"), value="beside.example")
    leaving, _ = released(subject(stored(bare, OURS, beside=("green",))))
    assert leaving[bare.id].object_marking_refs == (marking_id("tlp:green"),)
    loose = made("malware", "Loose", OURS, "clear")
    leaving, _ = released(subject(stored(loose, OURS, beside=("amber",))))
    assert leaving["Loose"].object_marking_refs == (marking_id("tlp:amber"),)


def test_internal_addresses_and_hosts_stay_unless_the_agreement_says_so() -> None:
    """In texts of ours they are masked, in names they keep the object here."""
    text = "Host WEB-TIRANA-01 (10.4.0.17) called 192.0.2.7."
    note = made("note", "n", OURS, "green", content=text, object_refs=[OPEN.id])
    words = frozenset({"web-tirana-01"})
    leaving, _ = released(SHOWN, own_subject(note, "green"), internal_words=words)
    (told,) = (item for item in leaving.values() if item.type == "note")
    assert told.properties()["content"] == "Host [withheld] ([withheld]) called 192.0.2.7."
    open_terms = (agreement("with-north", "north", release={"labels": ["green"], "internal": True}),)
    leaving, _ = released(SHOWN, own_subject(note, "green"), internal_words=words, agreements=open_terms)
    assert leaving[note.id].raw == note.raw


def test_a_marking_definition_leaves_only_with_what_uses_it() -> None:
    """The statement of a withheld object says something of it."""
    statement = make_object(
        "marking-definition",
        oid("marking-definition", "s"),
        created=CREATED,
        definition_type="statement",
        definition={"statement": "Copyright of a quiet team."},
    )
    used = own_subject(made("malware", "Used", OURS, "green", statement.id), "green")
    definition = subject(stored(statement, GIVER))
    assert statement.id in released(definition, used)[0]
    assert released(definition, SHOWN)[0].keys() == {"OpenTool"}


def test_nobody_redefines_a_published_marking() -> None:
    """What a giver sends under TLP's own id is not TLP's definition: the published one leaves."""
    poisoned = make_object(
        "marking-definition", marking_id("tlp:green"), created=CREATED, name="TLP:GREEN", x_note="about QuietRat"
    )
    release = prepare([subject(stored(poisoned, GIVER)), SHOWN], terms("north"), secret=SECRET)
    assert [item.type for item in release.objects] == ["malware", "marking-definition"]
    assert b"QuietRat" not in release.bundle


def test_a_withheld_word_does_not_keep_definitions_or_ourselves_back() -> None:
    """Somebody's AMBER malware called "Coverage" or "Amber" must not stop every release."""
    hidden = [subject(stored(made("malware", name, THIRD, "amber"), GIVER)) for name in ("Coverage", "Amber")]
    sighting = made(
        "sighting", "s", OURS, "green", sighting_of_ref=OPEN.id, extensions=extend("coverage", {"looked_at": []})
    )
    ourselves = make_object("identity", OURS, created=CREATED, name="We", identity_class="organization")
    release = prepare(
        [*hidden, SHOWN, own_subject(sighting, "green"), own_subject(ourselves, "green")], terms("north"), secret=SECRET
    )
    assert {item.type for item in release.objects} == {
        "malware",
        "sighting",
        "identity",
        "marking-definition",
        "extension-definition",
    }


def test_a_word_with_something_unseen_in_it_is_found() -> None:
    """Soft hyphens and zero-width spaces, compatibility forms."""
    for spelling in ("Quiet\u00adRat", "Quiet\u200bRat", "\uff31uietRat", "qUIETrAT"):
        note = made("note", "n", OURS, "green", content=f"We saw {spelling}.", object_refs=[OPEN.id])
        leaving, _ = released(SHOWN, HIDDEN, own_subject(note, "green"))
        (told,) = (item for item in leaving.values() if item.type == "note")
        assert "[withheld]" in told.properties()["content"]


# ---------------------------------------------------------------------------------------------------------
# The property, on random graphs.

TYPES = ("malware", "report", "note", "relationship", "indicator", "sighting", "domain-name", "identity", "grouping")
NAMED = ("malware", "indicator", "domain-name", "identity", "grouping")


def token(generator: random.Random) -> str:
    """A word that stands nowhere by chance."""
    return "zq" + "".join(generator.choice("bcdfghjklmnpqrstvwxz") for _ in range(9))


def random_world(seed: int) -> tuple[list[Subject], dict[str, set[str]]]:
    """A random graph of marked objects, and each object's secrets (id, names, values)."""
    generator = random.Random(seed)  # noqa: S311
    count = generator.randint(4, 30)
    nodes = [
        (generator.choice(TYPES), token(generator), str(uuid.UUID(int=generator.getrandbits(128), version=4)))
        for _ in range(count)
    ]
    ids = [f"{type_}--{uuid_}" for type_, _, uuid_ in nodes]
    subjects: list[Subject] = []
    secrets: dict[str, set[str]] = {}
    for number, (type_, word, uuid_) in enumerate(nodes):
        item = random_object(generator, ids[number], type_, word, ids, nodes)
        value = f"{word}.example" if type_ in {"indicator", "domain-name"} else word
        secrets[item.id] = {uuid_, value} if type_ in NAMED else {uuid_}
        made_here = with_entries(generator, random_subject(generator, item, ids), [word for _, word, _ in nodes])
        secrets[item.id] |= set(made_here.values)
        subjects.append(made_here)
    return subjects, secrets


def random_object(
    generator: random.Random, id_: str, type_: str, word: str, ids: list[str], nodes: list[tuple[str, str, str]]
) -> StixObject:
    """One object, with references and texts that name others."""

    def somebody() -> str:
        return generator.choice(ids)

    def text() -> str:
        other = generator.choice(nodes)
        return generator.choice(
            [
                "nothing to see",
                f"about {other[1].upper()}.",
                f"see {other[0]}--{other[2]}",
                f"at {other[1]}[.]example",
                f"{other[1][:1]}\u0301{other[1][1:]} and \uff0a{other[1]}\uff0a",
            ]
        )

    by = generator.choice([OURS, OURS, GIVER, THIRD, None])
    labels = generator.choice([(), ("clear",), ("green",), ("green",), ("amber",), ("amber+strict",), ("red",)])
    common: dict[str, object] = {
        "created": CREATED,
        "created_by_ref": by,
        "markings": [marking_id(f"tlp:{label}") for label in labels],
    }
    refs = sorted({somebody() for _ in range(generator.randint(1, 4))})
    special: dict[str, dict[str, object]] = {
        "malware": {"name": word, "is_family": True, "description": text(), "aliases": [word + "x"]},
        "report": {"name": text(), "description": text(), "published": CREATED, "object_refs": refs},
        "grouping": {"name": word, "context": "unspecified", "object_refs": refs},
        "note": {"content": text(), "abstract": text(), "object_refs": refs},
        "relationship": {"relationship_type": "uses", "source_ref": somebody(), "target_ref": somebody()},
        "indicator": {
            "name": text(),
            "pattern": f"[domain-name:value = '{word}.example']",
            "pattern_type": "stix",
            "valid_from": CREATED,
        },
        "sighting": {"sighting_of_ref": somebody(), "where_sighted_refs": refs, "description": text()},
        "identity": {"name": word, "contact_information": text()},
        "domain-name": {"value": f"{word}.example"},
    }
    if type_ == "domain-name":
        common = {"markings": common["markings"]}
    extra = {"x_more": {"deep": [text()]}} if generator.random() < 0.2 else {}
    return make_object(type_, id_, **common, **special[type_], **extra)  # type: ignore[arg-type]


def random_subject(generator: random.Random, item: StixObject, ids: list[str]) -> Subject:
    """The object as somebody gave it, or as we stated or derived it."""
    if item.created_by_ref in {OURS, None} and generator.random() < 0.7:
        rests = frozenset({generator.choice(ids)} - {item.id}) if generator.random() < 0.2 else frozenset[str]()
        if generator.random() < 0.5:
            return describe_derived(item, OURS, {}, rests_on=rests)
        return describe_stored(stored(item, OURS), {}, None)
    givers = generator.sample([GIVER, THIRD, NORTH], generator.randint(1, 2))
    return subject(stored(item, *givers))


def with_entries(generator: random.Random, item: Subject, words: list[str]) -> Subject:
    """Some indicators are lists: values of their own, and contexts that may name others."""
    if item.object.type != "indicator" or generator.random() < 0.5:
        return item
    values = tuple(f"{token(generator)}.example" for _ in range(generator.randint(1, 3)))
    notes = tuple(f"with {generator.choice(words)}" for _ in values)
    return msgspec.structs.replace(item, values=values, notes=notes)


def check_no_leak(seed: int, to: str) -> int:
    """Release a random world, and look for every withheld secret in every byte; return how much left."""
    subjects, secrets = random_world(seed)
    lists = {
        s.object.id: [("domain-name", value, note) for value, note in zip(s.values, s.notes, strict=True)]
        for s in subjects
        if s.values
    }
    release = prepare(subjects, terms(to), secret=SECRET, lists=lists)
    output = fold((release.bundle + release.manifest + b"".join(release.lists.values())).decode())
    told = {s.object.id for s, d in zip(subjects, release.decisions, strict=True) if d.allow and d.form != "told-again"}
    again = {s.object.id for s, d in zip(subjects, release.decisions, strict=True) if d.form == "told-again"}
    for s, decision in zip(subjects, release.decisions, strict=True):
        if s.object.id in told:
            continue
        uuid_, word = s.object.id.rpartition("--")[2], sorted(secrets[s.object.id])
        assert uuid_ not in output, (seed, s.object.id, decision.rule)
        if s.object.id not in again:
            for secret in word:
                assert secret not in output, (seed, s.object.id, decision.rule, secret)
    for item in json.loads(release.bundle).get("objects", ()):
        assert item["id"] in release.manifest.decode()
    return len(release.objects)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), to=st.sampled_from(["north", "bank", "sister", "giver"]))
def test_no_byte_of_a_random_world_leaks(seed: int, to: str) -> None:
    """Ids, names and values of withheld objects are nowhere in the bundle and the manifest."""
    check_no_leak(seed, to)


def test_random_worlds_are_worth_testing() -> None:
    """Things do leave, are told again and stay: the property isn't true because nothing ever leaves."""
    assert sum(check_no_leak(seed, "north") for seed in range(60)) > 100
    forms = {
        decision.form
        for seed in range(60)
        for decision in prepare(random_world(seed)[0], terms("north"), secret=SECRET).decisions
    }
    assert forms == {"as-is", "labelled", "told-again", "withheld"}


@pytest.mark.long
def test_no_byte_of_many_random_worlds_leaks() -> None:
    """Ten thousand graphs."""
    for seed in range(1_000):
        check_no_leak(seed, ("north", "bank", "sister", "giver")[seed % 4])


def test_the_same_case_and_policy_give_the_same_bytes() -> None:
    """In any order, twice."""
    subjects, _ = random_world(7)
    first = prepare(subjects, terms("north"), secret=SECRET)
    second = prepare(list(reversed(subjects)), terms("north"), secret=SECRET)
    assert (first.bundle, first.manifest, first.sha256) == (second.bundle, second.manifest, second.sha256)


def course_of_action(name: str, by: str, *labels: str, text: str = "Unplug") -> StixObject:
    """A playbook: what it says stands in it as base64."""
    content = json.dumps({"name": name, "workflow": {"action--1": {"name": text}}}).encode()
    field = {"extension_type": "property-extension", "playbook_bin": base64.b64encode(content).decode()}
    return made("course-of-action", name, by, *labels, extensions={FIELD_EXTENSION: field})


def test_how_an_incident_is_related_to_a_withheld_playbook_stays() -> None:
    """An ally's playbook leaves as its markings allow, and what refers to it with it."""
    incident = made("incident", "Our incident", OURS, "green")
    open_one, closed_one = course_of_action("Open", GIVER, "clear"), course_of_action("Closed", THIRD, "red")
    links = [relate(incident, open_one, OURS, "green"), relate(incident, closed_one, OURS, "green")]
    gone, rules = released(
        own_subject(incident, "green"),
        subject(stored(open_one, GIVER)),
        subject(stored(closed_one, GIVER)),
        *(own_subject(link, "green") for link in links),
    )
    assert {"Open", "Our incident", links[0].id} <= set(gone)
    assert "Closed" not in gone
    assert rules[links[1].id] == "refers-to-withheld"


def test_what_a_playbook_says_inside_is_looked_through() -> None:
    """Base64 hides no name and no reference of what is withheld; ours stays too, as it can't be told otherwise."""
    telling = course_of_action("Telling", GIVER, "clear", text="Search for QuietRat")
    referring = course_of_action("Referring", GIVER, "clear", text=SECRET_RAT.id)
    ours = course_of_action("Ours", OURS, "green", text="Search for Whisperer")
    gone, rules = released(
        HIDDEN, subject(stored(telling, GIVER)), subject(stored(referring, GIVER)), own_subject(ours, "green")
    )
    assert gone == {}
    assert (rules["Telling"], rules["Referring"]) == ("names-withheld", "refers-to-withheld")
    assert rules["Ours"] == "names-withheld"


def test_what_is_revoked_is_not_told_again() -> None:
    """It would revoke an id that nobody has."""
    report = made(
        "report", "Over", OURS, "green", published=CREATED, object_refs=[OPEN.id, SECRET_RAT.id], revoked=True
    )
    leaving, rules = released(SHOWN, HIDDEN, own_subject(report, "green"))
    assert list(leaving) == ["OpenTool"]
    assert rules["Over"] == "refers-to-withheld"


def test_our_own_identity_is_not_told_again() -> None:
    """It has one id, which is known; what it may not say is no reason for a second one."""
    ours = make_object(
        "identity", OURS, created=CREATED, markings=[marking_id("tlp:green")], name="Ours", description="On QuietRat."
    )
    leaving, rules = released(SHOWN, HIDDEN, own_subject(ours, "green"))
    assert list(leaving) == ["OpenTool"]
    assert rules["Ours"] == "names-withheld"


def test_a_published_definition_hides_nothing_that_uses_it() -> None:
    """Whoever says to have made a copy of it that is here."""
    content = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": marking_id("tlp:green"),
        "created": "2022-10-01T00:00:00.000Z",
        "created_by_ref": SECRET_RAT.id.replace("malware", "identity"),
        "name": "TLP:GREEN",
    }
    definition = parse_object(json.dumps(content).encode(), Place("x"))
    leaving, rules = released(SHOWN, HIDDEN, subject(stored(definition, GIVER)))
    assert "OpenTool" in leaving
    assert rules["OpenTool"] == "own-label"


def test_of_several_contents_of_one_id_the_newest_leaves() -> None:
    """Not one that may not leave, though it is newer; and none that counts no more, though it may."""
    older, newer = (
        make_object("malware", OPEN.id, created=CREATED, modified=CREATED.replace(day=day), created_by_ref=OURS,
                    markings=[marking_id(f"tlp:{label}")], name=f"Of day {day}", is_family=True)
        for day, label in ((2, "green"), (3, "red"))
    )  # fmt: skip
    contents = [subject(stored(item, "ours")) for item in (OPEN, older, newer)]
    assert list(released(*contents)[0]) == ["Of day 2"]
    former = [contents[0], msgspec.structs.replace(contents[1], former=True), contents[2]]
    assert list(released(*former)[0]) == ["OpenTool"]
    assert released(msgspec.structs.replace(contents[0], former=True))[0] == {}


def test_nothing_leaves_where_a_leak_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves is looked through once more by itself, whatever the steps before have found."""
    note = made("note", "n", OURS, "green", content="As QuietRat does.", object_refs=[OPEN.id])
    subjects = [SHOWN, HIDDEN, own_subject(note, "green")]
    for name in FINDERS:
        monkeypatch.setitem(FINDERS, name, lambda *_: frozenset())
    with pytest.raises(IntegrityError, match="Nothing leaves"):
        released(*subjects)
