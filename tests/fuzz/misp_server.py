"""The target "misp-server": what a MISP server answers to a push, sound and damaged, through PyMISP itself.

An input is three answers (what is there, to what is sent, what is there afterwards), each a status and a body. Held
against: a plan and what became of it, or a refusal by name; what is sent is ours, or the end of what was ours, and
newer than what is there; nothing of an answer is shown unbounded or unprintable.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import orjson

from aleat.errors import Issue, RemoteError
from aleat.exchange.http_client import Answer
from aleat.exchange.misp_places import MispPlace
from aleat.exchange.misp_push import EventPlan, plan_event, push_event
from aleat.exchange.misp_session import MispAccount, MispSession
from aleat.exchange.misp_sightings import SightingRow, new_sightings, push_sightings
from aleat.knowledge.misp.fields import objects_in
from aleat.text import visible
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["MispServerTarget"]

_URL = "https://misp.example.org/"
_EVENT, _FIRST, _SECOND, _OLD = (f"0a1eca70-0000-4000-8000-00000000000{n}" for n in range(4))
_OURS = "0a1eca70-0000-4000-8000-000000000777"
_TOKENS = ('"Event":', '"Attribute":', '"deleted":true', "[[[[", "{}", "null", ",", '"errors":', '"\\ud800"', "1e999")
_ODD: tuple[Any, ...] = (None, 7, "", "x", [], {}, [1], True, "99999999999999999999", -1, {"0": {"uuid": _FIRST}})
_FIXED = {
    "servers/getPyMISPVersion.json": {"version": "2.5.17"},
    "servers/getVersion": {"version": "2.5.17"},
    "users/view/me": {"User": {"id": "1", "org_id": "7"}, "Role": {"perm_add": True}, "UserSetting": {}},
    "attributes/describeTypes.json": {
        "result": {"types": [], "categories": [], "category_type_mappings": {}, "sane_defaults": {}}
    },
}
_ACCOUNT = MispAccount("7", _OURS, "Us", True, True, True, True, False)


def _attribute(uuid: str, value: str, time: int, **more: Any) -> dict[str, Any]:
    row = {"uuid": uuid, "type": "domain", "category": "Network activity", "value": value, "to_ids": True}
    return {**row, "timestamp": str(time), "comment": "", "distribution": "5", "Tag": [], **more}


def _ours() -> dict[str, Any]:
    return {
        "uuid": _EVENT,
        "info": "Ours",
        "date": "2022-07-15",
        "timestamp": "1657872000",
        "distribution": "1",
        "published": False,
        "Tag": [{"name": "tlp:green"}],
        "Attribute": [_attribute(_FIRST, "a.example", 1657872000), _attribute(_SECOND, "b.example", 1657872000)],
        "Object": [],
        "EventReport": [],
    }


class _Http:
    """Answers one after the other; what PyMISP asks for when it connects is always sound."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.sent: list[Any] = []

    def request(self, _method: str, url: str, *, content: bytes | None = None, **_: Any) -> Answer:
        """Return the next answer; the last one for ever."""
        path = url.removeprefix(_URL)
        if path in _FIXED:
            return Answer(200, {}, orjson.dumps(_FIXED[path]), url)
        self.sent.append(orjson.loads(content) if content else None)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class MispServerTarget:
    """See the module."""

    name = "misp-server"
    limit = 3.0

    def __init__(self) -> None:
        self._http = _Http()
        self._session = MispSession(_URL, "key", self._http)  # type: ignore[arg-type]

    def make(self, rng: random.Random) -> bytes:
        """Return three answers, most of them an event."""
        return b"\n--\n".join(_answer(rng) for _ in range(3))

    def check(self, data: bytes) -> None:
        """Plan and push an event of ours, and a sighting of theirs."""
        answers = [part.partition(b"\n") for part in data.split(b"\n--\n")]
        replies = [Answer(_status(status), {}, body, _URL) for status, _, body in answers]
        plan = self._or_refused(replies, lambda: plan_event(self._session, _ACCOUNT, _EVENT, _ours(), {_OLD: "x"}))
        if isinstance(plan, EventPlan):
            _check_plan(plan)
            pushed = self._or_refused(replies[1:] or replies, lambda: push_event(self._session, plan, publish=True))
            _check_issues(getattr(pushed, "issues", ()))
            for row in getattr(pushed, "refused", ()):
                assert len(row.reason) < 400
                assert visible(row.reason) == row.reason
        rows = [SightingRow(MispPlace(_EVENT, _FIRST), "0", 1657872000, "Aleat", "indicator--x")]
        found = self._or_refused(replies, lambda: new_sightings(self._session, _ACCOUNT, rows, {}))
        _check_issues(found[1].issues if isinstance(found, tuple) else ())
        done = self._or_refused(replies, lambda: list(push_sightings(self._session, rows)))
        for one in done if isinstance(done, list) else ():
            assert one.added + one.refused == 1
            _check_issues(one.issues)

    def _or_refused(self, replies: list[Answer], act: Any) -> Any:
        self._http.answers = list(replies)
        try:
            return act()
        except RemoteError:
            return None


