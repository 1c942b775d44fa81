"""TAXII 2.1 on the wire: what is an envelope, what a resource, what an error, and what none of them."""

from __future__ import annotations

import pytest

from aleat.errors import RemoteError
from aleat.exchange.http_client import Answer
from aleat.exchange.taxii_messages import (
    MEDIA_TYPE,
    Collection,
    Status,
    added_last,
    check_media_type,
    decode,
    error_of,
    parse_envelope,
)


def answer(body: bytes = b"{}", status: int = 200, media_type: str = MEDIA_TYPE, **headers: str) -> Answer:
    return Answer(status, {"content-type": media_type, **headers}, body, "https://taxii.example.org/")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/taxii+json;version=2.1",
        "application/taxii+json; version=2.1",
        "application/taxii+json",
        "Application/TAXII+JSON; charset=utf-8; Version=2.1",
        'application/taxii+json;version="2.1"',
    ],
)
def test_the_media_type_may_name_its_version_or_not(media_type: str) -> None:
    """§1.6.8.2; parameters in any order and case (RFC 9110 §8.3.1)."""
    check_media_type(answer(media_type=media_type))


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/html",
        "",
        "application/taxii+json;version=2.0",
        "application/vnd.oasis.taxii+json;version=2.0",
        "application/stix+json;version=2.1",
    ],
)
def test_other_media_types_are_refused(media_type: str) -> None:
    """A login page, TAXII 2.0, STIX alone."""
    with pytest.raises(RemoteError) as caught:
        check_media_type(answer(media_type=media_type))
    assert caught.value.code == "media-type"


@pytest.mark.parametrize(
    ("body", "count", "more", "following"),
    [
        (b'{"objects": [ {"a": 1}, {"b": [2, 3]} ], "more": true, "next": "x"}', 2, True, "x"),
        (b'{"more":false,"objects":[]}', 0, False, None),
        (b"{}", 0, False, None),
        (b'{"next": "' + b"n" * 5_000 + b'", "more": true, "objects": [{}]}', 1, True, "n" * 5_000),
        (b'{"custom": {"objects": [1, 2, 3]}, "objects": [{"objects": []}]}', 1, False, None),
        (b'{"next": "", "more": true, "objects": [1]}', 1, True, None),
    ],
)
def test_envelopes_are_split_from_their_objects(body: bytes, count: int, more: bool, following: str | None) -> None:
    """§3.7: the objects' own bytes are untouched."""
    envelope = parse_envelope(body)
    assert (envelope.count, envelope.more, envelope.next) == (count, more, following)
    assert envelope.objects in body


def test_an_object_that_nests_without_end_is_its_readers_to_refuse() -> None:
    """The page still says how it goes on."""
    deep = b'{"type":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    envelope = parse_envelope(b'{"more": true, "next": "n", "objects": [' + deep + b', {"b": ","}]}')
    assert (envelope.count, envelope.more, envelope.next) == (2, True, "n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"x"',
        b'{"objects": [], "more": "yes"}',
        b'{"objects": [], "next": 5}',
        b'{"objects": {}}',
        b'{"objects": [1]',
        b'{"objects": [1], "objects": [2]}',
        b'{"more": true, "more": false, "objects": []}',
        b'\xff{"objects": []}',
        b"[" * 200_000,
        b'{"objects": []} {"more": true}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    """Other JSON, none at all, cut off, a key twice, two of them."""
    with pytest.raises(RemoteError) as caught:
        parse_envelope(body)
    assert caught.value.code == "wrong-json"


def test_errors_are_told_in_the_servers_words_made_visible() -> None:
    """§3.6.1; what acts on a terminal doesn't; a page of HTML isn't quoted."""
    said = error_of(answer(b'{"title": "Refused\\u001b[31m", "description": "ask ana"}', 403))
    assert "403" in said.reason
    assert "Refused\\x1b[31m: ask ana" in said.reason
    assert len(error_of(answer(b'{"title": "' + b"x" * 9_000 + b'"}', 400)).reason) < 400
    assert "html" not in str(error_of(answer(b"<html>", 500, "text/html")))
    assert error_of(answer(status=500)).code == "server-error"


def test_resources_of_another_shape_are_refused() -> None:
    """A collection without its rights, a status that counts in words."""
    with pytest.raises(RemoteError, match="can_read"):
        decode(answer(b'{"id": "a", "title": "b"}'), Collection, "collection")
    with pytest.raises(RemoteError, match="status"):
        decode(answer(b'{"id": "a", "status": "complete", "total_count": "many"}'), Status, "status")
    with pytest.raises(RemoteError):
        decode(answer(b"[" * 200_000), Collection, "collection")


def test_times_in_headers_are_taken_only_where_they_are_some() -> None:
    """§1.6.8.1."""
    first, last = "x-taxii-date-added-first", "x-taxii-date-added-last"
    assert added_last({first: "2022-07-15T08:00:00Z", last: "yesterday"}) == ("2022-07-15T08:00:00Z", "")
    assert added_last({}) == ("", "")
