"""Everything that one ally gets to see of us, as runs of bytes by the surface they came over."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from aleat.exchange import deliver, prepare_release
from aleat.exchange.misp import write_events
from aleat.stix import StixObject
from tests.leaks.ground import RECIPIENTS, Ground, Reply, Server
from tests.leaks.oracle import plain

__all__ = ["assert_untold", "composed", "everything", "pages", "sent", "served"]


def pages(server: Server, to: str, what: str, limit: int) -> list[Reply]:
    """All pages of an ally's objects or manifest."""
    replies = [server.ask(to, server.path(to, f"{what}/?limit={limit}"))]
    while replies[-1].json.get("more") and "next" in replies[-1].json:
        following = quote(replies[-1].json["next"])
        replies.append(server.ask(to, server.path(to, f"{what}/?limit={limit}&next={following}")))
    return replies


def served(server: Server, to: str, *ids: str) -> Iterator[tuple[str, bytes]]:
    """Yield what our server answers an ally, asked for all it has and for some objects by name."""
    yield "objects", b"".join(page.seen for page in pages(server, to, "objects", 3))
    yield "manifest", b"".join(page.seen for page in pages(server, to, "manifest", 2))
    for path in ("/taxii2/", "/taxii2/root/", "/taxii2/root/collections/", server.path(to)):
        yield "about", server.ask(to, path).seen
    for id_ in ids:
        for rest in (f"objects/{id_}/", f"objects/{id_}/versions/", f"objects/?match[id]={id_}"):
            yield "by id", server.ask(to, server.path(to, rest)).seen
        yield "delete", server.ask(to, server.path(to, f"objects/{id_}/"), "DELETE").seen


def sent(ground: Ground, to: str, derived: tuple[StixObject, ...] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield a sealed release as its recipient opens it, and the same objects as MISP events, by both writers."""
    with ground.ws.writing(), ground.ws._desk(write=True) as desk:
        release = prepare_release(desk, to, derived=derived)
        file = deliver(desk, to, release)
    for name, data in ground.unseal(to, file.data).items():
        yield f"sealed {name}", data
    yield "file's name", file.name.encode()
    markings = {one.object: one.markings for one in release.decisions if one.allow}
    yield "misp", write_events(release.objects, markings=markings).to_json()
    yield "misp push", composed(ground, to)


def composed(ground: Ground, to: str) -> bytes:
    """The events that go to an ally's MISP server, or into a file for it, as wide as a server may be."""
    path = ground.folder / "events.json"
    ground.ws.write_misp(path, to=to)
    return path.read_bytes()


def everything(ground: Ground, to: str, *ids: str) -> list[tuple[str, bytes]]:
    """Return all that an ally gets to see, over every surface."""
    with ground.serving() as server:
        found = list(served(server, to, *ids))
    return found + (list(sent(ground, to)) if to != "stranger" else [])


def assert_untold(ground: Ground, *secrets: str, to: tuple[str, ...] = RECIPIENTS, ids: tuple[str, ...] = ()) -> None:
    """Look for words and UUIDs in everything that allies get, however it is spelled there."""
    for name in to:
        for surface, data in everything(ground, name, *ids):
            text = plain(data)
            for secret in secrets:
                assert secret.lower() not in text, (name, surface, secret)
