"""Others' clients and our own against the running server: taxii2-client, `poll`, `push_objects`; TLS; a kill."""

from __future__ import annotations

import hashlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from taxii2client.v21 import Server, as_pages

from aleat import Workspace
from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access, Credentials, Tls
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.store.objects import iterate_objects
from aleat.web import Listening, serve
from tests.exchange.malware import malware, malware_id
from tests.exchange.teams import AGREEMENT, indicator
from tests.exchange.test_http_tls import Authority, authority
from tests.web.conftest import NORTH, PASSWORD, SOUTH, Served, running

__all__ = ["authority"]


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Workspace]:
    """The ally's own workspace, empty."""
    with Workspace.init(tmp_path / "theirs", actor="besa", key_folder=tmp_path / "theirs-keys") as ws:
        yield ws


def access(served: Served, path: str = "") -> Access:
    """How our own client reaches the server."""
    return Access(path or served.url, Credentials(served.tokens["south"]), sleep=lambda _: None)


def test_taxii2_client_finds_fetches_and_pushes(served: Served) -> None:
    """OASIS' client walks from discovery to the objects of a page, pushes, and waits for the status."""
    server = Server(served.url, user="south", password=PASSWORD)
    assert server.title == "North: TAXII server"
    collection = server.default.collections[0]
    assert (collection.can_read, collection.can_write) == (True, True)
    pages = list(as_pages(collection.get_objects, per_request=5))
    assert [len(page["objects"]) for page in pages] == [5, 5, 5, 5, 1]
    one = collection.get_object(indicator(3, NORTH).id)["objects"][0]
    assert one["name"] == "Beacon number 3"
    assert len(collection.get_manifest(type="indicator")["objects"]) == 20
    assert collection.object_versions(indicator(3, NORTH).id)["versions"] == ["2022-09-20T12:00:00.000Z"]
    status = collection.add_objects({"objects": [malware(1).properties()]})
    assert (status.status, status.success_count) == ("complete", 1)
    with pytest.raises(requests.HTTPError):
        collection.get_object(indicator(25, NORTH).id)
    server.close()


def test_our_own_poll_takes_all_of_it_once(served: Served, theirs: Workspace) -> None:
    """What the ally may have is polled; polled again, nothing is new; what comes later comes with the next poll."""
    polled = theirs.poll(access(served), giver="north")
    assert (polled.feeds[0].added.new, polled.feeds[0].complete) == (21, True)
    assert theirs.poll(access(served), giver="north").feeds[0].added.new == 0
    served.know(indicator(300, NORTH, "green"))
    assert theirs.poll(access(served), giver="north").feeds[0].added.new == 1
    with theirs.read() as connection:
        assert len(list(iterate_objects(connection, ["indicator"]))) == 21


def test_our_own_push_arrives(served: Served) -> None:
    """All that is pushed is accepted; what is refused is named with the server's reason."""
    items = [indicator(number, SOUTH, "green") for number in range(100, 220)]
    with TaxiiClient(access(served, served.collection())) as client:
        pushed = push_objects(client, served.collection(), [*items, indicator(400, NORTH, "green")])
    assert (len(pushed.accepted), pushed.pending) == (120, ())
    assert [failure.id for failure in pushed.failed] == [indicator(400, NORTH).id]


def test_tls_and_a_client_certificate(workspace: Workspace, authority: Authority) -> None:
    """Over TLS; an account is proved by a certificate alone; who doesn't trust the server's doesn't get that far."""
    certificate = ssl.PEM_cert_to_DER_cert(Path(authority.ours).read_text(encoding="ascii"))
    workspace.add_account("south-machine", "south", certificate=hashlib.sha256(certificate).hexdigest())
    listening = Listening(port=0, certificate=authority.server, client_ca=authority.ca)
    with running(workspace, listening=listening) as url:
        assert url.startswith("https://127.0.0.1:")
        there = url.replace("127.0.0.1", "localhost")
        ours = Tls(authority.ca, authority.ours, authority.key, authority.password)
        with TaxiiClient(Access(there, tls=ours, sleep=lambda _: None)) as client:
            assert client.discovery().title == "North: TAXII server"
        unnamed = Access(there, tls=Tls(authority.ca), sleep=lambda _: None)
        with TaxiiClient(unnamed) as client, pytest.raises(RemoteError, match="401"):
            client.discovery()
        with TaxiiClient(Access(there, sleep=lambda _: None)) as client, pytest.raises(RemoteError):
            client.discovery()


def test_it_speaks_in_clear_to_itself_only(workspace: Workspace) -> None:
    """Without a certificate no other address is listened on; files that are none are refused."""
    sharing = workspace.share()
    with pytest.raises(InputError, match="in clear"):
        serve(sharing, Listening(host="192.0.2.1", port=0))
    with pytest.raises(InputError, match="can't be used"):
        serve(sharing, Listening(port=0, certificate=str(workspace.folder / "aleat.toml")))
    sharing.close()


