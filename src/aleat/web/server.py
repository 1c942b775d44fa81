"""The server as it runs: uvicorn with TLS, and what uvicorn leaves out (client certificates, slow clients)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aleat.errors import InputError
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.web.access import WebLimits
from aleat.web.messages import RequestError, encode_failure
from aleat.web.proxies import Proxies, address_group
from aleat.web.refusals import Refusals
from aleat.web.taxii import make_app
from aleat.workspace import Sharing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Listening", "serve"]

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: none of those that RFC 7540 Appendix A lists (TAXII 2.1 §8.2.2); TLS 1.3 has none."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens, and its files in PEM: certificate and key, and who vouches for clients' certificates.

    `port` 0 takes a free one. Without a certificate only an address of the machine itself is listened on, unless
    `plain`: behind a proxy that speaks TLS.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = None
    client_ca: str | None = None
    plain: bool = False
    proxies: Proxies = field(default_factory=Proxies)
    """Who is believed about whose request it is."""


def serve(
    sharing: Sharing,
    listening: Listening,
    limits: WebLimits | None = None,
    *,
    started: Callable[[str], None] = lambda url: None,
    stop: Callable[[Callable[[], None]], None] = lambda end: None,
) -> None:
    """Run the server until it is interrupted; `started` is called with its URL, `stop` with what ends it.

    Raises `InputError` where it would be reached by others without TLS, or its files can't be used.
    """
    import uvicorn  # noqa: PLC0415

    limits = limits or WebLimits()
    here = listening.host in {"127.0.0.1", "::1", "localhost"}
    if listening.certificate is None and not (here or listening.plain):
        raise InputError(
            f"Without a certificate the server would speak in clear on {listening.host}.",
            advice="Give --certificate and --key; or --plain, behind a proxy that speaks TLS.",
        )
    refusals = Refusals(sharing.record, time.monotonic)
    config = uvicorn.Config(
        make_app(sharing, limits, proxies=listening.proxies, refusals=refusals),
        host=listening.host,
        port=listening.port,
        http=_protocol(limits, listening.proxies),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=limits.header_bytes,
        limit_concurrency=None,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        ssl_context_factory=(lambda *_: _tls(listening)) if listening.certificate else None,
    )
    server = _Server(config, started, "https" if listening.certificate else "http")

    def end() -> None:
        server.should_exit = True

    stop(end)
    try:
        server.run()
    finally:
        refusals.flush()


def _Server(config: Any, started: Callable[[str], None], scheme: str) -> Any:  # noqa: N802
    """Return uvicorn's server that says its URL once it listens; a class, made when uvicorn is there."""
    import uvicorn  # noqa: PLC0415

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                host, port = self.servers[0].sockets[0].getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                started(f"{scheme}://{shown}:{port}/taxii2/")

    return Server(config)


def _tls(listening: Listening) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(str(listening.certificate), listening.key, listening.key_password or "")
        if listening.client_ca is not None:
            context.load_verify_locations(listening.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ValueError) as error:
        raise InputError(f"The certificate, its key or the authorities can't be used: {error}.") from None
    return context


def _protocol(limits: WebLimits, proxies: Proxies) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol that hands on a client's certificate, and closes on who takes its time.

    A request's head has `header_seconds`, also the second on a connection; what still comes of a body after its
    answer, `body_seconds`; and who reads an answer, `answer_seconds`.
    """
    from h11 import DONE, IDLE, SEND_BODY, Data, LocalProtocolError, Response  # noqa: PLC0415
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415

    class Protocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.waits: dict[str, asyncio.TimerHandle] = {}
            if not self._has_room():
                transport.close()
                return
            tls = transport.get_extra_info("ssl_object")
            certificate = tls.getpeercert(binary_form=True) if tls is not None else None
            digest = hashlib.sha256(certificate).hexdigest() if certificate else ""
            self.app = _with_certificate(self.app, digest)
            self._watch()

        def _has_room(self) -> bool:
            if len(self.connections) > limits.connections:
                return False
            address = self.client[0] if self.client else ""
            group = address_group(address)
            ends = (getattr(one, "client", None) for one in self.connections)
            others = (address_group(end[0]) for end in ends if end)
            return proxies.trusts(address) or sum(one == group for one in others) <= limits.address_connections

        def handle_events(self) -> None:
            super().handle_events()
            self._watch()

        def send_400_response(self, msg: str) -> None:
            """Answer what is no HTTP with an error message of TAXII (§3.6.1), and end the connection."""
            body = encode_failure(RequestError(400, "That is no HTTP request."))
            headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
            with suppress(LocalProtocolError):  # an answer was under way already
                for event in (Response(status_code=400, headers=headers, reason=b"Bad Request"), Data(data=body)):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def pause_writing(self) -> None:
            self._wait("answer", limits.answer_seconds, wanted=True)
            super().pause_writing()

        def resume_writing(self) -> None:
            self._wait("answer", limits.answer_seconds, wanted=False)
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for timer in self.waits.values():
                timer.cancel()
            self.waits.clear()

        def _watch(self) -> None:
            """Hold a clock to what the client owes: a head that it began, or the rest of a body."""
            begun = self.scope is None or bool(self.conn.trailing_data[0])
            self._wait("head", limits.header_seconds, wanted=self.conn.their_state is IDLE and begun)
            rest = self.conn.their_state is SEND_BODY and self.conn.our_state is DONE
            self._wait("rest", limits.body_seconds, wanted=rest)

        def _wait(self, what: str, seconds: float, *, wanted: bool) -> None:
            if not wanted:
                if (timer := self.waits.pop(what, None)) is not None:
                    timer.cancel()
            elif what not in self.waits and not self.transport.is_closing():
                self.waits[what] = self.loop.call_later(seconds, self.transport.abort)

    return Protocol


def _with_certificate(app: ASGIApp, digest: str) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "certificate": digest}, receive, send)

    return call
