"""What stands encoded in a text is read as tools read it: any text, in time that its length sets."""

from __future__ import annotations

import base64
import html
import sys
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aleat.release import prepare
from aleat.release.readings import readings_of
from aleat.release.words import find_words, fold
from tests.release.world import GIVER, OURS, SECRET, made, own_subject, stored, subject, terms

WORD = "evil.example"
ENCODINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, url-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes((text * 9).encode()).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "percent signs": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "character references": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "hexadecimal references": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "references with zeros": lambda text: "".join(f"&#{ord(letter):0>30};" for letter in text),
    "JSON's escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "JSON's escapes, escaped": lambda text: "".join(f"\\\\\\u{ord(letter):04x}" for letter in text),
    "C's escapes": lambda text: "".join(f"\\x{ord(letter):02x}" for letter in text),
}


def said(text: str) -> str:
    """Everything that a text says, encoded or not, folded."""
    return fold("\n".join((text, *readings_of([text]))))


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_encoding_is_read(name: str) -> None:
    """Alone, and in the middle of a sentence."""
    coded = ENCODINGS[name](f"see {WORD} there")
    assert WORD in said(coded)
    assert WORD in said(f"as was told, {coded} and so on")


@pytest.mark.parametrize("outer", ENCODINGS)
@pytest.mark.parametrize("inner", ENCODINGS)
def test_two_encodings_in_one_another_are_read(inner: str, outer: str) -> None:
    """What stands encoded in what stands encoded."""
    assert WORD in said(ENCODINGS[outer](ENCODINGS[inner](f"see {WORD} there")))


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz", "key"])
def test_letters_before_what_is_encoded_hide_nothing(before: str) -> None:
    """A run of letters begins anywhere; in long ones, which are files, at its first."""
    assert WORD in said(before + ENCODINGS["base64"](f"see {WORD} there"))


def test_letters_beyond_the_first_65536_are_one_letter() -> None:
    """Two halves of one letter are joined; a half alone is no letter, hides nothing, and hinders nothing."""
    assert "\U0001f600" in said("\\ud83d\\ude00")
    assert WORD in said("ev\\ud800il.example")
    assert WORD in said("ev\\udc00il.exam\\ud8ffple")


@pytest.mark.parametrize(
    "text",
    [
        "\\ud800",
        "\\udfff x \\ud800",
        "&#" + "9" * 5_000 + ";",
        "&#" + "0" * 5_000 + "65;",
        "&#x" + "f" * 5_000 + ";",
        "&#xd800;&#55296;",
        "%ff%fe%00",
        "\x00" * 40,
        base64.b64encode(b"\x00\xd8" * 40).decode(),
        base64.b64encode(b"\\ud800 and more").decode(),
        "=" * 100,
        "\\u" * 50,
    ],
)
def test_no_text_stops_the_gate(text: str) -> None:
    """What an ally wrote to break the reading costs nobody anything: all else leaves, and what stays stays."""
    hidden = made("malware", "Zqhidden", GIVER, "red")
    hostile = made("malware", "Hostile", GIVER, "clear", description=text)
    note = made("note", "n", OURS, "green", content=f"Zqhidden {text}", object_refs=[OURS])
    subjects = [subject(stored(hidden, GIVER)), subject(stored(hostile, GIVER)), own_subject(note, "green")]
    release = prepare(subjects, terms("north"), secret=SECRET)
    assert hostile.raw in {item.raw for item in release.objects}
    assert b"zqhidden" not in release.bundle.lower()


@given(st.text(alphabet=st.sampled_from("ab09%&#;x\\uUdD8cfF=+/_-\r\n é😀\x00"), max_size=80) | st.text(max_size=80))
@example("\\ud800\\u0041")
@example("%" * 30)
def test_any_text_is_read_into_texts(text: str) -> None:
    """What comes out can be written, folded and searched."""
    found = readings_of([text])
    "\n".join(found).encode()
    find_words([fold(one) for one in (*found, text)], {WORD, "other.example"})
    assert readings_of([text, text])[: len(found)] == readings_of([text])[: len(found)]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=12, max_size=60))
def test_whatever_is_encoded_is_read(text: str) -> None:
    """Any words, in base64, percent signs, character references."""
    if not all(map(str.isprintable, text)):
        return
    assert text in readings_of([base64.b64encode(text.encode()).decode()])
    if quote(text, safe="") != text:
        assert text in readings_of([quote(text, safe="")])
    if html.escape(text) != text:
        assert html.unescape(html.escape(text)) in readings_of([html.escape(text)])


HOSTILE: dict[str, str] = {
    "backslashes": "\\",
    "backslashes and a letter": "\\\\\\u",
    "percent signs": "%41",
    "half percent signs": "%4",
    "references": "&#65;",
    "open references": "&#6",
    "named references": "&amp",
    "digits of a reference": "&#9999999999",
    "base64": "QUJD",
    "lines of base64": "QUJDQUJDQUJDQUJDQUJD\r\n",
    "short runs": "QUJDQUJDQUJDQUJD ",
    "runs one letter too short": "QUJDQUJDQUJDQUJ ",
    "hex": "41",
    "all at once": "\\u0041%41&#65;QUJDQUJDQUJDQUJD\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_is_linear(name: str) -> None:
    """Steps of the reading, and letters that come out, grow with the text and no faster; a regex's own are few."""
    part = HOSTILE[name]
    costs = []
    for size in (4_000, 32_000):
        text = part * (size // len(part))
        costs.append((_steps(text), sum(map(len, readings_of([text])))))
    for small, large in zip(*costs, strict=True):
        assert large <= 10 * small + 2_000, costs


def test_a_million_backslashes_are_read() -> None:
    """Each looked at once: a search that begins anew at each of them takes an hour."""
    assert readings_of(["\\" * 1_000_000]) == []
    assert readings_of(["&#" + "9" * 1_000_000]) == ["\ufffd"]


def _steps(text: str) -> int:
    """How many lines of Python run."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        readings_of([text])
    finally:
        sys.settrace(before)
    return count
