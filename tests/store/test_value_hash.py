"""Texts as numbers: equal texts give equal numbers, on every machine, however they are cut into arrays."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from aleat.store.value_hash import fold_text, fold_texts, hash_text, hash_texts


@given(st.lists(st.text()), st.integers(0, 5))
def test_a_text_has_one_number_wherever_it_stands(texts: list[str], start: int) -> None:
    """In a column, in a slice of it, alone: the same number."""
    array = fold_texts(pa.array(texts, pa.string()))
    numbers = hash_texts(array)
    assert numbers.tolist() == [hash_text(text) for text in texts]
    assert hash_texts(array[start:]).tolist() == numbers[start:].tolist()


def test_case_does_not_count() -> None:
    """Texts that are equal in lower case are one."""
    assert hash_text("Ministria-Ë.EXAMPLE") == hash_text("ministria-ë.example")
    assert fold_text("\udcff?") == "??"


def test_normal_forms_do_not_count() -> None:
    """An accent written apart from its letter, beside texts without any."""
    assert fold_texts(pa.array(["CMD", None, "E\u0308", "Ë"])).to_pylist() == ["cmd", None, "ë", "ë"]
    assert hash_text("Ministria-E\u0308") == hash_text("ministria-ë")


def test_different_texts_have_different_numbers() -> None:
    """A hundred thousand texts that look alike, and long ones, don't collide."""
    texts = [f"C:\\Windows\\Temp\\{number}.tmp" for number in range(100_000)] + ["", "a" * 600_000, "a" * 600_001]
    assert len(set(hash_texts(pa.array(texts)).tolist())) == len(texts)


def test_the_numbers_never_change() -> None:
    """An index that was made elsewhere, or earlier, still finds."""
    assert [hash_text(text) for text in ("", "a", "cmd.exe", "198.51.100.7")] == [
        0,
        15690726057494218343,
        14457471923347675116,
        2129436219575230226,
    ]
