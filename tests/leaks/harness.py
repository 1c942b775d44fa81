"""Walks every way by which an ally gets bytes from us, and looks for what must not be in them."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from aleat.case.records import CoverageRow
from aleat.exchange import Finding, NotLookedAt, answer, deliver, prepare_release
from aleat.exchange.misp import write_events
from aleat.knowledge import KnowledgeItem
from aleat.release import Decision, Victim
from aleat.trust.agreements import Permission
from tests.leaks.graphs import Graph, Thing, make_graph
from tests.leaks.ground import NOW, OURS, RECIPIENTS, Ground, Reply, Server, identity
from tests.leaks.marks import DEFINED
from tests.leaks.oracle import canaries_in, plain, secrets_of, uuids_in
from tests.leaks.surfaces import composed

__all__ = ["Leak", "World", "look_for_leaks"]

VICTIM, HOST = "zqvictimonee", "zqhostnumber"
"""Whom our findings are about: our agreements let neither out."""
ABSENT = "malware--ffffffff-ffff-4fff-8fff-fffffffffff0"
_NOT_OF = {name: {identity(other)[-36:] for other in ("bank", "sister", "stranger")} for name in RECIPIENTS}


@dataclass(frozen=True)
class Leak:
    """Something that an ally got, and must not have: on which surface, of which graph."""

    to: str
    surface: str
    seed: int
    found: str
    why: str = ""


@dataclass
class World:
    """Graphs that lie in one workspace, and what was found."""

    graphs: tuple[Graph, ...]
    leaks: list[Leak] = field(default_factory=list)
    left: int = 0
    """How many objects left, over all allies and surfaces: nothing is tested where nothing leaves."""
    surfaces: set[str] = field(default_factory=set)
    _secrets: dict[str, dict[str, int]] = field(default_factory=dict)

    def look(self, to: str, surface: str, data: bytes, decisions: Sequence[Decision] = ()) -> None:
        """Look for what must stay from an ally in some bytes that it gets; `decisions` are the gate's own."""
        self.surfaces.add(surface)
        text = plain(data)
        canaries, uuids = canaries_in(text), uuids_in(text)
        if to not in self._secrets:
            told = ((graph.seed, secrets_of(graph, to)) for graph in self.graphs)
            self._secrets[to] = {one: seed for seed, secrets in told for one in (*secrets.uuids, *secrets.canaries)}
            self._secrets[to] |= {VICTIM: -1, HOST: -1}
        secrets = self._secrets[to]
        self.leaks += [
            Leak(to, surface, secrets[one], one, "oracle") for one in sorted((canaries | uuids) & secrets.keys())
        ]
        self.leaks += [
            Leak(to, surface, -1, one, "another ally") for one in sorted((_NOT_OF[to] - {identity(to)[-36:]}) & uuids)
        ]
        if decisions:
            self._look_by_decisions(to, surface, canaries, uuids, decisions)

    def forget(self) -> None:
        """Work out anew what must stay: something was held."""
        self._secrets.clear()

    def _look_by_decisions(
        self, to: str, surface: str, canaries: set[str], uuids: set[str], decisions: Sequence[Decision]
    ) -> None:
        """What the gate itself decided to keep must not be there either: closure, with the gate's word for the rest."""
        stays = {one.object: one.form for one in decisions if not one.allow or one.form == "told-again"}
        leaves = {one.object for one in decisions if one.allow}
        for graph in self.graphs:
            free = {word for thing in graph.things if thing.id in leaves for word in thing.counting.stated}
            for thing in graph.things:
                form = stays.get(thing.id)
                if form is None or (thing.id in leaves and form != "told-again"):
                    continue
                secret = {thing.id[-36:]} & uuids
                if form == "withheld":
                    secret |= ({thing.counting.inner, *thing.counting.stated} - free) & canaries
                self.leaks += [Leak(to, surface, graph.seed, one, "gate") for one in sorted(secret)]


def look_for_leaks(ground: Ground, seeds: Iterable[int], number: int = 0) -> World:
    """Put the graphs of some seeds into the workspace, walk every surface for every ally, and return what was found."""
    world = World(tuple(make_graph(seed) for seed in seeds))
    generator = random.Random(number)  # noqa: S311
    ground.restore()
    _fill(ground, world)
    with ground.serving() as server:
        for to in RECIPIENTS:
            _walk_server(server, world, to, generator)
        _hold_between_pages(server, world, RECIPIENTS[number % 4], generator)
        _walk_files(ground, world, RECIPIENTS[number % 4])
        _push(server, world, RECIPIENTS[number % 4], generator)
    return world


