"""Which words in a text are mentions: the same for few words and for many, and in time that grows with the text."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aleat.release.mentions import ALONE, mentioned, stands_alone
from aleat.release.structure import UUID, is_structure, is_word_of_standard, without_forms

ID = "malware--5b3c7a52-9d0f-4a7e-8c1d-2f6e4b9a7c10"
PIECES = ["ab", "abc", "f00d", "type", "malware", "quietrat", "a.b", "-", ".", " ", "_", "é", "x", ID, "[file:name = "]
MANY = ["".join(letters) for letters in itertools.product("abcdef", repeat=3)]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def naive(word: str, text: str) -> bool:
    """One word after the other, as the rule says it."""
    if is_structure(word):
        if re.search(UUID, word):
            return word in text
        text = without_forms(text)
        if word not in text:
            return False
    return (len(word) > ALONE and not is_word_of_standard(word)) or stands_alone(word, text)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.sampled_from([*PIECES, "b", "b.", "7a52", "quiet", "tr"]), max_size=9), st.booleans())
def test_many_words_are_found_as_each_alone_would_be(text: str, words: list[str], many: bool) -> None:
    """Words that are looked for together, and one by one."""
    there = {word for word in [*words, *(MANY if many else ())] if word in text}
    assert mentioned(there, text) == {word for word in there if naive(word, text)}


@settings(max_examples=60, deadline=None)
@given(st.text("abcdef. -", min_size=100, max_size=300))
def test_hundreds_of_words_of_one_text(text: str) -> None:
    """All that are anywhere in it, short and long, hex and not."""
    there = {text[start : start + length] for start in range(len(text)) for length in (3, 4, 7)}
    assert mentioned(there, text) == {word for word in there if naive(word, text)}


class Looked(str):
    """A text that counts how often it is looked through from its beginning."""

    times = 0

    def find(self, *args: object) -> int:
        """As `str.find`."""
        Looked.times += 1
        return super().find(*args)  # type: ignore[arg-type]


@pytest.mark.parametrize("letters", ["ghijklmn", "abcdef01"])
def test_thousands_of_short_words_of_one_long_text_are_looked_for_in_one_go(letters: str) -> None:
    """A text without a space that has every word of three letters in it, and none alone."""
    words = {"".join(word) for word in itertools.product(letters, repeat=3)}
    text = Looked("".join(sorted(words)) * 20)
    Looked.times = 0
    assert not mentioned(words, text)
    assert Looked.times == 0
