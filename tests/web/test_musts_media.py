"""What TAXII 2.1 says about media types, paths and methods (§1.6.8, §3.1), against the running server."""

from __future__ import annotations

import json

import pytest

from aleat.exchange.taxii_messages import MEDIA_TYPE
from tests.exchange.malware import malware
from tests.exchange.teams import indicator
from tests.web.conftest import SOUTH, Served
from tests.web.resources import paths


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/taxii+json;version=2.1", 200),
        ("application/taxii+json; version=2.1", 200),
        ("application/taxii+json", 200),
        ("*/*", 200),
        ("text/html, application/taxii+json;q=0.5", 200),
        ("application/taxii+json;version=2.0", 406),
        ("application/vnd.oasis.taxii+json;version=2.0", 406),
        ("application/json", 406),
        ("application/taxii+json;q=0", 406),
        ("", 406),
    ],
)
def test_media_types(busy: Served, accept: str, status: int) -> None:
    """What is asked for in another type is refused; so is a body of another type."""
    for path in ("", "root/", "root/collections/", busy.collection(), f"{busy.collection()}objects/"):
        assert busy.ask(path, headers={"Accept": accept}).status == status
    sent = {"Content-Type": accept.replace("*/*", "text/plain").partition(",")[0]}
    body = json.dumps({"objects": [json.loads(malware(1).raw)]}).encode()
    pushed = busy.ask(f"{busy.collection()}objects/", "POST", body=body, headers=sent).status
    assert pushed == (
        202 if sent["Content-Type"].replace(" ", "") in {MEDIA_TYPE, "application/taxii+json"} else 415
    ) or (sent["Content-Type"].endswith("q=0") and pushed == 202)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/taxii+json;version=2.1;q=0, */*", 406),
        ("*/*;q=0, application/taxii+json", 200),
        ("application/*;q=0, */*", 406),
        ("application/taxii+json;version=2.0, application/taxii+json;version=2.1;q=0.001", 200),
        ("application/taxii+json;q=0.0", 406),
        ("application/taxii+json;q=high", 200),
        ('APPLICATION/TAXII+JSON; VERSION="2.1"', 200),
        ("application/taxii+json;version=2.1,application/stix+json;version=2.1", 200),
    ],
)
def test_the_closest_range_counts(shared: Served, accept: str, status: int) -> None:
    """Of several media ranges the most specific decides, with its weight (RFC 9110 §12.5.1)."""
    for path in ("", *paths(shared)):
        assert shared.ask(path, headers={"Accept": accept}).status == status


def test_a_manifest_may_be_asked_for_as_stix(shared: Served) -> None:
    """§5.3 names STIX's media type beside TAXII's for that endpoint alone."""
    accept = {"Accept": "application/stix+json;version=2.1"}
    got = shared.ask(f"{shared.collection()}manifest/", headers=accept)
    assert (got.status, got.headers["content-type"]) == (200, MEDIA_TYPE)
    assert shared.ask(f"{shared.collection()}objects/", headers=accept).status == 406


def test_every_answer_has_the_media_type_with_its_version(busy: Served) -> None:
    """Success, deletion and error, with each method (§3.1)."""
    busy.push(indicator(100, SOUTH, "green"))
    at = busy.collection()
    answers = [busy.ask(path, method) for path in ("", at, *paths(busy)) for method in ("GET", "HEAD", "PUT")]
    answers += [busy.ask("", who=None), busy.ask("none/"), busy.push(malware(1)), busy.push()]
    answers.append(busy.ask(f"{at}objects/{indicator(100, SOUTH).id}/", "DELETE"))
    assert {200, 202, 401, 404, 405, 422} == {answer.status for answer in answers}
    assert {answer.headers["content-type"] for answer in answers} == {MEDIA_TYPE}


def test_a_body_of_the_defined_types_is_taken(busy: Served) -> None:
    """With its version and without, however it is written (§3.1)."""
    body = b'{"objects":[' + malware(1).raw + b"]}"
    for kind in (MEDIA_TYPE, "application/taxii+json", 'application/TAXII+json; version="2.1"'):
        sent = {"Content-Type": kind}
        assert busy.ask(f"{busy.collection()}objects/", "POST", body=body, headers=sent).status == 202


def test_a_path_without_its_slash_is_not_there(shared: Served) -> None:
    """§3.1."""
    for path in ("", "root/", *paths(shared)):
        assert shared.ask((path or shared.url).rstrip("/")).status == 404


def test_a_head_is_an_answer_without_its_body(shared: Served) -> None:
    """HEAD has GET's headers; OPTIONS and others are told what there is; a Range is the whole (RFC 9110 §14.2)."""
    for path in ("", *paths(shared)):
        got, head = shared.ask(path), shared.ask(path, "HEAD")
        assert head.body == b""
        leave = {"date"}
        assert {k: v for k, v in head.headers.items() if k not in leave} == {
            k: v for k, v in got.headers.items() if k not in leave
        }
        assert shared.ask(path, headers={"Range": "bytes=0-9"}).body == got.body
        other = shared.ask(path, "OPTIONS")
        assert other.status == 405
        assert {"GET", "HEAD"} <= set(other.headers["allow"].split(", "))
        assert "date" in got.headers
