"""Knowledge at a URL and in a checkout of git: what is fetched, what isn't, and what is known of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aleat.errors import Issue
from aleat.knowledge import Document, KnowledgeItem, Limits, read_knowledge
from aleat.knowledge.places import Collection, open_places
from tests.opening.archives import tar_of, zip_of
from tests.opening.server import Server, serving

RULE = b"title: a\nlogsource: {product: windows}\ndetection: {a: {b: c}, condition: a}\n"
COMMIT = "c" * 40


@pytest.fixture
def server() -> Iterator[Server]:
    files = {"/a.yml": RULE, "/p.zip": zip_of({"rules/a.yml": RULE}), "/p.tar": tar_of({"top/a.yml": RULE})}
    with serving(files) as found:
        yield found


def read(*places: str | Path, **limits: int) -> tuple[list[KnowledgeItem], list[Issue]]:
    found = list(read_knowledge(places, limits=Limits(**limits)))  # type: ignore[arg-type]
    return [i for i in found if isinstance(i, KnowledgeItem)], [i for i in found if isinstance(i, Issue)]


@pytest.mark.parametrize(("path", "shown"), [("/a.yml", "/a.yml"), ("/p.zip", "/p.zip!rules/a.yml")])
def test_what_stands_at_a_url_is_fetched_once_and_read(server: Server, path: str, shown: str) -> None:
    """An archive too; that it came over plain HTTP is said."""
    (item,), (note,) = read(f"{server.url}{path}?token=secret")
    assert item.place.path == f"{server.url}{path}?token=***{shown.removeprefix(path)}"
    assert (note.code, "plain HTTP" in note.reason) == ("passed-over", True)
    assert server.asked == [f"{path}?token=secret"]


def test_a_collection_says_what_is_known_of_it(server: Server, tmp_path: Path) -> None:
    """What was fetched with its hash; a checkout with its commit, which is the version of a declared corpus."""
    found = [one for one in open_places([f"{server.url}/a.yml"], Limits()) if isinstance(one, Collection)]
    assert found[0].facts["sha256"] == hashlib.sha256(RULE).hexdigest()
    assert found[0].version == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(COMMIT)
    (tmp_path / "a.yml").write_bytes(RULE)
    (checkout,) = (one for one in open_places([tmp_path], Limits()) if isinstance(one, Collection))
    assert checkout.version == COMMIT
    assert [one.relative for one in checkout.documents() if isinstance(one, Document)] == ["a.yml"]
    (item,) = read_knowledge([tmp_path], corpus="sigmahq")
    assert isinstance(item, KnowledgeItem)
    assert (item.corpus, item.corpus_version) == ("sigmahq", COMMIT)


def test_a_server_that_leads_inside_is_not_followed(server: Server) -> None:
    """Nothing but the URL that was given is asked for."""
    server.redirects["/in"] = "http://169.254.169.254/latest/meta-data/"
    items, issues = read(f"{server.url}/in")
    assert (items, issues[-1].code) == ([], "input")
    assert "inside address (link-local)" in issues[-1].reason
    assert server.asked == ["/in"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://192.0.2.1/a", "gopher://192.0.2.1/"])
def test_a_server_that_leads_to_another_kind_of_place_is_not_followed(server: Server, target: str) -> None:
    """Web addresses only."""
    server.redirects["/away"] = target
    items, issues = read(f"{server.url}/away")
    assert items == []
    assert "isn't HTTPS" in issues[-1].reason


def test_redirects_within_the_server_are_followed_a_few_times(server: Server) -> None:
    """In a circle only so often."""
    server.redirects |= {"/1": "/2", "/2": "/a.yml", "/round": "/round"}
    assert len(read(f"{server.url}/1")[0]) == 1
    server.asked.clear()
    assert "place_redirects" in read(f"{server.url}/round")[1][-1].reason
    assert len(server.asked) == 6


def test_a_cut_answer_gives_nothing(server: Server) -> None:
    """Half a pack is no pack."""
    server.cut.add("/p.zip")
    items, issues = read(f"{server.url}/p.zip")
    assert items == []
    assert "breaks off" in issues[-1].reason


def test_an_answer_without_end_stops_at_the_limit(server: Server) -> None:
    """Of bytes, or of time."""
    server.endless.add("/for-ever")
    assert "place_bytes" in read(f"{server.url}/for-ever", place_bytes=1_000_000)[1][-1].reason
    assert "place_total_seconds" in read(f"{server.url}/for-ever", place_total_seconds=0)[1][-1].reason


def test_what_is_no_answer_is_an_issue(server: Server) -> None:
    """Garbage, a missing file, no server: named, without the server's own words."""
    server.garbage.add("/garbage")
    for url in (f"{server.url}/garbage", f"{server.url}/none", "http://127.0.0.1:1/", "https://"):
        items, issues = read(url)
        assert items == []
        assert issues[-1].code == "input"
        assert "own words" not in issues[-1].reason
