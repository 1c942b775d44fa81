"""Each check of the server, taken out alone, is seen: what is pushed, what is on a shelf, which page, who asks."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from aleat.errors import AleatError, InputError, NotPermittedError, Place
from aleat.knowledge import KnowledgeItem
from aleat.stix import StixObject, make_object
from aleat.store.allies import add_agreement, read_agreements
from aleat.store.ledger import export_ledger
from aleat.store.shelves import ShelfQuery, ShelfRow
from aleat.trust.markings import marking_id
from aleat.web import access
from aleat.web.access import Gatekeeper, WebLimits
from aleat.web.messages import RequestError
from aleat.workspace import judging, pushed, sharing
from aleat.workspace.accounts import Account, make_token
from tests.leaks.ground import NOW, OURS, Ground, identity
from tests.mutants import Mutant, mutants_of
from tests.release.world import CREATED, oid

GIVER, NORTH, THIRD = identity("giver"), identity("north"), identity("third")
Scenario = Callable[[Ground], None]


def item(name: str, by: str | None, *labels: str, version: int = 0, **more: Any) -> StixObject:
    """A version of a piece of malware."""
    properties = {"name": name, "is_family": True, **more}
    marks = [marking_id(f"tlp:{label}") for label in labels]
    id_ = properties.pop("id", oid("malware", name))
    modified = CREATED + timedelta(days=version)
    return make_object(
        "malware", id_, created=CREATED, modified=modified, created_by_ref=by, markings=marks, **properties
    )


def account(**changes: Any) -> Account:
    """North's account."""
    return Account(**{"name": "north", "ally": NORTH, "collection": "x", "push": True, **changes})


def row(had: StixObject) -> ShelfRow:
    """What north may fetch."""
    return ShelfRow(1, had.id, had.version, 0, had.raw)


# ---------------------------------------------------------------------------------- what is pushed


def check_pushed(ground: Ground) -> None:
    """What comes in, and what doesn't, by who made it and what the pusher had."""
    ours, nobodys, theirs = item("a", OURS, "green"), item("b", None, "amber"), item("c", NORTH, "green")
    team = make_object("identity", THIRD, created=CREATED, name="Third", markings=[marking_id("tlp:green")])
    later = make_object("identity", THIRD, created=CREATED, modified=NOW, name="Other")
    us = make_object("identity", OURS, created=CREATED, name="Us")
    relays = account(relay=True)
    taken: list[tuple[StixObject, StixObject | None, Account]] = [
        (ours, ours, account()),
        (item("d", NORTH), None, account()),
        (item("d", None), None, account()),
        (item("d", THIRD), None, relays),
        (item("c", NORTH, "green", version=1), theirs, account()),
        (item("c", NORTH, version=1), theirs, account()),
        (item("b", None, "amber", version=1), nobodys, account()),
        (item("b", None, "red", version=1), nobodys, account()),
    ]
    refused: list[tuple[StixObject, StixObject | None, Account]] = [
        (item("d", THIRD), None, account()),
        (item("d", OURS), None, account()),
        (item("d", OURS), None, relays),
        (us, None, relays),
        (item("c", NORTH, "green", description="x"), theirs, account()),
        (item("a", NORTH, "green", version=1), ours, account()),
        (item("a", NORTH, "green", version=1), ours, relays),
        (item("b", None, "green", version=1), nobodys, account()),
        (item("b", None, version=1), nobodys, account()),
        (later, team, relays),
        (make_object("bundle", f"bundle--{NORTH[-36:]}", objects=[]), None, account()),
    ]
    for one, had, by in taken:
        pushed._check(one, row(had) if had else None, by, OURS)
    for one, had, by in refused:
        with pytest.raises(pushed._RefusedError):
            pushed._check(one, row(had) if had else None, by, OURS)


def check_envelopes(ground: Ground) -> None:
    """What is no envelope, holds nothing, or too much; one id twice with two contents."""
    for body in (b"x", b'{"objects": []}', b'{"objects": 7}', json.dumps({"objects": [1] * 10_001}).encode()):
        with pytest.raises(InputError):
            pushed._members(body)
    assert len(pushed._members(b'{"objects": [1, 2]}')) == 2
    with ground.serving() as server:
        twice = server.push("north", item("d", NORTH, "green"), item("d", NORTH, "green", description="other"))
        assert (twice.json["success_count"], twice.json["failure_count"]) == (1, 1)
        same = server.push("north", item("e", NORTH, "green"), item("e", NORTH, "green"))
        assert same.json["failure_count"] == 0
        assert server.push("north", {"type": "malware"}).json["failure_count"] == 1


