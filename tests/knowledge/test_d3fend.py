"""D3FEND's mappings and ontology: countermeasures, and which technique they bear on, by ATT&CK id."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from aleat.errors import InputError, Issue, LimitError
from aleat.knowledge import Document, KnowledgeItem, Limits, detect_reader
from aleat.knowledge.names import read_names
from aleat.knowledge.readers import d3fend
from aleat.stix import StixObject
from aleat.stix.extensions import extension_schema, read_extension
from aleat.store.objects import Provenance, StoredObject
from tests.stix.strict import strict_errors

BASE = "http://d3fend.mitre.org/ontologies/d3fend.owl#"
ROWS = [
    {
        "def_tactic_label": "Harden", "def_tech_label": "Sample Rotation", "def_artifact_rel_label": "regenerates",
        "def_artifact_label": "Sample Secret", "off_artifact_label": "Sample Token",
        "off_artifact_rel_label": "accesses",
        "off_tech_label": "Steal a Sample", "off_tech_id": "T1999.001", "top_def_tech_label": "Sample Hardening",
        "off_tactic_label": "Credential Access", "def_tech": BASE + "SampleRotation", "off_tech": BASE + "T1999.001",
    },
    {
        "def_tactic_label": "Detect", "def_tech_label": "Sample Analysis", "def_artifact_rel_label": "analyzes",
        "def_artifact_label": "Sample Secret", "off_artifact_label": "Sample Secret", "off_artifact_rel_label": "reads",
        "off_tech_label": "Steal a Sample", "off_tech_id": "T1999.001", "top_def_tech_label": "Sample Watching",
        "off_tactic_label": "Credential Access", "def_tech": BASE + "SampleAnalysis", "off_tech": BASE + "T1999.001",
    },
]  # fmt: skip
ONTOLOGY = {
    "@context": {"d3f": BASE},
    "@graph": [
        {
            "@id": BASE.rstrip("#"),
            "owl:versionInfo": "1.9.9",
            "d3f:release-date": {"@type": "xsd:dateTime", "@value": "2025-06-01T00:00:00Z"},
        },
        {"@id": "d3f:SampleSecret", "rdfs:label": "Sample Secret"},
        {
            "@id": "d3f:SampleRotation",
            "d3f:d3fend-id": "D3-SRX",
            "rdfs:label": "Sample Rotation",
            "d3f:definition": "Making samples anew.",
            "d3f:enables": {"@id": "d3f:Harden"},
            "rdfs:subClassOf": [{"@id": "d3f:SampleHardening"}, {"@id": "_:b1"}],
            "d3f:synonym": ["Sample Renewal"],
        },
    ],
}


def sparql(rows: Any) -> dict[str, Any]:
    """As the SPARQL results format has it."""
    cells = [{name: {"type": "literal", "value": text} for name, text in row.items()} for row in rows]
    return {"head": {"vars": list(ROWS[0])}, "results": {"bindings": cells}}


def table() -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(ROWS[0]))
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def document(content: Any, name: str = "d3fend-full-mappings.json") -> Document:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Document(name, name, len(data), data[:8192], lambda: data)


def read(content: Any, limits: Limits | None = None) -> list[KnowledgeItem | Issue]:
    return list(d3fend.read(document(content), limits or Limits()))


def objects(found: list[KnowledgeItem | Issue]) -> list[StixObject]:
    return [item.object for item in found if isinstance(item, KnowledgeItem)]


FORMS = {
    "mappings.json": sparql(ROWS),
    "mappings.csv": table(),
    "technique.json": {"off_to_def": sparql(ROWS)},
    "ontology.json": ONTOLOGY,
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_recognised_and_its_objects_are_strictly_valid(form: str) -> None:
    """By what stands in its head."""
    reader = detect_reader(document(FORMS[form], form))
    assert reader is not None
    assert reader.name == "d3fend"
    for item in objects(read(FORMS[form])):
        assert strict_errors(item) == []
        if (content := read_extension(item, "d3fend")) is not None:
            jsonschema.validate(content, extension_schema("d3fend"))


def test_json_and_csv_in_any_order_tell_the_same_objects() -> None:
    """Rows have no order."""
    assert objects(read(sparql(ROWS))) == objects(read(table())) == objects(read(sparql(ROWS[::-1] + ROWS)))
    assert objects(read({"off_to_def": sparql(ROWS)})) == objects(read(table()))


def test_a_technique_has_its_countermeasures_by_its_attack_id() -> None:
    """What bears on what, and by way of which artifacts."""
    when = datetime(2026, 1, 1, tzinfo=UTC)
    found = [
        StoredObject(item, (Provenance(giver="d3fend", received=when),))
        for item in (*objects(read(sparql(ROWS))), *objects(read(ONTOLOGY)))
    ]
    rotation = [one for one in read_names(found).mitigations_of(["T1999.001"]) if "Rotation" in one.action.name]
    assert [one.description for one in rotation] == ["regenerates Sample Secret Sample Token accesses"]
    assert len(read_names(found).mitigations_of(["T1999.001"])) == 2
    assert read_names(found).technique_name("T1999.001") == "Steal a Sample"


def test_the_ontology_is_the_newer_version_of_what_the_mappings_name() -> None:
    """One countermeasure, one id; the definition and D3FEND's id come with the newer version."""
    (named,) = [one for one in objects(read(sparql(ROWS))) if one.name == "Sample Rotation"]
    (defined,) = [one for one in objects(read(ONTOLOGY)) if one.type == "course-of-action"]
    assert named.id == defined.id
    assert (named.modified or "") < (defined.modified or "") == "2025-06-01T00:00:00.000Z"
    assert defined.description == "Making samples anew."
    assert defined.properties()["external_references"][0]["external_id"] == "D3-SRX"
    content = read_extension(defined, "d3fend") or {}
    assert (content["tactics"], content["parents"], content["version"]) == (["Harden"], ["SampleHardening"], "1.9.9")


