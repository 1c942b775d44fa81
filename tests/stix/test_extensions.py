"""Extension definitions of the project's own: every file in the folder, its schema, its example."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files

import jsonschema
import pytest

from aleat.errors import ObjectError
from aleat.stix import make_object, random_id
from aleat.stix.extensions import (
    extend,
    extension_definition,
    extension_id,
    extension_names,
    extension_schema,
    project_identity,
    read_extension,
)
from tests.stix.strict import strict_errors

WHEN = datetime(2022, 7, 15, 8, tzinfo=UTC)
NAMES = extension_names()


def test_the_extensions_of_knowledge_are_there() -> None:
    """Other rooms add theirs to the same folder."""
    assert {"coverage", "list", "rule"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_definition_passes_strict_validation_and_carries_its_schema(name: str) -> None:
    """So that an ally without a network can read what we send."""
    definition = extension_definition(name)
    assert strict_errors(definition) == []
    assert definition.id == extension_id(name)
    assert json.loads(definition.properties()["schema"]) == extension_schema(name)
    assert definition.created_by_ref == project_identity().id


@pytest.mark.parametrize("name", NAMES)
def test_its_example_fits_its_schema_and_an_object_that_bears_it_is_valid(name: str) -> None:
    """The example is the documentation."""
    content = json.loads(files("aleat.stix.extensions").joinpath(f"{name}.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(content["schema"])
    jsonschema.validate(content["example"], content["schema"], jsonschema.Draft202012Validator)
    if content["types"] == ["property-extension"]:
        item = make_object(
            "note",
            random_id("note"),
            created=WHEN,
            created_by_ref=project_identity().id,
            content="An example.",
            object_refs=[project_identity().id],
            extensions=extend(name, content["example"]),
        )
        assert strict_errors(item) == []
        assert read_extension(item, name) == content["example"]


def test_the_projects_identity_is_valid() -> None:
    """It stands behind the definitions, and says so."""
    assert strict_errors(project_identity()) == []


def test_several_extensions_stand_side_by_side() -> None:
    """Joined with ``|``; what an object doesn't have is None."""
    both = extend("list", {"entries": 0, "entries_sha256": "0" * 64}) | extend("rule", {"kind": "rule"})
    item = make_object("note", random_id("note"), created=WHEN, content="c", object_refs=["x"], extensions=both)
    assert read_extension(item, "rule") == {"kind": "rule"}
    assert read_extension(item, "coverage") is None


def test_a_name_that_isnt_there_is_named() -> None:
    """With those that are."""
    with pytest.raises(ObjectError, match=r"no extension 'nothing'; there are .*coverage"):
        extension_id("nothing")