def _fill(ground: Ground, world: World) -> None:
    """Take everything in as its givers gave it, and record holds and permissions."""
    ground.know(DEFINED.values())
    by_giver: dict[str, list[KnowledgeItem]] = defaultdict(list)
    holds: dict[str, list[str]] = defaultdict(list)
    permitted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for graph in world.graphs:
        for thing in graph.things:
            for giver, item in thing.items():
                by_giver[giver].append(item)
            if thing.hold:
                holds[thing.hold].append(thing.id)
            for who, recipients in thing.permitted.items():
                for to in recipients:
                    permitted[who, to].append(thing.id)
    for giver, items in sorted(by_giver.items()):
        ground.know(items, OURS if giver == "ours" else identity(giver))
    for kind, ids in sorted(holds.items()):
        ground.ws.hold(ids, kind, "a court asked for it")
    for number, ((who, to), ids) in enumerate(sorted(permitted.items())):
        permission = Permission(
            id=f"permission--00000000-0000-4000-8000-{number:012d}",
            originator=identity(who),
            recipient=identity(to),
            objects=frozenset(ids),
            valid_from=NOW.date(),
            valid_until=NOW.date(),
        )
        ground.ws.permit(permission, "a letter")


def _things(world: World) -> list[Thing]:
    return [thing for graph in world.graphs for thing in graph.things]


def _pages(server: Server, to: str, what: str, limit: int) -> Iterator[Reply]:
    path = server.path(to, f"{what}/?limit={limit}")
    following = ""
    while True:
        reply = server.ask(to, path + following)
        assert reply.status == 200, reply.body
        yield reply
        if not reply.json.get("more"):
            return
        following = f"&next={quote(reply.json['next'])}"


