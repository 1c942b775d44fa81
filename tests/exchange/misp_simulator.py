"""A MISP server on loopback: the REST paths that PyMISP calls, and answers that no MISP gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aleat.exchange.access import Access, Credentials, RemoteLimits
from tests.exchange.http_double import Reply, Request, Server, serving

__all__ = ["KEY", "Misp", "access", "running"]

KEY = "a-key-that-nobody-may-see-0123456789ABCDE"
_LIMITS = RemoteLimits(
    page_objects=3, page_bytes=200_000, pages=50, objects=100, empty_pages=3, attempts=2, seconds=20, request_seconds=5
)


_TYPES = {"types": [], "categories": [], "category_type_mappings": {}, "sane_defaults": {}}
_FIXED: dict[str, Any] = {
    "servers/getPyMISPVersion.json": {"version": "2.5.17"},
    "servers/getVersion": {"version": "2.5.17"},
    "users/view/me": {"User": {"id": "1", "email": "us@example.org"}, "Role": {"id": "1"}, "UserSetting": {}},
    "attributes/describeTypes.json": {"result": _TYPES},
}
"""What PyMISP asks for when it connects."""


@dataclass
class Misp:
    """The server's events (bodies, as MISP exports them) by UUID; `wrong` answers a request instead, where it does."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: Callable[[Request], Reply | None] = lambda _request: None
    searches: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        found = self.wrong(request)
        if found is not None:
            return found
        if request.headers.get("authorization") != KEY:
            return _json({"name": "Authentication failed.", "message": "No."}, 403)
        path = request.path.strip("/")
        if path in _FIXED:
            return _json(_FIXED[path])
        if path == "events/restSearch":
            return self._search(json.loads(request.body))
        event = self.events.get(path.removeprefix("events/view/"))
        return _json({"Event": event}) if event is not None else _json({"name": "Not found"}, 404)

    def _search(self, query: dict[str, Any]) -> Reply:
        self.searches.append(query)
        name = "publish_timestamp" if "publish_timestamp" in query else "timestamp"
        since = int(query.get(name) or 0)
        rows = [
            {key: item for key, item in event.items() if key not in {"Attribute", "Object"}}
            for event in self.events.values()
            if int(event[name]) >= since
            and (query.get("published") is None or event["published"] == query["published"])
            and (not query.get("tags") or {tag["name"] for tag in event.get("Tag", ())} & set(query["tags"]))
            and (not query.get("org") or event["Orgc"]["name"] in query["org"])
        ]
        start = (query["page"] - 1) * query["limit"]
        return _json({"response": [{"Event": row} for row in rows[start : start + query["limit"]]]})


@contextmanager
def running(misp: Misp) -> Iterator[Server]:
    """Serve `misp`."""
    with serving(misp.answer) as server:
        yield server


def access(server: Server, **more: Any) -> Access:
    """How the server is reached: nobody waits."""
    settings: dict[str, Any] = {"credentials": Credentials(KEY), "limits": _LIMITS, "sleep": lambda _: None, **more}
    return Access(f"misp+{server.url}", **settings)


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode())
