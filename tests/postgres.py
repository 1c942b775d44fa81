"""A PostgreSQL server of the tests' own: a temporary cluster on a Unix socket, gone with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

__all__ = ["PostgresServer", "find_binaries", "running"]

_SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=16MB")


class PostgresServer:
    """A running server; each `schema` is an empty place for one workspace."""

    def __init__(self, socket_folder: str) -> None:
        self._socket = socket_folder
        self._numbers = count()

    def url(self, schema: str = "public") -> str:
        """Return the URL of a schema."""
        return f"postgresql+psycopg://postgres@/postgres?host={self._socket}&options=-csearch_path%3D{schema}"

    @contextmanager
    def schema(self) -> Iterator[str]:
        """Make a schema; yield its URL, and drop it afterwards with all that is in it."""
        name = f"case_{next(self._numbers)}"
        self._run(f"CREATE SCHEMA {name}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP SCHEMA {name} CASCADE")

    def _run(self, statement: str) -> None:
        engine = sa.create_engine(self.url())
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


def find_binaries() -> Path | None:
    """Return the folder of PostgreSQL's server programs, or None where they aren't installed."""
    found = [Path(path).resolve() for name in ("postgres", "pg_ctl") if (path := shutil.which(name))]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)
    return next((path.parent for path in found if (path.parent / "initdb").exists()), None)


@contextmanager
def running(binaries: Path) -> Iterator[PostgresServer]:
    """Run a server as another user where we are root (it refuses to run as that)."""
    folder = Path(tempfile.mkdtemp(prefix="aleat-pg-"))
    who: dict[str, Any] = {}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
    try:
        subprocess.run(
            [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **who,
        )
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", "-k", folder, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=folder,
            **who,
        )
        try:
            assert server.stderr is not None
            _until_ready(server.stderr)
            yield PostgresServer(str(folder))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _until_ready(stream: IO[bytes]) -> None:
    said: list[bytes] = []
    for text in stream:
        said.append(text)
        if b"ready to accept connections" in text:
            threading.Thread(target=_drain, args=(stream,), daemon=True).start()
            return
    raise AssertionError(b"".join(said).decode(errors="replace"))


def _drain(stream: IO[bytes]) -> None:
    with suppress(ValueError), stream:
        for _ in stream:
            pass