def test_rows_that_name_nothing_are_counted_and_the_rest_goes_in() -> None:
    """None is dropped in silence."""
    content = sparql(ROWS)
    content["results"]["bindings"] += ["text", {}, {"def_tech": 7, "off_tech_id": {"value": ["T1"]}}]
    found = read(content)
    (issue,) = [one for one in found if isinstance(one, Issue)]
    assert (issue.code, issue.records) == ("d3fend", 3)
    assert objects(found) == objects(read(sparql(ROWS)))
    (short,) = [one for one in read(table() + b"a,b\r\n") if isinstance(one, Issue)]
    assert short.records == 1


@pytest.mark.parametrize(
    "content",
    [
        {}, {"results": 7}, {"results": {"bindings": {}}}, {"off_to_def": []}, {"@graph": []}, {"@graph": [7, None]},
        b"{", b"{" * 3000, b'def_tech_label,off_tech_id\r\n"open',
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_refused(content: Any) -> None:
    """With a reason, and a place where there is one."""
    with pytest.raises(InputError):
        read(content)


def test_hostile_nodes_raise_nothing() -> None:
    """Wrong types, markup and climbing names."""
    bad = [
        {"@id": ["d3f:X"], "d3f:d3fend-id": "D3-A", "rdfs:label": {"@value": "<script>"}, "rdfs:subClassOf": 7},
        {"@id": "d3f:../../x", "d3f:d3fend-id": ["D3-B"], "d3f:definition": {"@value": 7}},
        {"@id": "d3f:Y", "d3f:d3fend-id": "D3-C; drop"},
        {"@id": "d3f:X", "d3f:d3fend-id": "D3-A"},
    ]
    found = read({"@graph": bad})
    for item in objects(found):
        assert strict_errors(item) == []
    assert [one.name for one in objects(found)][1] == "<script>"


def test_too_much_is_refused_by_name() -> None:
    """The limit is named."""
    with pytest.raises(LimitError, match="catalogue_bytes"):
        read(sparql(ROWS), Limits(catalogue_bytes=10))
