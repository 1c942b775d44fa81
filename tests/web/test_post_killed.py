"""kill -9 at a server that takes letters in: what was sealed arrives, once, after it was started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import AleatError
from aleat.store.post import read_post
from tests.cli.command import environment
from tests.web.allies import Pair, make_pair
from tests.web.conftest import take_in
from tests.web.test_post import large
from tests.web.test_post_broken import messages

pytestmark = [pytest.mark.long, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

KILLS = 6


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """South's server in a process of its own; yield its URL, and end it whatever became of it."""
    command = [sys.executable, "-m", "aleat", "serve", "--port", "0", "-w", str(folder / "south")]
    process = subprocess.Popen(
        command, env=environment(folder / "south-keys", ALEAT_ACTOR="ana"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "Serving at " in said
        yield said.split()[2].rstrip("."), process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)


def push(pair: Pair, url: str) -> None:
    """North pushes what waits; the server may end meanwhile."""
    with (
        suppress(AleatError),
        Workspace.open(
            pair.north.folder, actor="ana", key_folder=pair.north.key_folder, clock=pair.north._clock
        ) as own,
    ):
        own.push(pair.at(url, "north"), to="south", only="post")


def waiting(ws: Workspace) -> int:
    """How many letters wait in a team's post box."""
    with ws.read() as connection:
        return len(list(read_post(connection, waiting=True)))


def test_a_server_killed_while_it_takes_letters_in(tmp_path: Path) -> None:
    """Small letters and pieces of a large one, at moments by chance: each message is there once, ledgers fit."""
    pair = make_pair(tmp_path)
    chance = random.Random(4)  # noqa: S311
    take_in(pair.north, [large(number) for number in range(8)])
    span, caught = 0.0, []
    try:
        for number in range(KILLS + 1):
            for part in "ab":
                pair.north.ask("south", None, title=f"{number}{part}", impact="Down", needs=["rules"])
            pair.north.release("south", None)
            before = waiting(pair.north)
            with served(tmp_path) as (url, process):
                pushing = threading.Thread(target=push, args=(pair, url))
                began = time.monotonic()
                pushing.start()
                if span:
                    pushing.join(chance.uniform(0.2, 1.0) * span)
                    process.send_signal(signal.SIGKILL)
                pushing.join(60)
                span = span or time.monotonic() - began
            caught.append((before, waiting(pair.north)))
        with served(tmp_path) as (url, _):
            push(pair, url)
        assert caught[0] == (4, 0), "nobody killed the first"
        assert any(0 < left < there for there, left in caught), caught
        assert waiting(pair.north) == 0
        assert messages(pair.south) == messages(pair.north)
        assert messages(pair.south).count("Delivery") == KILLS + 1
        assert pair.south.mail() == ()
        assert pair.south.knowledge().types["indicator"] == 8
        for ws in (pair.north, pair.south):
            assert ws.verify().faults == ()
    finally:
        pair.north.close()
        pair.south.close()
