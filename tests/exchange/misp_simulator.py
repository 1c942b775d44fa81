"""A MISP server on loopback: the REST paths that PyMISP calls, answered as MISP 2.5 does, and as no MISP answers.

Modelled on MISP's code: `EventsController::add` and `edit`, `Event::_add` and `_edit`, `SightingsController::add`,
`RestResponseComponent` (errors are 403 with ``name``, ``message``, ``url``, ``errors``), `Sighting::saveSightings`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aleat.exchange.access import Access, Credentials, RemoteLimits
from tests.exchange.http_double import Reply, Request, Server, serving

__all__ = ["GROUP", "KEY", "OUR_ORG", "Misp", "access", "running"]

KEY = "a-key-that-nobody-may-see-0123456789ABCDE"
_LIMITS = RemoteLimits(
    page_objects=3, page_bytes=200_000, pages=50, objects=100, empty_pages=3, attempts=2, seconds=20, request_seconds=5
)

OUR_ORG = {"id": "7", "uuid": "0a1eca70-0000-4000-8000-000000000777", "name": "Team North"}
"""Our account's organisation at the server."""

GROUP = {"id": "5", "uuid": "0a1eca70-0000-4000-8000-000000000555", "name": "North and south", "active": True}

_TYPES = {"types": [], "categories": [], "category_type_mappings": {}, "sane_defaults": {}}
_FIXED: dict[str, Any] = {
    "servers/getPyMISPVersion.json": {"version": "2.5.17"},
    "servers/getVersion": {"version": "2.5.17"},
    "attributes/describeTypes.json": {"result": _TYPES},
}
"""What PyMISP asks for when it connects."""

_VALUES = {
    "domain": r"[^\s.]+(?:\.[^\s.]+)+",
    "ip-dst": r"[0-9a-fA-F.:/]+",
    "md5": r"[0-9a-fA-F]{32}",
    "sha256": r"[0-9a-fA-F]{64}",
    "url": r"[a-z]+://.+",
}
_MEMBERS = ("Attribute", "Object", "EventReport")
_NOT_NEWER = "Event could not be saved: Event in the request not newer than the local copy."
_NOT_OURS = (
    "Event could not be saved: The user used to edit the event is not authorised to do so. This can be caused by the "
    "user not being of the same organisation as the original creator of the event whilst also not being a site "
    "administrator."
)