def lengthen(workspace: Workspace, folder: Path) -> None:
    """Let the agreement with South be in force today too: a process has the machine's clock."""
    text = AGREEMENT.format(*sorted((NORTH, SOUTH))).replace("mutual-aid", "mutual-aid-south")
    path = folder / "longer.toml"
    path.write_text(text.replace("version = 1", "version = 2").replace("2023-08-31", "2099-08-31"), encoding="utf-8")
    workspace.add_agreement(path)


def start_process(workspace: Workspace, folder: Path, tokens: dict[str, str]) -> tuple[subprocess.Popen[str], Served]:
    """Start `aleat serve` as a process of its own."""
    account = workspace.accounts()[1]
    command = [sys.executable, "-m", "aleat", "serve", "--port", "0", "-w", str(workspace.folder)]
    keys = str(folder / "served" / "keys")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "ALEAT_KEYS": keys, "PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    with process.stdout as said:
        url = said.readline().split()[2].rstrip(".")
    return process, Served(workspace, url, account, account, dict(tokens))


@dataclass
class Ingestion:
    """A poller that keeps its state as OpenCTI's TAXII ingestion does, one request a run.

    It sends its `added_after` beside each `next`, moves it only where a chain of pages ends, and keeps it in whole
    milliseconds, as JavaScript's dates do. A page without objects changes nothing.
    """

    served: Served
    limit: int
    added_after: str | None = None
    cursor: str | None = None
    got: list[str] = field(default_factory=list)

    def run(self) -> int:
        """Ask once; return how many objects came."""
        params = {"limit": str(self.limit), "added_after": self.added_after, "next": self.cursor}
        query = urlencode({name: value for name, value in params.items() if value is not None})
        answer = self.served.ask(f"{self.served.collection()}objects/?{query}")
        assert answer.status == 200, answer.body
        found = [one["id"] for one in answer.json.get("objects", ())]
        self.got += found
        if found and answer.json.get("more") and answer.json.get("next"):
            self.cursor = answer.json["next"]
        elif found:
            self.cursor = None
            self.added_after = answer.headers["x-taxii-date-added-last"][:23] + "Z"
        return len(found)

    def walk(self) -> list[str]:
        """Run until a chain has ended; return what came."""
        before = len(self.got)
        while self.run() and self.cursor is not None:
            pass
        return self.got[before:]


def test_clients_of_others_against_a_process(
    workspace: Workspace, founded: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """taxii2-client, and a poller as OpenCTI's, against `aleat serve`: everything, each walk once and in order."""
    lengthen(workspace, tmp_path)
    process, served = start_process(workspace, tmp_path, founded[1])
    try:
        server = Server(served.url, user="south", password=PASSWORD)
        collection = server.default.collections[0]
        pages = list(as_pages(collection.get_objects, per_request=4))
        assert [one["id"] for page in pages for one in page["objects"]] == served.ids()
        assert collection.add_objects({"objects": [malware(77).properties()]}).success_count == 1
        collection.delete_object(malware_id(77))
        with pytest.raises(requests.HTTPError):
            collection.get_object(malware_id(77))
        server.close()
        ingestion = Ingestion(served, 4)
        whole = served.ids()
        assert ingestion.walk() == whole
        served.push(*(malware(number) for number in range(30)))
        assert {malware_id(number) for number in range(30)} <= set(ingestion.walk())
        again = Ingestion(served, 4)
        head = served.ask(f"{served.collection()}objects/?limit=1").headers
        again.added_after = head["x-taxii-date-added-first"]  # an old time, beside each new `next`
        assert again.walk() == served.ids()[1:]
    finally:
        process.kill()
        process.wait(timeout=20)
    assert not workspace.verify().faults


@pytest.mark.long
def test_a_killed_server_goes_on_where_it_was(
    workspace: Workspace, founded: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """Killed between pages and pushes: tokens, times and statuses are what they were, nothing is lost or doubled."""
    lengthen(workspace, tmp_path)

    def start() -> tuple[subprocess.Popen[str], Served]:
        return start_process(workspace, tmp_path, founded[1])

    process, first = start()
    status = first.push(*(malware(number) for number in range(5))).json
    page = first.ask(f"{first.collection()}objects/?limit=5")
    process.kill()
    process.wait(timeout=20)
    process, second = start()
    try:
        assert second.ask(f"{second.root}status/{status['id']}/").json == status
        again = second.ask(f"{second.collection()}objects/?limit=5")
        assert (again.body, again.headers["x-taxii-date-added-last"]) == (
            page.body,
            page.headers["x-taxii-date-added-last"],
        )
        assert second.push(*(malware(number) for number in range(5))).json["success_count"] == 5
    finally:
        process.kill()
        process.wait(timeout=20)
    with workspace.read() as connection:
        stored = list(iterate_objects(connection, ["malware"]))
    assert [one.object.id for one in stored] == sorted(malware_id(number) for number in range(5))
    assert [len(one.copies) for one in stored] == [1] * 5
    assert not workspace.verify().faults
