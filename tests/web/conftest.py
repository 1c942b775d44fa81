"""A workspace whose server listens on loopback, with two allies and what each may and may not have."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aleat import Workspace
from aleat.errors import Place
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.knowledge import KnowledgeItem
from aleat.stix import StixObject
from aleat.store.allies import add_agreement, add_ally
from aleat.trust.agreements import export_card, fingerprint
from aleat.trust.keys import AgeKey, SigningKey
from aleat.web import Listening, WebLimits, serve
from aleat.workspace.accounts import Account, make_token
from aleat.workspace.knowledge import keep
from tests.exchange.teams import AGREEMENT, START, indicator

NORTH, SOUTH, EAST = (f"identity--{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123")
PASSWORD = "a long word between us"
LIMITS = WebLimits(page_objects=50, requests=1e6, burst=10**6, body_bytes=2 * 1024**2, body_seconds=1.0)


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Served:
    """A workspace ("north", ours) with its server's URL, and the accounts of its allies south and east."""

    ws: Workspace
    url: str
    south: Account
    east: Account
    tokens: dict[str, str] = field(default_factory=dict)
    relay: Account | None = None

    @property
    def root(self) -> str:
        """The API root's URL."""
        return f"{self.url}root/"

    def collection(self, who: str = "south") -> str:
        """The URL of an ally's collection."""
        account: Account = getattr(self, who)
        return f"{self.root}collections/{account.collection}/"

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        who: str | None = "south",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Make one request; `path` is a URL of the server, or behind its discovery's."""
        parts = urlsplit(self.url)
        target = path.removeprefix(f"http://{parts.netloc}") if path.startswith("http") else parts.path + path
        sent = {"Accept": MEDIA_TYPE}
        if who is not None:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        if body is not None:
            sent["Content-Type"] = MEDIA_TYPE
        connection = http.client.HTTPConnection(str(parts.hostname), int(parts.port or 0), timeout=30)
        try:
            connection.request(method, target, body=body, headers={**sent, **(headers or {})})
            got = connection.getresponse()
            return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()

    def push(self, *objects: StixObject | dict[str, Any], who: str = "south") -> Answer:
        """Push objects as an ally."""
        plain = [json.loads(item.raw) if isinstance(item, StixObject) else item for item in objects]
        return self.ask(
            f"{self.collection(who)}objects/", "POST", who=who, body=json.dumps({"objects": plain}).encode()
        )

    def ids(self, query: str = "", who: str = "south") -> list[str]:
        """The ids of one page of an ally's objects."""
        found = self.ask(f"{self.collection(who)}objects/?{query}", who=who)
        assert found.status == 200, found.body
        return [item["id"] for item in found.json.get("objects", ())]

    def know(self, *objects: StixObject, giver: str = NORTH, markings: tuple[str, ...] = ()) -> None:
        """Take objects in, as given by `giver`, under `markings` that stand beside them."""
        take_in(self.ws, objects, giver, markings)


def take_in(ws: Workspace, objects: Iterable[StixObject], giver: str = NORTH, markings: tuple[str, ...] = ()) -> None:
    """Keep objects as given by `giver`."""
    items = [KnowledgeItem(object=item, place=Place("test"), markings=markings) for item in objects]
    with ws.writing(), ws.write() as connection:
        keep(ws, connection, items, giver=giver)


def befriend(ws: Workspace, name: str, identity: str) -> None:
    """Take an ally's card, and an agreement with it."""
    key = SigningKey.generate()
    card = ws.card().__class__(
        identity=identity,
        name=name,
        organisation=f"Team {name}",
        country="AL",
        signing_key=key.public.text,
        age_recipient=AgeKey.generate().recipient,
        issued="2022-09-01T00:00:00.000Z",
    )
    text = AGREEMENT.format(*sorted((NORTH, identity))).replace("mutual-aid", f"mutual-aid-{name}")
    signing: dict[str, Any] = {"actor": "ana", "time": START, "key": ws.key}
    with ws.writing(), ws.write() as connection:
        add_ally(connection, export_card(card, key), compared=fingerprint(card), **signing)
        add_agreement(connection, text.encode(), **signing)


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A workspace with two allies and their accounts, closed, and the accounts' tokens."""
    folder = tmp_path_factory.mktemp("served")
    tokens = {"south": make_token(), "east": make_token()}
    with Workspace.init(
        folder / "case",
        organisation="North",
        identity=NORTH,
        actor="ana",
        key_folder=folder / "keys",
        clock=lambda: START,
    ) as ws:
        befriend(ws, "south", SOUTH)
        befriend(ws, "east", EAST)
        ws.add_account("south", "south", push=True, token=tokens["south"], password=PASSWORD)
        ws.add_account("east", "east", push=True, token=tokens["east"])
        take_in(ws, (indicator(number, NORTH, "green" if number < 20 else "red") for number in range(30)))
    return folder, tokens


@contextmanager
def running(ws: Workspace, limits: WebLimits = LIMITS, listening: Listening | None = None) -> Iterator[str]:
    """Run the server of a workspace on loopback; yield its URL."""
    ready = threading.Event()
    urls: list[str] = []
    ends: list[Any] = []

    def started(url: str) -> None:
        urls.append(url)
        ready.set()

    sharing = ws.share(quick_seconds=1e9)
    where = listening or Listening(port=0)
    thread = threading.Thread(
        target=serve, args=(sharing, where, limits), kwargs={"started": started, "stop": ends.append}
    )
    thread.start()
    try:
        assert ready.wait(20)
        yield urls[0]
    finally:
        ends[0]()
        thread.join(20)
        sharing.close()


@pytest.fixture
def workspace(founded: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Workspace]:
    """A copy of the workspace, for one test."""
    shutil.copytree(founded[0], tmp_path / "served")
    with Workspace.open(
        tmp_path / "served" / "case", actor="ana", key_folder=tmp_path / "served" / "keys", clock=lambda: START
    ) as ws:
        yield ws


@pytest.fixture(scope="module")
def shared(founded: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared") / "served"
    shutil.copytree(founded[0], folder)
    with (
        Workspace.open(folder / "case", actor="ana", key_folder=folder / "keys", clock=lambda: START) as ws,
        running(ws) as url,
    ):
        yield served_at(ws, url, founded[1])


@pytest.fixture(scope="module")
def busy(founded: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server for tests that push, and don't count what others pushed."""
    folder = tmp_path_factory.mktemp("busy") / "served"
    shutil.copytree(founded[0], folder)
    with (
        Workspace.open(folder / "case", actor="ana", key_folder=folder / "keys", clock=lambda: START) as ws,
        running(ws) as url,
    ):
        yield served_at(ws, url, founded[1])


@pytest.fixture
def served(founded: tuple[Path, dict[str, str]], workspace: Workspace) -> Iterator[Served]:
    """The workspace's server, running."""
    with running(workspace) as url:
        yield served_at(workspace, url, founded[1])


def served_at(ws: Workspace, url: str, tokens: dict[str, str]) -> Served:
    """What tests use of a running server."""
    accounts = {account.name: account for account in ws.accounts()}
    return Served(ws, url, accounts["south"], accounts["east"], dict(tokens))
