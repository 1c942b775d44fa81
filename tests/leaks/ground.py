"""The ground on which leaks are looked for: one workspace with five allies, put back as it was for each case.

We are *ours* (a national team). *North* is an ally in a community of ours, *bank* a client in our constituency,
*sister* a part of our own organisation, *giver* an ally whose agreement lets us pass things on, *stranger* an ally
whose agreement has ended. *Third* has no card here: its things come through others.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from aleat import Workspace
from aleat.errors import Place
from aleat.exchange import Delivery, Offer
from aleat.exchange.messages import encode_messages
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.knowledge import KnowledgeItem
from aleat.stix import StixObject, canonical_json, make_bundle
from aleat.store.allies import add_agreement, add_ally
from aleat.trust.agreements import AllyCard, export_card, fingerprint
from aleat.trust.keys import AgeKey, SigningKey
from aleat.trust.seal import open_sealed, seal
from aleat.web import WebLimits, make_app
from aleat.workspace.accounts import Account, make_token
from aleat.workspace.knowledge import keep

NOW = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)
RECIPIENTS = ("north", "bank", "sister", "giver", "stranger")
LIMITS = WebLimits(page_objects=1_000, requests=1e6, burst=10**6, body_bytes=2 * 1024**2)

_AGREEMENT = """\
format = 1
name = "with-{name}"
version = 1
kind = "bilateral"
parties = ["{ours}", "{theirs}"]
valid_from = 2022-09-01
valid_until = {until}
purposes = ["incident-response"]
{head}
[release]
labels = [{labels}]
{default}
victims = "sector-country"
granularity = "day"
{onward}
"""
_ALL = '"clear", "green", "amber", "amber+strict"'
_ONWARD = '[[onward]]\nlabels = ["green"]\ncommunities = ["csirts"]\n'
_TERMS: dict[str, dict[str, str]] = {
    "north": {"head": 'communities = ["csirts"]', "labels": '"clear", "green", "amber"', "onward": _ONWARD},
    "bank": {"head": 'relation = "constituent"', "labels": '"clear", "green"', "default": ""},
    "sister": {"head": 'relation = "own-organisation"', "labels": _ALL},
    "giver": {
        "head": 'communities = ["csirts"]',
        "labels": '"clear", "green"',
        "default": 'default_label = "green"',
        "onward": _ONWARD + '[[onward]]\nlabels = ["amber", "amber+strict"]\n',
    },
    "stranger": {"head": "", "labels": _ALL, "until": "2022-09-02"},
}


def identity(name: str) -> str:
    """The identity id of a team."""
    return f"identity--{uuid5(NAMESPACE_DNS, f'{name}.leaks.example')}"


OURS = identity("ours")


@dataclass(frozen=True)
class Reply:
    """What the server answered: everything that a client sees of it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def seen(self) -> bytes:
        """Body and headers as one run of bytes."""
        return self.body + b"\n" + json.dumps(self.headers).encode()


@dataclass(frozen=True)
class Ally:
    """One ally: its card and keys, and how it comes to the server."""

    card: AllyCard
    key: SigningKey
    age: AgeKey
    token: str


class Server:
    """Our server, asked in this process: the real application, with the real rights, without a network."""

    def __init__(self, ground: Ground, loop: asyncio.Runner, limits: WebLimits = LIMITS) -> None:
        self.ground = ground
        self.sharing = ground.ws.share(quick_seconds=1e9)
        self.app = make_app(self.sharing, limits)
        self._loop = loop

    def close(self) -> None:
        """Stop what judges beside."""
        self.sharing.close()

    def path(self, who: str, rest: str = "") -> str:
        """A path in the collection of an ally."""
        return f"/taxii2/root/collections/{self.ground.accounts[who].collection}/{rest}"

    def ask(self, who: str, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Make one request as an ally ("" for nobody); `path` is the server's, with its query."""
        plain, _, query = path.partition("?")
        sent = {"host": "127.0.0.1", "accept": MEDIA_TYPE, **{name.lower(): value for name, value in headers.items()}}
        if who:
            sent["authorization"] = f"Bearer {self.ground.allies[who].token}"
        if body:
            sent |= {"content-type": MEDIA_TYPE, "content-length": str(len(body))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 80),
        }
        return self._loop.run(_call(self.app, scope, body))

    def push(self, who: str, *objects: StixObject | dict[str, Any]) -> Reply:
        """Push objects as an ally."""
        plain = [json.loads(item.raw) if isinstance(item, StixObject) else item for item in objects]
        return self.ask(who, self.path(who, "objects/"), "POST", json.dumps({"objects": plain}).encode())

    def ids(self, who: str, query: str = "") -> list[str]:
        """The ids on one page of an ally's objects."""
        reply = self.ask(who, self.path(who, f"objects/{query}"))
        assert reply.status == 200, reply.body
        return [item["id"] for item in reply.json.get("objects", ())]


async def _call(app: Any, scope: dict[str, Any], body: bytes) -> Reply:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


