"""TAXII 2.1 servers for the benchmark, each a process of its own on loopback: ours, and Medallion."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aleat import Workspace

TYPE = "application/taxii+json;version=2.1"
PASSWORD = "a word between the two of us"  # noqa: S105 (of servers that end with the benchmark)
PAGE = 1_000


@dataclass(frozen=True)
class Door:
    """A collection on a running server, and who may use it; `made_by` stands in the objects pushed there."""

    server: str
    process: int
    url: str
    root: str
    user: str
    made_by: str


def befriend(ws: Workspace, folder: Path, name: str) -> None:
    """Make an ally's workspace, and an agreement with it."""
    keys = folder / f"{name}-keys"
    with Workspace.init(folder / name, organisation=name, actor="besa", key_folder=keys) as theirs:
        (folder / "card").write_bytes(theirs.export_card())
    ws.add_ally(folder / "card", compared=ws.add_ally(folder / "card").fingerprint)
    (folder / "agreement.toml").write_bytes(ws.draft_agreement(name))
    ws.add_agreement(folder / "agreement.toml")


@contextmanager
def ours(folder: Path, names: list[str]) -> Iterator[list[Door]]:
    """Run our server with one ally for each of `names`, who has an agreement and an account."""
    ws = Workspace.init(folder / "ours", organisation="ours", actor="ana", key_folder=folder / "ours-keys")
    accounts = []
    with ws:
        for name in names:
            befriend(ws, folder, name)
            accounts.append(ws.add_account(name, name, push=True, password=PASSWORD))
    command = [sys.executable, "-m", "aleat", "serve", "--port", "0", "--daily-objects", "10000000"]
    environment = {**os.environ, "ALEAT_KEYS": str(folder / "ours-keys"), "PYTHONUNBUFFERED": "1"}
    command += ["-w", str(folder / "ours")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said = process.stdout.readline() if process.stdout else ""
        root = f"{said.split()[2].rstrip('.')}root/"
        try:
            yield [
                Door("Aleat", process.pid, f"{root}collections/{one.collection}/", root, one.name, one.ally)
                for one in accounts
            ]
        finally:
            process.terminate()


@contextmanager
def medallion(folder: Path, names: list[str]) -> Iterator[list[Door]]:
    """Run Medallion on its memory backend, with one empty collection for each of `names`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    root = f"http://127.0.0.1:{port}/trustgroup1/"
    ids = [str(uuid.uuid4()) for _ in names]
    common = {"can_read": True, "can_write": True, "media_types": ["application/stix+json;version=2.1"]}
    collections = [
        {"id": id_, "title": name, **common, "objects": [], "manifest": []}
        for id_, name in zip(ids, names, strict=True)
    ]
    information = {"title": "One", "versions": [TYPE], "max_content_length": 32 * 1024**2}
    data = {
        "/discovery": {"title": "Beside", "default": root, "api_roots": [root]},
        "trustgroup1": {"information": information, "status": [], "collections": collections},
    }
    (folder / "data.json").write_text(json.dumps(data), encoding="utf-8")
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend"}
    config = {
        "backend": {**backend, "filename": str(folder / "data.json")},
        "users": dict.fromkeys(names, PASSWORD),
        "taxii": {"max_page_size": PAGE},
    }
    (folder / "medallion.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "medallion.scripts.run", "--port", str(port)]
    with subprocess.Popen(
        [*command, str(folder / "medallion.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port)
            made_by = f"identity--{uuid.uuid4()}"
            yield [
                Door("Medallion", process.pid, f"{root}collections/{id_}/", root, name, made_by)
                for id_, name in zip(ids, names, strict=True)
            ]
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(600):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("Medallion didn't start.")
