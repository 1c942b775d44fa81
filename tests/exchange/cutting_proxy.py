"""A TCP relay on loopback that cuts connections: what a bad line does to a poll."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Cuts", "cutting_proxy"]


@dataclass
class Cuts:
    """When to cut: the connections, counted from 0, of which only so many bytes of the answers get through."""

    after: dict[int, int] = field(default_factory=dict)
    url: str = ""
    connections: int = 0
    cut: int = 0


@contextmanager
def cutting_proxy(port: int, cuts: Cuts) -> Iterator[Cuts]:
    """Relay to `port` of loopback; `cuts.url` is where the relay listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cuts.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread = threading.Thread(target=_serve, args=(listener, port, cuts), daemon=True)
        thread.start()
        try:
            yield cuts
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=20)


def _serve(listener: socket.socket, port: int, cuts: Cuts) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        number, cuts.connections = cuts.connections, cuts.connections + 1
        threading.Thread(target=_relay, args=(client, port, cuts, number), daemon=True).start()


def _relay(client: socket.socket, port: int, cuts: Cuts, number: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        threading.Thread(target=_upstream, args=(client, server), daemon=True).start()
        left = cuts.after.get(number)
        with suppress(OSError):
            while block := server.recv(65_536):
                if left is not None and len(block) > left:
                    client.sendall(block[:left])
                    cuts.cut += 1
                    break
                client.sendall(block)
                left = None if left is None else left - len(block)
        for end in (client, server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _upstream(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while block := client.recv(65_536):
            server.sendall(block)
        server.shutdown(socket.SHUT_WR)