def check_rights_of_accounts(ground: Ground) -> None:
    """Who may not push may neither push nor delete; what others gave is theirs to delete."""
    ground.know([item("a", OURS, "green")])
    with ground.serving() as server:
        mine = ground.accounts["north"]
        quiet = account(collection=mine.collection, push=False)
        body = json.dumps({"objects": [json.loads(item("d", NORTH, "green").raw)]}).encode()
        with pytest.raises(NotPermittedError):
            server.sharing.push(quiet, body)
        assert server.sharing.push(mine, body).success_count == 1
        with pytest.raises(NotPermittedError):
            server.sharing.take_back(quiet, oid("malware", "d"))
        with pytest.raises(NotPermittedError):
            server.sharing.take_back(mine, oid("malware", "a"))
        assert not server.sharing.take_back(mine, oid("malware", "a"), [1])
        assert not server.sharing.take_back(mine, oid("malware", "nothing"))
        assert server.sharing.take_back(mine, oid("malware", "d"))


# ------------------------------------------------------------------------------ what is on a shelf


def check_shelves(ground: Ground) -> None:
    """What can't carry its label is on no shelf; what was taken back goes; what needs no label is there."""
    beside = item("beside", GIVER)
    ground.know([item("ours", OURS)])
    regretted, green = item("regretted", NORTH, "green"), (marking_id("tlp:green"),)
    ground.know([item("labelled", GIVER, "green"), item("parts", GIVER, "clear"), regretted], GIVER)
    ground.know([KnowledgeItem(object=beside, place=Place("t"), markings=green)], GIVER)
    ground.know([KnowledgeItem(object=item("back", NORTH), place=Place("t"), markings=green)], NORTH)
    with ground.serving() as server:
        assert server.push("north", item("returned", NORTH), regretted).json["failure_count"] == 0
        gone = server.ask("north", server.path("north", f"objects/{oid('malware', 'regretted')}/"), "DELETE")
        assert gone.status == 200
        here = {one for one in server.ids("north") if one.startswith("malware--")}
    assert here == {oid("malware", name) for name in ("labelled", "parts", "ours", "returned", "back")}
    assert beside.id in {one.object for one in ground.ws.preview("north").decisions if one.allow}


# --------------------------------------------------------------------------------------- which page


def check_pages(ground: Ground) -> None:
    """No page of a shelf that was judged on other terms; none for one person's account where two are wanted."""
    ground.know([item("a", OURS, "green"), item("b", OURS, "green")])
    with ground.serving() as server:
        mine, shared = ground.accounts["north"], server.sharing
        with ground.ws.read() as connection:
            before = sum(1 for _ in export_ledger(connection, "exchange"))
        assert len(shared.page(mine, ShelfQuery(), facts={"asked": "objects"}).rows) > 2
        with ground.ws.read() as connection:
            assert sum(1 for _ in export_ledger(connection, "exchange")) == before + 1
        ground.ws.hold([oid("malware", "a")], "legal-hold", "a court asked for it")
        shared._refresh = lambda _: None  # type: ignore[method-assign] # nobody judges anew
        with pytest.raises(AleatError):
            shared.page(mine, ShelfQuery())
    _want_two(ground)
    with ground.serving() as server:
        with pytest.raises(NotPermittedError):
            server.sharing.page(mine, ShelfQuery())
        both = account(collection=mine.collection, approved_by="eva")
        assert server.sharing.page(both, ShelfQuery()).rows
        assert server.sharing.page(ground.accounts["giver"], ShelfQuery()).rows


def _want_two(ground: Ground) -> None:
    with ground.ws.writing(), ground.ws.write() as connection:
        (found,) = [one for one in read_agreements(connection, ground.ws.key.public) if one.name == "with-north"]
        parties = json.dumps(list(found.parties))
        text = f"""
format = 1
name = "with-north"
version = 2
kind = "bilateral"
parties = {parties}
valid_from = 2022-09-01
valid_until = 2022-12-31
purposes = ["incident-response"]
two_people = true
[release]
labels = ["green"]
"""
        add_agreement(connection, text.encode(), **ground.ws._signing())