def _check_plan(plan: EventPlan) -> None:
    """Hold what would be sent against what is ours."""
    if plan.body is None:
        return
    orjson.dumps(plan.body)
    ours = {row["uuid"]: row for row in _ours()["Attribute"]}
    for name in ("Attribute", "Object", "EventReport"):
        for row in objects_in(plan.body.get(name))[0]:
            if row["uuid"] in ours:
                assert {key: row[key] for key in ("value", "type")} == {
                    key: ours[row["uuid"]][key] for key in ("value", "type")
                }
            else:
                assert row == {"uuid": _OLD, "deleted": True, "timestamp": row["timestamp"]}


def _check_issues(issues: tuple[Issue, ...]) -> None:
    for issue in issues:
        assert len(issue.reason) < 600
        assert visible(issue.reason) == issue.reason


def _status(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) == 3 else 200


def _answer(rng: random.Random) -> bytes:
    status = rng.choice((200, 200, 200, 200, 404, 403, 405, 500))
    event = _ours() | {"orgc_id": rng.choice(("7", "8", 7)), "Orgc": {"uuid": rng.choice((_OURS, _OLD))}}
    event["timestamp"] = rng.choice(("1657872000", "1757872000", 5, "x"))
    event["Attribute"] += [_attribute(_OLD, "old.example", 1657872000, deleted=rng.random() < 0.3)]
    sighting = {"type": "0", "date_sighting": "1657872000", "org_id": rng.choice(("7", 8))}
    event["Attribute"][0]["Sighting"] = rng.choice(([], [sighting], sighting))
    rng.shuffle(event["Attribute"])
    _disturb(event, rng)
    body: Any = rng.choice(
        (
            {"Event": event},
            {"Event": event},
            {"Event": event, "errors": {"Attribute": {"0": {"value": ["no\x1b[31m"]}}}},
            {"response": {"Event": event}},
            {"name": "Could not edit Event", "errors": {"Attribute": [{"value": ["x" * 2_000]}]}},
            {"message": "Could not add the Sighting. Reason: no"},
            {"Sighting": sighting},
            [event],
            rng.choice(_ODD),
        )
    )
    text = json.dumps(body)
    if rng.random() < 0.25:
        text = mutate_text(text, rng, _TOKENS)
    data = text.encode("utf-8", "replace")
    data = mutate_bytes(data, rng) if rng.random() < 0.15 else data
    return str(status).encode() + b"\n" + data.replace(b"\n--\n", b"")


def _disturb(event: dict[str, Any], rng: random.Random) -> None:
    """Put odd values where MISP has none."""
    for target in (event, *event["Attribute"]):
        for key in list(target):
            if rng.random() < 0.06 and isinstance(target, Mapping):
                target[key] = rng.choice(_ODD)
