"""FIRST's Information Exchange Policy 2.0, from each form in which it travels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.stix import StixObject, make_object, random_id
from aleat.stix.extensions import extend
from aleat.stix.ids import content_id
from aleat.trust.iep import IEP_EXTENSION, Policy, read_policy
from aleat.trust.markings import read_marking

WHEN = datetime(2022, 7, 15, 8, tzinfo=UTC)
SAID: dict[str, Any] = {
    "iep_version": 2.0,
    "name": "A policy of ours",
    "description": "For tests.",
    "start_date": "2022-01-01T00:00:00Z",
    "end_date": None,
    "encrypt_in_transit": "must",
    "permitted_actions": "internally-visible-actions",
    "affected_party_notifications": "must-not",
    "tlp": "amber",
    "attribution": "must-not",
    "unmodified_resale": "must-not",
}
READ = Policy(
    tlp="amber",
    attribution="must-not",
    permitted_actions="internally-visible-actions",
    affected_party_notifications="must-not",
    encrypt_in_transit="must",
    unmodified_resale="must-not",
    start=datetime(2022, 1, 1, tzinfo=UTC),
)


def definition(id_: str | None = None, **properties: Any) -> StixObject:
    return make_object("marking-definition", id_ or random_id("marking-definition"), created=WHEN, **properties)


def published(**changes: Any) -> StixObject:
    """As OASIS' common objects have it: the attribution is the provider's."""
    said = {key: value for key, value in {**SAID, **changes}.items() if value is not None}
    if "attribution" in said:
        said["provider_attribution"] = said.pop("attribution")
    return definition(extensions={IEP_EXTENSION: {"extension_type": "property-extension", **said}})


def as_definition(**changes: Any) -> StixObject:
    return definition(definition_type="iep", definition={**SAID, **changes})


def kept(id_: str | None = None, **changes: Any) -> StixObject:
    """As a playbook's policy is kept here."""
    policy = {key: value for key, value in {**SAID, "iep_version": 2, **changes}.items() if value is not None}
    name = content_id("marking-definition", ["iep", policy])
    return definition(id_ or name, extensions=extend("policy", {"scheme": "iep", "policy": policy}))


@pytest.mark.parametrize("make", [published, as_definition, kept])
def test_a_policy_is_read_from_each_form(make: Any) -> None:
    """The same record; as a marking it has the policy's TLP."""
    found = make()
    assert read_policy(found) == READ
    marking = read_marking(found.id, found)
    assert (marking.kind, marking.level, marking.policy) == ("iep", "amber", READ)


@pytest.mark.parametrize("make", [published, as_definition, kept])
@pytest.mark.parametrize(
    "changes",
    [
        {"iep_version": 1.0},
        {"iep_version": True},
        {"iep_version": None},
        {"tlp": None},
        {"tlp": "purple"},
        {"tlp": 3},
        {"permitted_actions": "whatever"},
        {"permitted_actions": None},
        {"attribution": None},
        {"attribution": "perhaps"},
        {"affected_party_notifications": "must"},
        {"encrypt_in_transit": "must-not"},
        {"start_date": None},
        {"start_date": "yesterday"},
        {"end_date": "2022-13-01T00:00:00Z"},
        {"id_ref": "01bc4353-4829-4d55-8d52-0ab7e0790df9"},
        {"revoked": True},
    ],
)
def test_a_policy_that_can_not_be_read_in_full_is_unknown(make: Any, changes: dict[str, Any]) -> None:
    """Unknown stays; a policy half understood would not."""
    found = make(**changes)
    assert read_policy(found) is None
    assert read_marking(found.id, found).kind == "unknown"


def test_words_are_read_in_any_case_and_white_is_clear() -> None:
    """FIRST's framework writes them in capitals, with spaces."""
    found = read_policy(as_definition(tlp="WHITE", permitted_actions="CONTACT FOR INSTRUCTION", attribution="MUST NOT"))
    assert found is not None
    assert (found.tlp, found.permitted_actions, found.attribution) == ("clear", "contact-for-instruction", "must-not")


def test_a_policy_holds_from_its_start_to_its_end() -> None:
    """Both included; the narrower of two pairs of dates."""
    found = read_policy(
        kept(end_date="2022-06-30T00:00:00Z", valid_until="2022-05-31T00:00:00Z", valid_from="2022-02-01T00:00:00Z")
    )
    assert found is not None
    times = [datetime(2022, month, day, tzinfo=UTC) for month, day in ((1, 31), (2, 1), (5, 31), (6, 1))]
    assert [found.holds(time) for time in times] == [False, True, True, False]
    assert READ.holds(datetime(9000, 1, 1, tzinfo=UTC))


def test_what_was_kept_under_its_own_contents_id_counts_under_that_id_only() -> None:
    """Nobody loosens a playbook's policy by sending it again with other words."""
    real = kept(tlp="red")
    assert read_marking(real.id, kept(real.id, tlp="clear")).kind == "unknown"


def test_another_extension_beside_it_is_not_understood() -> None:
    """It may say anything."""
    both = {
        IEP_EXTENSION: {"extension_type": "property-extension", **SAID, "end_date": "2030-01-01T00:00:00Z"},
        "extension-definition--11111111-1111-4111-8111-111111111111": {"extension_type": "property-extension", "x": 1},
    }
    assert read_policy(definition(extensions=both)) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9999, 9999) | st.floats(-9.0, 9.0) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*SAID, "id_ref", "valid_from"]), _JSON, max_size=6))
def test_any_json_is_a_policy_or_none(changes: dict[str, Any]) -> None:
    """Never an error."""
    said = {**SAID, **changes}
    found = definition(definition_type="iep", definition={key: value for key, value in said.items() if value})
    assert read_policy(found) is None or isinstance(read_policy(found), Policy)