def check_tokens(ground: Ground) -> None:
    """A `next` of another ally's, one that was changed, or made up, is none; our own leads on."""
    with ground.serving() as server:
        mine, other = ground.accounts["north"], ground.accounts["bank"]
        token = server.sharing.token(mine, ShelfRow(7, "x", "", 8, b""))
        assert server.sharing.place_of(mine, token) == (7, 8)
        made_up = base64.urlsafe_b64encode(b"7.8").decode().rstrip("=")
        for by, said in ((other, token), (mine, token[:-2]), (mine, made_up), (mine, ""), (mine, "ë")):
            with pytest.raises(InputError):
                server.sharing.place_of(by, said)
        status = server.push("north", item("d", NORTH, "green")).json["id"]
        assert server.sharing.status(mine, status) is not None
        assert server.sharing.status(other, status) is None


# ------------------------------------------------------------------------------------------ who asks


@dataclass
class _Doors:
    """What a gatekeeper asks of the workspace."""

    ws: Any
    found: tuple[Account, ...]
    noted: list[Any]

    def accounts(self) -> tuple[Account, ...]:
        return self.found

    def record(self, *entry: Any) -> None:
        self.noted.append(entry)


TOKEN, PASSWORD, CERTIFICATE = make_token(), "a word that nobody guesses", "ab" * 32
_SHA = hashlib.sha256(TOKEN.encode()).hexdigest()
_ACCOUNTS = tuple(
    account(name=name, push=False, **{proof: said})
    for name, proof, said in (("t", "token", _SHA), ("p", "password", PASSWORD), ("c", "certificate", CERTIFICATE))
)


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def check_access(ground: Ground) -> None:
    """Each way to say who one is, right and wrong; who fails too often; who asks too much."""
    hashed: list[str] = []

    def check(one: Account | None, said: str) -> bool:  # argon2id is slow on purpose
        hashed.append(said)
        return one is not None and one.password != "" and one.password == said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "check_password", check)
        _check_access(ground, hashed)


def _check_access(ground: Ground, hashed: list[str]) -> None:
    seconds = [0.0]
    limits = WebLimits(failures=3, lock_seconds=60, burst=4, requests=1, daily_bytes=100, daily_objects=10)
    doors: Any = _Doors(ground.ws, _ACCOUNTS, [])
    keeper = Gatekeeper(doors, limits, lambda: seconds[0])

    def status(authorization: str = "", certificate: str = "", address: str = "192.0.2.1") -> int:
        try:
            keeper.admit(authorization, certificate, address)
        except RequestError as error:
            return error.status
        return 200

    assert [status(f"Bearer {TOKEN}"), status(f"Token {TOKEN}"), status("", CERTIFICATE)] == [200, 200, 200]
    assert [status(basic("p", PASSWORD)), status(basic("p", PASSWORD))] == [200, 200]
    assert hashed == [PASSWORD]
    assert {status("", address="192.0.2.7") for _ in range(20)} == {401}
    assert status(f"Bearer {TOKEN}", address="192.0.2.7") == 200
    seconds[0] += 10
    wrong = ["Bearer x", "Bearer ", f"Bearer {TOKEN * 60}", basic("t", TOKEN), basic("p", PASSWORD + "x"), "Digest x"]
    wrong += ["Basic !", "Basic " + base64.b64encode(b"p").decode(), basic("p" * 65, "x"), basic("p\x00", "x")]
    wrong += [
        basic("nobody", PASSWORD),
        basic("p", ""),
        basic("p", "x" * 2_000),
        f"Digest {basic('p', PASSWORD)[6:]}",
    ]
    for number, said in enumerate(wrong):
        assert status(said, address=f"192.0.2.{number + 10}") == 401, said
    assert hashed == [PASSWORD, TOKEN, PASSWORD + "x", PASSWORD, ""]
    assert status("", "cd" * 32, "192.0.2.90") == 401
    # Locked out for a name, and for all names, and for a while.
    for _ in range(3):
        assert status(basic("q", "x"), address="198.51.100.1") == 401
    assert status(basic("q", "x"), address="198.51.100.1") == 429
    assert status(basic("p", PASSWORD), address="198.51.100.1") == 200
    assert len(doors.noted) <= 1
    for number in range(15):
        status(basic(f"n{number}", "x"), address="198.51.100.2")
    assert status(basic("p", PASSWORD), address="198.51.100.2") == 429
    assert status(f"Bearer {TOKEN}", address="198.51.100.2") == 429
    assert status("", CERTIFICATE, "198.51.100.2") == 429
    seconds[0] += 61
    assert status(basic("p", PASSWORD), address="198.51.100.2") == 200
    # Turns: as many at once, and then one a second.
    seconds[0] += 100
    assert [status(f"Bearer {TOKEN}") for _ in range(5)] == [200, 200, 200, 200, 429]
    seconds[0] += 1
    assert [status(f"Bearer {TOKEN}") for _ in range(2)] == [200, 429]
    keeper.check_budget(_ACCOUNTS[0], 90)
    with pytest.raises(RequestError):
        keeper.check_budget(_ACCOUNTS[0], 20)
    keeper.note_pushed(_ACCOUNTS[0], 10)
    with pytest.raises(RequestError):
        keeper.check_budget(_ACCOUNTS[0], 1)
    # A password that was right is kept in mind for a while, and no longer than it is the account's.
    seconds[0] += 1_000
    hashed.clear()
    assert status(basic("p", PASSWORD), address="203.0.113.1") == 200
    doors.found = (account(name="p", push=False, password="another word"),)
    assert status(basic("p", PASSWORD), address="203.0.113.1") == 401
    doors.found = _ACCOUNTS
    seconds[0] += 301
    assert status(basic("p", PASSWORD), address="203.0.113.2") == 200
    assert hashed == [PASSWORD] * 3


