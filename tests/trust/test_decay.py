"""How knowledge ages by agreement: the polynomial of MISP's decaying models."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.trust.decay import DecayTerms, days_to, share_left

LIVES = st.integers(1, 3_000)
SPEEDS = st.floats(0.3, 5)


@given(LIVES, SPEEDS)
def test_half_is_left_after_the_half_life(life: int, speed: float) -> None:
    """Whatever the speed: the half-life is what people agree on."""
    assert share_left(life, life, speed) == pytest.approx(0.5)


@given(st.floats(0, 20_000), st.floats(0, 20_000), LIVES, SPEEDS)
def test_confidence_never_rises(one: float, other: float, life: int, speed: float) -> None:
    """Older is never surer, and the share stays between all and nothing."""
    younger, older = sorted((one, other))
    assert 0 <= share_left(older, life, speed) <= share_left(younger, life, speed) <= 1


@given(st.floats(0.01, 0.99), LIVES, SPEEDS)
def test_the_day_of_a_share_is_the_day_on_which_it_is_left(share: float, life: int, speed: float) -> None:
    """`days_to` is the inverse of `share_left`."""
    assert share_left(days_to(share, life, speed), life, speed) == pytest.approx(share, abs=1e-6)


def test_the_shortest_named_half_life_counts_else_the_general_one() -> None:
    """A pattern about an address and a hash ages as its address does."""
    terms = DecayTerms(half_life=100, types={"ipv4-addr": 14, "file:hashes": 900})
    assert terms.half_life_of(("file:hashes", "ipv4-addr")) == 14
    assert terms.half_life_of(("url",)) == 100
    assert DecayTerms(types={"url": 3}).half_life_of(("domain-name",)) is None


@pytest.mark.parametrize(
    "bad", [{"half_life": 0}, {"floor": 101}, {"speed": 0}, {"types": {"x y": 4}}, {"types": {"url": 0}}, {"tau": 4}]
)
def test_what_is_no_decay_is_refused(bad: dict[str, object]) -> None:
    """No half-life of nothing, no floor above certainty, no unknown word."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, DecayTerms)