class Ground:
    """The workspace in `folder`; `restore` puts its database back as it was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allies = {name: _make_ally(name) for name in RECIPIENTS}
        self.ws = Workspace.init(
            folder / "case",
            organisation="Ours",
            identity=OURS,
            actor="ana",
            key_folder=folder / "keys",
            clock=lambda: NOW,
        )
        for name, ally in self.allies.items():
            self._befriend(name, ally)
        self.deliveries = {name: self._take_delivery(ally) for name, ally in self.allies.items()}
        """What each ally delivered to us, by its message's id: findings answer it."""
        self.ws.share().close()
        self.accounts: dict[str, Account] = {account.name: account for account in self.ws.accounts()}
        self._kept = sqlite3.connect(":memory:", check_same_thread=False)
        with sqlite3.connect(self._path) as there:
            there.backup(self._kept)
        there.close()
        self._runner = asyncio.Runner()

    @property
    def _path(self) -> Path:
        return self.ws.folder / "aleat.db"

    def close(self) -> None:
        """Close the workspace, and the loop in which its server is asked."""
        self._runner.close()
        self._kept.close()
        self.ws.close()

    def restore(self) -> None:
        """Put the database back as it was made."""
        there = sqlite3.connect(self._path)
        self._kept.backup(there)
        there.close()
        shutil.rmtree(self.ws.folder / "lists", ignore_errors=True)
        (self.ws.folder / "lists").mkdir()

    @contextmanager
    def serving(self, limits: WebLimits = LIMITS) -> Iterator[Server]:
        """Have the server of the workspace as it is now."""
        server = Server(self, self._runner, limits)
        try:
            yield server
        finally:
            server.close()

    def know(
        self, items: Iterable[StixObject | KnowledgeItem], giver: str = OURS, originator: str | None = None
    ) -> None:
        """Take objects in, as given by `giver` (an identity)."""
        wrapped = [
            item if isinstance(item, KnowledgeItem) else KnowledgeItem(object=item, place=Place("test"))
            for item in items
        ]
        with self.ws.writing(), self.ws.write() as connection:
            keep(self.ws, connection, wrapped, giver=giver, originator=originator)

    def unseal(self, who: str, data: bytes) -> dict[str, bytes]:
        """Open a sealed file of ours with an ally's key: every byte that it gets to see, by part."""
        ally = self.allies[who]
        opened = open_sealed(
            data,
            own=ally.card.identity,
            age_keys=(ally.age,),
            senders={OURS: (self.ws.key.public,)},
        )
        return {"header": opened.header_bytes, "signature": opened.signature.encode(), **opened.parts}

    def _befriend(self, name: str, ally: Ally) -> None:
        terms = {"onward": "", "until": "2022-12-31", "default": 'default_label = "amber"'} | _TERMS[name]
        parties = sorted((OURS, ally.card.identity))
        text = _AGREEMENT.format(name=name, ours=parties[0], theirs=parties[1], **terms)
        signing: dict[str, Any] = {"actor": "ana", "time": NOW, "key": self.ws.key}
        with self.ws.writing(), self.ws.write() as connection:
            add_ally(connection, export_card(ally.card, ally.key), compared=fingerprint(ally.card), **signing)
            add_agreement(connection, text.encode(), **signing)
        self.ws.add_account(name, name, push=True, token=ally.token)

    def _take_delivery(self, ally: Ally) -> str:
        """Open a sealed file in which an ally says that it delivers something."""
        offered, delivered = (
            f"message--{uuid5(NAMESPACE_DNS, ally.card.name + word)}" for word in ("offer", "delivery")
        )
        head = {"sender": ally.card.identity, "recipient": OURS, "time": "2022-09-19T12:00:00.000Z", "person": "eva"}
        said = {"format": 1, "agreement": {"name": f"with-{ally.card.name}", "version": 1}, "objects": [], "lists": []}
        manifest = canonical_json({**said, "from": ally.card.identity, "to": OURS})
        bundle = make_bundle([], id_=f"bundle--{offered[-36:]}")
        digest = sha256(sha256(bundle).digest() + sha256(manifest).digest()).hexdigest()
        release = f"release--{offered[-36:]}"
        messages = (
            Offer(id=offered, thread=offered, what="Tools.", **head),
            Delivery(id=delivered, thread=offered, of=offered, release=release, sha256=digest, **head),
        )
        data, _ = seal(
            {"messages.json": encode_messages(messages), "bundle.json": bundle, "manifest.json": manifest},
            release=release,
            sender=ally.card.identity,
            key=ally.key,
            recipient=OURS,
            recipient_key=self.ws.card().age_recipient,
            serial=1,
            time=NOW,
        )
        path = self.folder / f"from-{ally.card.name}"
        path.write_bytes(data)
        self.ws.receive(path)
        return delivered


def _make_ally(name: str) -> Ally:
    key, age = SigningKey.generate(), AgeKey.generate()
    card = AllyCard(
        identity=identity(name),
        name=name,
        organisation=f"Team {name}",
        country="AL",
        signing_key=key.public.text,
        age_recipient=age.recipient,
        issued="2022-09-01T00:00:00.000Z",
    )
    return Ally(card, key, age, make_token())
