"""Medallion, OASIS' own TAXII 2.1 server, as a process of its own on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = ["COLLECTIONS", "PASSWORD", "USER", "medallion"]

USER, PASSWORD = "north", "a word between us"
COLLECTIONS = tuple(str(uuid.UUID(int=number, version=4)) for number in range(16))
"""The ids of the server's collections, all empty at first; their titles are "Shared 0", "Shared 1" …"""


def _free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _collection(id_: str, title: str, alias: str = "") -> dict[str, object]:
    named = {"alias": alias} if alias else {}
    return {
        **named,
        "id": id_,
        "title": title,
        "can_read": True,
        "can_write": True,
        "media_types": ["application/stix+json;version=2.1"],
        "objects": [],
        "manifest": [],
    }


@contextmanager
def medallion(folder: Path, *, page: int = 10, messages: str = "") -> Iterator[str]:
    """Run the server, with pages of at most `page` objects; yield its URL.

    The first collection is `messages`' (an alias), where that is given.
    """
    port = _free_port()
    root = f"http://127.0.0.1:{port}/trustgroup1/"
    data = {
        "/discovery": {"title": "Allies", "default": root, "api_roots": [root, "http://192.0.2.1/elsewhere/"]},
        "trustgroup1": {
            "information": {
                "title": "The first",
                "versions": ["application/taxii+json;version=2.1"],
                "max_content_length": 4_000_000,
            },
            "status": [],
            "collections": [
                _collection(id_, f"Shared {number}", "" if number else messages)
                for number, id_ in enumerate(COLLECTIONS)
            ],
        },
    }
    (folder / "data.json").write_text(json.dumps(data), encoding="utf-8")
    backend = {
        "module": "medallion.backends.memory_backend",
        "module_class": "MemoryBackend",
        "filename": str(folder / "data.json"),
    }
    config = {"backend": backend, "users": {USER: PASSWORD}, "taxii": {"max_page_size": page}}
    (folder / "medallion.json").write_text(json.dumps(config), encoding="utf-8")
    command = ["-W", "ignore", "-m", "medallion.scripts.run", "--port", str(port), str(folder / "medallion.json")]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said: list[bytes] = []
    try:
        for text in process.stderr:
            said.append(text)
            if b"Running on" in text:
                break
        else:
            raise AssertionError(b"".join(said).decode())
        threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _drain(stream: IO[bytes]) -> None:
    """Read what the server says, so that it never waits for a reader."""
    with suppress(ValueError), stream:
        for _ in stream:
            pass