CHECKS: list[tuple[Scenario, list[Mutant]]] = [
    (check_pushed, mutants_of(pushed, "_check")),
    (check_envelopes, mutants_of(pushed, "take_push", "_members")),
    (check_rights_of_accounts, mutants_of(sharing.Sharing, "push", "take_back")),
    (check_shelves, mutants_of(judging._Judged, "_travels")),
    (check_pages, mutants_of(sharing.Sharing, "page")),
    (check_access, mutants_of(Gatekeeper, "admit", "_find", "_is_right", "_check_lock", "_take")),
    (check_access, mutants_of(access, "_basic")),
]
SCENARIOS = [*dict.fromkeys(scenario for scenario, _ in CHECKS), check_tokens]
UNSEEN = {
    "_travels: part item is None": "it is asked only of what leaves",
    "_travels: part decision.form != 'as-is'": "what is ours bears its label by then: it spares looking",
    "_members: … if isinstance(error, AleatError)": "it chooses words",
    "_find: … if known": "no token is so long, nor empty: it spares looking",
}
"""Mutants that nobody can see, and why."""


def _name(one: Any) -> str:
    return str(one) if isinstance(one, Mutant) else str(one.__name__)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=_name)
def test_the_server_checks(ground: Ground, scenario: Scenario) -> None:
    """As it is, nothing is amiss."""
    scenario(ground)


@pytest.mark.long
@pytest.mark.parametrize(
    ("scenario", "mutant"), [(scenario, mutant) for scenario, found in CHECKS for mutant in found], ids=_name
)
def test_no_check_can_go_unseen(
    ground: Ground, scenario: Scenario, mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any one of them, what must not be is."""
    if str(mutant) in UNSEEN:
        pytest.skip(UNSEEN[str(mutant)])
    mutant.install(monkeypatch)
    assert _is_seen(ground, scenario)


def _is_seen(ground: Ground, scenario: Scenario) -> bool:
    """Whether anything goes otherwise: an answer, or an error where there was none."""
    try:
        scenario(ground)
    except (Exception, pytest.fail.Exception):
        return True
    return False


class _Loose:
    """A seal over tokens that doesn't bind them to an ally."""

    def __init__(self, secret: bytes) -> None:
        self.real = sharing_seal(secret)

    def encrypt(self, data: bytes, _: list[bytes]) -> bytes:
        return self.real.encrypt(data, [b"x"])

    def decrypt(self, data: bytes, _: list[bytes]) -> bytes:
        return self.real.decrypt(data, [b"x"])


sharing_seal = sharing.AESSIV


@pytest.mark.parametrize("missing", ["ally", "seal", "status"])
def test_no_token_of_another_ally_can_go_unseen(ground: Ground, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that are bound to nobody, or not sealed; a status that is anybody's."""
    if missing == "ally":
        monkeypatch.setattr(sharing, "AESSIV", _Loose)
    elif missing == "seal":
        opened = lambda _, __, token: tuple(map(int, base64.urlsafe_b64decode(token + "==").split(b".")))  # noqa: E731
        monkeypatch.setattr(sharing.Sharing, "place_of", opened)
    else:
        anybodys = sharing.read_status
        monkeypatch.setattr(sharing, "read_status", lambda connection, id_, _: anybodys(connection, id_, NORTH))
    assert _is_seen(ground, check_tokens)