@dataclass
class Misp:
    """The server's events (bodies, as MISP exports them) by UUID; `wrong` answers a request instead, where it does."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: Callable[[Request], Reply | None] = lambda _request: None
    searches: list[dict[str, Any]] = field(default_factory=list)
    role: dict[str, bool] = field(
        default_factory=lambda: {"perm_add": True, "perm_tagger": True, "perm_publish": True, "perm_sync": False}
    )
    groups: list[dict[str, Any]] = field(default_factory=lambda: [GROUP])
    bodies: list[bytes] = field(default_factory=list)
    """What was sent to it, request by request."""
    server: Server | None = None
    """Where it runs, if it does."""
    dies_after: int = -1
    """After how many writes (that are done) it answers nothing any more: -1 never."""

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        self.bodies.append(request.path.encode() + b"\n" + request.body)
        found = self.wrong(request)
        if found is not None:
            return found
        if request.headers.get("authorization") != KEY:
            return _json({"name": "Authentication failed.", "message": "No."}, 403)
        path = request.path.strip("/")
        body = json.loads(request.body) if request.body else {}
        user = {"id": "1", "email": "us@example.org", "org_id": OUR_ORG["id"]}
        fixed = _FIXED | {
            "users/view/me": {"User": user, "Role": {"id": "1", **self.role}, "UserSetting": {}},
            f"organisations/view/{OUR_ORG['id']}": {"Organisation": OUR_ORG},
            "sharingGroups/index": {
                "response": [{"SharingGroup": group, "SharingGroupOrg": []} for group in self.groups]
            },
        }
        if path in fixed:
            return _json(fixed[path])
        if path == "events/restSearch":
            return self._search(body)
        if path.startswith(("events/add", "events/edit/", "events/publish/", "sightings/add/")):
            return self._write(path, body)
        return self._view(path.removeprefix("events/view/"), bool(body.get("deleted")))

    def sent(self, path: str) -> int:
        """How many requests went to a path."""
        return sum(body.startswith(f"/{path}".encode()) for body in self.bodies)

    def attributes(self) -> list[dict[str, Any]]:
        """All attributes, those of objects and deleted ones too."""
        found = [row for event in self.events.values() for row in event.get("Attribute", ())]
        objects = [item for event in self.events.values() for item in event.get("Object", ())]
        return [*found, *(row for item in objects for row in item.get("Attribute", ()))]

    def _write(self, path: str, body: dict[str, Any]) -> Reply:
        if self.dies_after == 0:
            return Reply(200, {}, b"", length=1_000)  # the connection breaks
        what, _, id_ = path.partition("/")[2].partition("/")
        if path.startswith("sightings"):
            reply = self._sight(id_, body)
        else:
            reply = {"add": self._add, "edit": self._edit, "publish": self._publish}[what](id_, body.get("Event", body))
        self.dies_after -= 1
        if self.dies_after == 0:
            return Reply(200, {}, b"", length=1_000)
        return reply

    def _view(self, id_: str, deleted: bool) -> Reply:
        event = self.events.get(id_)
        if event is None:
            return _json({"name": "Invalid event", "message": "Invalid event", "url": f"/events/view/{id_}"}, 404)
        shown = copy.deepcopy(event)
        for name in _MEMBERS if not deleted else ():
            if name in shown:
                shown[name] = [row for row in shown[name] if not row.get("deleted")]
        return _json({"Event": shown})

    def _add(self, _: str, event: dict[str, Any]) -> Reply:
        if not self.role["perm_add"]:
            return _json({"name": "You don't have permissions to create events", "url": "/events/add"}, 403)
        uuid = event["uuid"]
        if uuid in self.events:
            words = "Event already exists, if you would like to edit it, use the url in the location header."
            return _json({"name": words, "message": words, "url": "/events/add"}, 404)
        if event.get("distribution") == "4" and event.get("sharing_group_id") not in {g["id"] for g in self.groups}:
            return _json({"name": "Invalid Sharing Group or not authorised.", "url": "/events/add"}, 405)
        if not event.get("info"):
            return _failed("add", {"Event": {"info": ["Info cannot be empty."]}})
        made = {key: value for key, value in event.items() if key not in {"Tag", "Galaxy", *_MEMBERS}}
        if not self.role["perm_sync"] or "Orgc" not in made:
            made["Orgc"] = OUR_ORG
        made |= {"id": str(len(self.events) + 1), "orgc_id": OUR_ORG["id"] if made["Orgc"] == OUR_ORG else "9"}
        made |= {"org_id": OUR_ORG["id"], "published": False, "locked": made["Orgc"] != OUR_ORG}
        made.setdefault("timestamp", "1663675200")
        made["Tag"] = copy.deepcopy(event.get("Tag", [])) if self.role["perm_tagger"] else []
        seen: set[tuple[str, str, str]] = set()
        made["Attribute"] = []
        for row in event.get("Attribute", ()):
            key = (row["value"], row["type"], row["category"])
            if key not in seen and self._valid(row) and not self._elsewhere(row["uuid"]):
                made["Attribute"].append(self._attribute(row))
            seen.add(key)
        for name in _MEMBERS[1:]:
            made[name] = copy.deepcopy(event.get(name, []))
        self.events[uuid] = made
        return _json({"Event": made})

    def _edit(self, id_: str, event: dict[str, Any]) -> Reply:
        there = self.events.get(event.get("uuid", id_))
        if there is None:
            return _failed("edit", "Event could not be saved: Could not find the local event.")
        event = {"timestamp": str(int(there["timestamp"]) + 1), **event}  # without one MISP takes the time
        if int(event["timestamp"]) <= int(there["timestamp"]):
            return _failed("edit", _NOT_NEWER)
        if there["Orgc"] != OUR_ORG and not (self.role["perm_sync"] and there.get("locked")):
            return _failed("edit", _NOT_OURS)
        there |= {key: value for key, value in event.items() if key not in {"Tag", "Galaxy", "Orgc", *_MEMBERS}}
        there["published"] = False
        if self.role["perm_tagger"]:
            there["Tag"] += [tag for tag in event.get("Tag", ()) if tag not in there["Tag"]]
        errors = []
        for name in _MEMBERS:
            for row in event.get(name, ()):
                fault = self._edit_member(there, name, row)
                errors += [fault] if fault else []
        return _failed("edit", {"Attribute": errors}) if errors else _json({"Event": there})

    def _edit_member(self, there: dict[str, Any], name: str, row: dict[str, Any]) -> Any:
        held = next((one for one in there.get(name, ()) if one["uuid"] == row["uuid"]), None)
        if name == "Attribute" and not self._valid({**(held or {}), **row}):
            return {"value": ["Value is not valid for this type."]}
        if held is None:
            if not self._elsewhere(row["uuid"]):  # "blocked from being saved due to a duplicate UUID": the log only
                there.setdefault(name, []).append(self._attribute(row) if name == "Attribute" else copy.deepcopy(row))
        elif int(row.get("timestamp", "0")) > int(held["timestamp"]):  # else it is passed over
            self._take_over(held, row, name)
        return None

    def _take_over(self, held: dict[str, Any], row: dict[str, Any], name: str) -> None:
        if name == "Object":
            self._edit_object(held, row)
            return
        tags = [*held.get("Tag", ()), *(tag for tag in row.get("Tag", ()) if tag not in held.get("Tag", ()))]
        held |= copy.deepcopy(row)
        held["Tag"] = tags

    def _edit_object(self, held: dict[str, Any], row: dict[str, Any]) -> None:
        """MISP keeps the attributes that the request doesn't mention."""
        inner = {one["uuid"]: one for one in held.get("Attribute", ())}
        for one in row.get("Attribute", ()):
            if one["uuid"] not in inner:
                inner[one["uuid"]] = self._attribute(one)
            elif int(one["timestamp"]) > int(inner[one["uuid"]]["timestamp"]):
                inner[one["uuid"]] |= copy.deepcopy(one)
        references = row.get("ObjectReference", held.get("ObjectReference", []))
        held |= {**row, "Attribute": list(inner.values()), "ObjectReference": copy.deepcopy(references)}

    def _publish(self, id_: str, _: dict[str, Any]) -> Reply:
        if not self.role["perm_publish"] or id_ not in self.events:
            return _json({"name": "You don't have the permission to do that.", "url": "/events/publish"}, 403)
        self.events[id_]["published"] = True
        return _json({"name": "Job queued", "message": "Job queued", "url": "/events/publish", "id": id_})

    def _sight(self, id_: str, body: dict[str, Any]) -> Reply:
        held = next((row for row in self.attributes() if row["uuid"] == id_ and not row.get("deleted")), None)
        if held is None:
            reason = "No valid attributes found that match the criteria."
            return _json({"message": f"Could not add the Sighting. Reason: {reason}"})
        if body["type"] not in {"0", "1", "2"}:
            return _json({"message": 'Could not add the Sighting. Reason: {"type":["Invalid type."]}'})
        row = {
            "id": str(len(self.bodies)),
            "org_id": OUR_ORG["id"],
            "date_sighting": str(body["timestamp"]),
            "type": body["type"],
            "source": body.get("source", ""),
            "Organisation": OUR_ORG,
        }
        if body["type"] == "2":
            held["Sighting"] = [one for one in held.get("Sighting", ()) if one["type"] != "2"]
        held.setdefault("Sighting", []).append(row)
        return _json({"Sighting": row})

    def _attribute(self, row: dict[str, Any]) -> dict[str, Any]:
        made = {"timestamp": "1663675200", **copy.deepcopy(row)}
        if not self.role["perm_tagger"]:
            made.pop("Tag", None)
        return made

    def _valid(self, row: dict[str, Any]) -> bool:
        pattern = _VALUES.get(row.get("type", ""), ".+")
        return re.fullmatch(pattern, row.get("value", ""), re.DOTALL) is not None

    def _elsewhere(self, uuid: str) -> bool:
        return any(row["uuid"] == uuid for row in self.attributes())

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


def _failed(action: str, errors: object) -> Reply:
    """MISP's `saveFailResponse`."""
    name = f"Could not {action} Event"
    return _json({"saved": False, "name": name, "message": name, "url": f"/events/{action}", "errors": errors}, 403)
