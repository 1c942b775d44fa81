"""The server of a workspace whose database is PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from taxii2client.common import TokenAuth
from taxii2client.v21 import Server, as_pages

from aleat import Workspace
from aleat.workspace.accounts import make_token
from tests.exchange.malware import malware
from tests.exchange.teams import START, indicator
from tests.postgres import PostgresServer
from tests.web import test_mailbox, test_post, test_post_broken
from tests.web.allies import make_pair
from tests.web.conftest import NORTH, SOUTH, Served, befriend, running, take_in
from tests.web.test_clients import Ingestion


@pytest.mark.long
def test_a_server_on_postgresql(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Pages, filters, a push, and a hold that counts at once."""
    with (
        postgres_server.schema() as url,
        Workspace.init(
            tmp_path / "case",
            organisation="North",
            identity=NORTH,
            actor="ana",
            key_folder=tmp_path / "keys",
            clock=lambda: START,
            database=url,
        ) as ws,
    ):
        befriend(ws, "south", SOUTH)
        token = make_token()
        account = ws.add_account("south", "south", push=True, token=token)
        take_in(ws, [indicator(number, NORTH, "green") for number in range(10)])
        with running(ws) as there:
            served = Served(ws, there, account, account, {"south": token})
            first = served.ask(f"{served.collection()}objects/?limit=4")
            rest = served.ids(f"next={first.json['next']}")
            assert len(first.json["objects"]) + len(rest) == 11
            assert served.ids(f"added_after={first.headers['x-taxii-date-added-last']}") == rest
            assert "same" in ws.preview_release("south").changes.values()  # what was fetched counts as had
            assert served.push(malware(1)).json["success_count"] == 1
            assert served.ids("match[type]=malware") == [malware(1).id]
            ws.hold([indicator(1, NORTH).id], "legal-hold", "a court asked for it")
            assert len(served.ids()) == 11
            taken = served.ask(f"{served.collection()}objects/{malware(1).id}/", "DELETE")
            assert (taken.status, served.ids("match[type]=malware")) == (200, [])
            ingestion = Ingestion(served, 3)
            assert ingestion.walk() == served.ids()
            server = Server(served.url, auth=TokenAuth(key=token))
            found = as_pages(server.default.collections[0].get_objects, per_request=3)
            assert [one["id"] for page in found for one in page["objects"]] == served.ids()
            server.close()
        assert not ws.verify().faults


BEHAVIOURS: tuple[tuple[Callable[..., None], tuple[Any, ...]], ...] = (
    (test_post.test_aid_over_two_servers, ()),
    (test_post.test_a_large_file_goes_in_pieces, ("fetched",)),
    (test_mailbox.test_a_letter_waits_and_is_fetched, ()),
    (test_mailbox.test_a_pushed_letter_is_opened_at_once_and_once, ()),
    (test_post_broken.test_killed_anywhere_nothing_is_lost_or_doubled, ("fetched",)),
    (test_post_broken.test_killed_anywhere_nothing_is_lost_or_doubled, ("pushed",)),
    (test_post_broken.test_both_push_at_once, ()),
    (test_post_broken.test_a_pushed_withdrawal_counts_at_once, ()),
    (test_post_broken.test_what_may_no_longer_leave_stays_in_the_box, ()),
    (test_post_broken.test_a_letter_of_another_ally_is_refused, ()),
    (test_post_broken.test_a_replay_under_another_id_changes_nothing, ()),
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("behaves", "more"), BEHAVIOURS, ids=lambda one: one.__name__ if callable(one) else "-".join(one)
)
def test_the_post_on_postgresql(
    behaves: Callable[..., None], more: tuple[Any, ...], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The post box does the same with both teams' workspaces on PostgreSQL."""
    with postgres_server.schema() as north, postgres_server.schema() as south:
        pair = make_pair(tmp_path, {"north": north, "south": south})
        try:
            if behaves.__module__ == test_post_broken.__name__:
                take_in(pair.north, [indicator(number, NORTH, "green") for number in range(3)])
            behaves(pair, *more)
        finally:
            pair.north.close()
            pair.south.close()