def _walk_server(server: Server, world: World, to: str, generator: random.Random) -> None:
    """Every GET, with filters and pages, and what is said of objects that aren't there."""
    things = _things(world)
    limit = max(1, len(things) // 3)
    pages = list(_pages(server, to, "objects", limit))
    world.left += sum(len(page.json.get("objects", ())) for page in pages)
    for page in pages:
        world.look(to, "objects", page.seen)
    here = {item["id"] for page in pages for item in page.json.get("objects", ())}
    listed = list(_pages(server, to, "manifest", limit))
    world.look(to, "manifest", b"".join(page.seen for page in listed))
    assert {row["id"] for page in listed for row in page.json.get("objects", ())} == here
    ids = [thing.id for thing in things]
    for start in range(0, len(ids), 400):
        asked = ",".join(ids[start : start + 400])
        world.look(to, "match[id]", server.ask(to, server.path(to, f"objects/?match[id]={asked}")).seen)
    types = ",".join(sorted({generator.choice(things).type for _ in range(3)}))
    first = pages[0].headers.get("x-taxii-date-added-first", "2022-01-01T00:00:00.000Z")
    for query in (f"match[type]={types}", "match[version]=all", f"added_after={first}", "match[spec_version]=2.1"):
        world.look(to, "filters", server.ask(to, server.path(to, f"manifest/?{query}")).seen)
    away = [
        thing.id
        for thing in things
        if thing.id not in here and to not in {*thing.givers, *(thing.older.givers if thing.older else ())}
    ]
    _ask_for_absent(server, world, to, generator.sample(away, min(1, len(away))))
    for path in ("/taxii2/", "/taxii2/root/", "/taxii2/root/collections/", server.path(to)):
        world.look(to, "about", server.ask(to, path).seen)


def _ask_for_absent(server: Server, world: World, to: str, ids: Sequence[str]) -> None:
    """Of what is withheld, every answer must be the one that what doesn't exist gets, but for the id that was asked."""
    for id_ in ids:
        for rest, method in (("", "GET"), ("versions/", "GET"), ("", "DELETE"), ("", "HEAD")):
            got = server.ask(to, server.path(to, f"objects/{id_}/{rest}"), method)
            absent = server.ask(to, server.path(to, f"objects/{ABSENT}/{rest}"), method)
            world.surfaces.add("absent")
            if (got.status, got.headers, got.body) != (absent.status, absent.headers, absent.body):
                world.leaks.append(Leak(to, f"{method} objects/id/{rest}", -1, id_, "differs from what isn't there"))


def _hold_between_pages(server: Server, world: World, to: str, generator: random.Random) -> None:
    """Hold some of what would be on the next page: it isn't there, nor anything that names it."""
    first = server.ask(to, server.path(to, "objects/?limit=1"))
    ids = [thing.id for thing in _things(world)]
    here = [item["id"] for item in server.ask(to, server.path(to, "manifest/")).json.get("objects", ())]
    chosen = generator.sample(sorted(set(here) & set(ids)), min(3, len(set(here) & set(ids))))
    if not chosen or not first.json.get("more"):
        return
    server.ground.ws.hold(chosen, "legal-hold", "a court asked for it")
    world.forget()
    for thing in _things(world):
        if thing.id in chosen:
            thing.hold = "legal-hold"
            if thing.older is not None:
                thing.older.hold = "legal-hold"
    rest = server.ask(to, server.path(to, f"objects/?next={quote(first.json['next'])}"))
    world.look(to, "next page after a hold", rest.seen)


def _push(server: Server, world: World, to: str, generator: random.Random) -> None:
    """Push what tells of things that the ally can't see: the answer is that for things that aren't here."""
    here = {row["id"] for row in server.ask(to, server.path(to, "manifest/")).json.get("objects", ())}
    away = [thing for thing in _things(world) if thing.id not in here and thing.type == "malware"]
    for thing in generator.sample(away, min(2, len(away))):
        forged = {
            "type": "malware",
            "spec_version": "2.1",
            "name": "forged",
            "is_family": True,
            "id": f"malware--{thing.id[-36:]}",
        }
        forged |= {"created": "2022-09-11T00:00:00.000Z", "modified": "2022-09-11T00:00:00.000Z"}
        other = forged | {"id": f"malware--{ABSENT[-36:]}"}
        got, control = server.push(to, forged), server.push(to, other)
        world.surfaces.add("push")
        if _said(got, forged["id"]) != _said(control, other["id"]):
            world.leaks.append(Leak(to, "POST objects", -1, thing.id, "answered otherwise than what isn't here"))
        status = server.ask(to, f"/taxii2/root/status/{got.json['id']}/")
        if status.body != got.body:
            world.leaks.append(Leak(to, "GET status", -1, thing.id, "differs from the push's own answer"))


def _said(reply: Reply, id_: str) -> object:
    """What an answer to a push says, without what differs each time, and without the id that was pushed."""
    body = {name: value for name, value in reply.json.items() if name not in {"id", "request_timestamp"}}
    return reply.status, json.dumps(body).replace(id_, "ID"), sorted(reply.headers.keys() - {"content-length"})


def _walk_files(ground: Ground, world: World, to: str) -> None:
    """The sealed release, as its recipient opens it, the same as MISP events, and what goes to a MISP server."""
    with ground.ws.writing(), ground.ws._desk(write=True) as desk:
        release = prepare_release(desk, to)
        sent = deliver(desk, to, release)
    parts = ground.unseal(to, sent.data)
    world.look(to, "sealed file", b"\n".join(parts.values()) + sent.name.encode(), release.decisions)
    markings = {one.object: one.markings for one in release.decisions if one.allow}
    world.look(to, "misp events", write_events(release.objects, markings=markings).to_json(), release.decisions)
    with ground.ws._desk(write=False) as desk:
        plain_way = prepare_release(desk, to, channel="plain")
    world.look(to, "misp push", composed(ground, to), plain_way.decisions)
    _answer(ground, world, to)


def _answer(ground: Ground, world: World, to: str) -> None:
    """Findings with every indicator here, as if one hunt had looked for all of them."""
    found = [
        Finding(
            indicator=thing.id,
            status=("seen", "not-seen", "false-positive")[number % 3],
            count=number % 3 + 1,
            first=NOW,
            last=NOW,
            reason="",
        )
        for number, thing in enumerate(thing for thing in _things(world) if thing.type == "indicator")
    ]
    coverage = [CoverageRow(host=HOST, format="windows", channel="Security", first=NOW, last=NOW, events=9)]
    gaps = [NotLookedAt(f"rule {value}", "no-reader") for thing in _things(world)[:5] for value in thing.values]
    victim = Victim(name=VICTIM, sector="government", country="AL")
    with ground.ws.writing(), ground.ws._desk(write=True) as desk:
        sent = answer(
            desk, ground.deliveries[to], found, coverage=coverage, not_looked_at=gaps, victim=victim, engine="aleat"
        )
    world.look(to, "findings", b"\n".join(ground.unseal(to, sent.data).values()))
