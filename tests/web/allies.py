"""Two whole teams, each with a workspace: cards compared, agreements signed, accounts at each other's servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aleat import Workspace
from aleat.exchange.access import Access, Credentials
from aleat.trust.agreements import fingerprint
from aleat.web import WebLimits
from aleat.workspace.accounts import make_token
from tests.exchange.teams import AGREEMENT
from tests.web.conftest import NORTH, SOUTH, running

__all__ = ["LIMITS", "Pair", "make_pair", "serving"]

LIMITS = WebLimits(page_objects=50, requests=1e6, burst=10**6)


@dataclass
class Pair:
    """North and south, and the token by which each comes to the other's server."""

    north: Workspace
    south: Workspace
    tokens: dict[str, str]

    def at(self, url: str, who: str) -> Access:
        """How `who` reaches the other's server; nothing waits."""
        return Access(url, Credentials(self.tokens[who]), sleep=lambda _: None)


class Clock:
    """A clock that moves a second with each look."""

    def __init__(self) -> None:
        self.time = datetime(2022, 9, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        self.time += timedelta(seconds=1)
        return self.time


def make_pair(folder: Path, databases: Mapping[str, str] | None = None) -> Pair:
    """Make two teams that know each other; `databases` are URLs by a team's name, where it has one."""
    clock = Clock()
    teams = {}
    for name, identity in (("north", NORTH), ("south", SOUTH)):
        teams[name] = Workspace.init(
            folder / name,
            organisation=name.title(),
            identity=identity,
            actor="ana",
            key_folder=folder / f"{name}-keys",
            clock=clock,
            database=(databases or {}).get(name),
        )
        (folder / f"{name}.card").write_bytes(teams[name].export_card())
    (folder / "agreement.toml").write_text(AGREEMENT.format(*sorted((NORTH, SOUTH))))
    tokens = {"north": make_token(), "south": make_token()}
    for name, other in (("north", "south"), ("south", "north")):
        teams[name].add_ally(folder / f"{other}.card", compared=fingerprint(teams[other].card()))
        teams[name].add_agreement(folder / "agreement.toml")
        teams[name].add_account(other, other, push=True, token=tokens[other])
    return Pair(teams["north"], teams["south"], tokens)


@contextmanager
def serving(ws: Workspace) -> Iterator[str]:
    """Run the server of a workspace; yield its URL."""
    with running(ws, LIMITS) as url:
        yield url
