"""The user's values for Sigma's placeholders, and the file that holds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, Place
from aleat.hunt import compile_plan
from aleat.hunt.placeholders import MAXIMUM_BYTES, read_placeholders
from tests.hunt.sigma_rules import fires, indicator, plan_of, rejection, rule_text

RULE = "selection:\n    User|expand: '%admins%'"


def test_a_file_gives_values_by_name() -> None:
    """Rules 2.1, "Placeholders": a list; one text and numbers are taken as well, and dashes in names."""
    text = b'# ours\nadmins = ["agim", "be*"]\n"dc-names" = "DC1"\nports = [445, 3389]\n'
    assert read_placeholders(text) == {"admins": ("agim", "be*"), "dc-names": ("DC1",), "ports": ("445", "3389")}


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_placeholders(b'\xef\xbb\xbfa = ["b"]') == {"a": ("b",)}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b'a = ["x"]\nb = [y]\n', 2, "no TOML"),
        (b'a = ["x"]\n\nb = ["y"', 3, "no TOML"),
        (b'a = ["x"]\nb = true\n', 2, "'b' must be a list"),
        (b'a = ["x"]\n\n"b c" = [["x"]]\n', 3, "'b c' must be a list"),
        (b'a = ["x"]\n[b]\nc = ["x"]\n', 2, "'b' must be a list"),
        (b"a = []\n", 1, "'a' has no values"),
        (b'a = ["x"]\nb = ["\xe7"]\n', 2, "not UTF-8"),
    ],
)
def test_a_bad_file_is_an_error_with_its_line(text: bytes, line: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_placeholders(text, "p.toml")
    assert caught.value.place is not None
    assert (caught.value.place.path, caught.value.place.line) == ("p.toml", line)


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(InputError, match="limit"):
        read_placeholders(b"#" * (MAXIMUM_BYTES + 1))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_values_or_an_error_with_a_place(data: bytes) -> None:
    place = Place("p")
    try:
        found = read_placeholders(data, "p")
    except InputError as error:
        found, place = {}, error.place  # type: ignore[assignment]
    assert place is not None
    assert all(found.values())


def test_values_are_put_in_with_their_wildcards() -> None:
    given = {"admins": ("agim", "be*")}
    assert fires(RULE, {"User": "BESA"}, placeholders=given)
    assert not fires(RULE, {"User": "dritan"}, placeholders=given)


def test_a_placeholder_without_values_is_named_in_whole_sentences() -> None:
    assert rejection(RULE).endswith("the placeholder %admins% has no values. Give them with --placeholders FILE.")


def test_other_values_are_another_cell_of_the_ledger() -> None:
    """A rule keeps its digest unless it holds a placeholder; then the values are part of it."""
    plain = indicator(rule_text("selection:\n    User: a"), identifier="plain")
    assert compile_plan([plain], placeholders={"admins": ["x"]}).rules[0].indicator.digest == plain.digest
    one, same, other = (
        plan_of(RULE, placeholders={"admins": values, "unused": [unused]}).rules[0].indicator.digest
        for values, unused in ((["a"], "1"), (["a"], "2"), (["b"], "1"))
    )
    assert one == same != other
