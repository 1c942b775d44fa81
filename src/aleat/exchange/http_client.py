"""HTTP to one server that another party runs: bounded in bytes and time, patient, and not to be led elsewhere.

What it does beyond `httpx2`: a request and its whole answer have one deadline; bodies are decompressed here, up to
a limit (RFC 9110 §8.4.1: gzip, deflate); transport failures and answers that ask to come back are tried again with
growing waits; a redirect is followed only within the same origin (or from http to https on the same host and default
ports), so that neither credentials nor requests reach a host that nobody named. No proxy, certificate or password is
taken from the environment, and no cookie is kept.
"""

from __future__ import annotations

import base64
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from aleat import __version__
from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access
from aleat.text import clip, visible

if TYPE_CHECKING:
    import httpx2

__all__ = ["Answer", "HttpClient", "retry_after"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGAIN = frozenset({429, 500, 502, 503, 504})
_NOT_DONE = frozenset({429, 503})
"""Answers that say that nothing was done: such a request can be sent again even if it has an effect."""
_CHUNK = 64 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: its status, its headers (names in lower case), its body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class HttpClient:
    """Requests to the server of `access`; close it, or use it in a `with` block."""

    def __init__(self, access: Access) -> None:
        import httpx2  # noqa: PLC0415

        from aleat.exchange.http_transport import Deadline, Transport  # noqa: PLC0415

        self.access = access
        self.limits = access.limits
        self.origin = access.origin
        self.received = 0
        self._end = access.clock() + self.limits.seconds
        self._deadline = Deadline(access.clock)
        proxy, auth = _proxy(access.proxy)
        transport = Transport(_context(access), self._deadline, proxy, auth)
        self._client = httpx2.Client(
            transport=transport,
            trust_env=False,
            timeout=httpx2.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds),
            headers={"User-Agent": f"aleat/{__version__}", "Accept-Encoding": "gzip"},
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        repeatable: bool = True,
    ) -> Answer:
        """Send a request to `url` (absolute), and return its answer whatever its status is, redirects followed.

        One that is not `repeatable` is sent again only where the server says, or it is plain, that it did nothing.
        Raises `RemoteError` where there is no answer within the limits.
        """
        self.check_origin(url)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._follow(method, url, params, headers, content)
            except RemoteError as error:
                again = error.transient and (repeatable or error.code == "unreachable")
                if not again or attempt >= self.limits.attempts:
                    raise
                self.pause(attempt)
                continue
            if answer.status not in (_AGAIN if repeatable else _NOT_DONE) or attempt >= self.limits.attempts:
                return answer
            self.pause(attempt, retry_after(answer.headers))

    def check_origin(self, url: str) -> None:
        """Raise `RemoteError` where `url` isn't on the server that was named."""
        if _origin(url) != self.origin:
            raise RemoteError(
                f"It leads to another server ({_shown(url)}), which nobody named.",
                code="other-server",
                advice="Name that one itself, if it is meant.",
            )

    def pause(self, attempt: int, asked: float | None = None) -> None:
        """Wait before the next attempt: 1, 2, 4 … seconds, or what the server `asked` for, both bounded."""
        wait = min(2.0 ** (attempt - 1), self.limits.wait_seconds)
        if asked is not None:
            if asked > self.limits.retry_after_seconds:
                raise RemoteError(
                    f"The server asks to come back in {asked:,.0f} seconds; the limit is "
                    f"{self.limits.retry_after_seconds:,.0f} (retry_after_seconds).",
                    code="busy",
                    advice="Poll again then.",
                )
            wait = max(asked, 0.0)
        if self.access.clock() + wait > self._end:
            raise self._too_long()
        self.access.sleep(wait)

    def _follow(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        for _ in range(self.limits.redirects + 1):
            answer = self._send(method, url, params, headers, content)
            if answer.status not in _REDIRECTS:
                return answer
            target = _joined(answer.url, answer.headers.get("location", ""))
            if method != "GET":
                raise RemoteError(f"The server redirects what is sent to it ({answer.status}).", code="redirect")
            if not self._same_server(target):
                raise RemoteError(
                    f"The server redirects to another one ({_shown(target)}), which nobody named.",
                    code="redirect",
                    advice="Name that one itself, if it is meant.",
                )
            url, params = target, None
        raise RemoteError(f"The server redirects more than {self.limits.redirects} times (redirects).", code="redirect")

    def _same_server(self, target: str) -> bool:
        origin = _origin(target)
        if origin == self.origin:
            return True
        raised = (*self.origin[:2], self.origin[2]) == ("http", self.origin[1], 80)
        return raised and origin == ("https", self.origin[1], 443)

    def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        import httpcore2  # noqa: PLC0415

        now = self.access.clock()
        if now >= self._end:
            raise self._too_long()
        self._deadline.end = min(self._end, now + self.limits.request_seconds)
        request = self._client.build_request(
            method, url, params=dict(params) if params else None, content=content, headers=self._headers(headers)
        )
        try:
            response = self._client.send(request, stream=True)
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.ProxyError) as error:
            raise self._unreachable(error) from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise _broken(error) from None
        try:
            body = self._read(response)
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise _broken(error) from None
        finally:
            response.close()
        names = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, names, body, str(request.url))

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        found = dict(headers or {})
        known = self.access.credentials
        if "Authorization" not in found and known.token:
            found["Authorization"] = f"Bearer {known.token}"
        elif "Authorization" not in found and known.user:
            pair = base64.b64encode(f"{known.user}:{known.password}".encode()).decode("ascii")
            found["Authorization"] = f"Basic {pair}"
        return found

    def _read(self, response: httpx2.Response) -> bytes:
        """Return the body, decompressed, up to the limit; an error's body is cut off there."""
        good = response.status_code < 300
        limit = self.limits.page_bytes if good else self.limits.error_bytes
        body = bytearray()
        for block in _decoded(response, limit):
            body += block
            if len(body) > limit:
                if good:
                    raise RemoteError(
                        f"The answer is larger than {limit:,} bytes (page_bytes).",
                        code="page-size",
                        advice="Ask for fewer objects a page.",
                    )
                del body[limit:]
                break
        self.received += len(body)
        if self.received > self.limits.total_bytes:
            raise RemoteError(
                f"The server sent more than {self.limits.total_bytes:,} bytes (total_bytes).", code="limit"
            )
        return bytes(body)

    def _too_long(self) -> RemoteError:
        return RemoteError(
            f"It takes longer than {self.limits.seconds:,.0f} seconds (seconds).",
            code="limit",
            advice="What came is kept; poll again to go on.",
        )

    def _unreachable(self, error: Exception) -> RemoteError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                reason = getattr(cause, "verify_message", "") or cause.reason or "TLS failed"
                return RemoteError(
                    f"No trusted connection: {visible(reason)}.",
                    code="tls",
                    advice="Give its authority's certificate (--ca-file), or our own (--client-cert).",
                )
            cause = cause.__cause__ or cause.__context__
        return RemoteError(f"The server can't be reached: {_said(error)}.", code="unreachable", transient=True)


def _decoded(response: httpx2.Response, limit: int) -> Iterator[bytes]:
    """Yield the body's blocks, decompressed; no more than `limit` and a little is ever held."""
    coding = response.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if coding == "identity":
        yield from response.iter_raw(_CHUNK)
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise RemoteError(
            f"The answer is packed as {clip(visible(coding), 40)}, which nobody asked for.", code="packing"
        )
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        for block in response.iter_raw(_CHUNK):
            rest = block
            while rest and not unpacker.eof:
                yield unpacker.decompress(rest, limit + 1)
                rest = unpacker.unconsumed_tail
    except zlib.error:
        raise RemoteError("The answer's packing is damaged.", code="packing", transient=True) from None
    if not unpacker.eof:
        raise RemoteError("The answer ends before its packing does.", code="broken", transient=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 §10.2.3); a date counts from the answer's own Date."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def _context(access: Access) -> ssl.SSLContext:
    """Return the TLS settings; raises `InputError` where a file of certificates or keys can't be used."""
    import httpcore2  # noqa: PLC0415

    tls = access.tls
    try:
        context = (
            ssl.create_default_context(cafile=tls.ca_file)
            if tls.ca_file
            else httpcore2.default_ssl_context(_trust_env=False)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, lambda: tls.key_password)
    except (OSError, ValueError) as error:
        reason = visible(getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__)
        raise InputError(
            f"A file of certificates or keys can't be used: {reason}.", advice="They are PEM; is the password right?"
        ) from None
    return context


def _proxy(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a proxy's URL without its user, and that; both empty where there is none."""
    if not url:
        return "", None
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise InputError("The proxy's URL is none.", advice="Write http://HOST:PORT.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    auth = (parts.username, parts.password or "") if parts.username is not None else None
    return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}", auth


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        return parts.scheme, str(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None


def _joined(url: str, reference: str) -> str:
    """Return where a redirect leads, or what it says where that is nowhere."""
    try:
        return urljoin(url, reference)
    except ValueError:
        return reference


def _shown(url: str) -> str:
    """Return a foreign URL as it may be shown: its scheme and host."""
    try:
        parts = urlsplit(url)
        return clip(visible(f"{parts.scheme}://{parts.hostname or ''}"), 100)
    except ValueError:
        return "no URL"


def _broken(error: Exception) -> RemoteError:
    return RemoteError(f"The connection broke: {_said(error)}.", code="broken", transient=True)


def _said(error: Exception) -> str:
    return clip(visible(str(error).strip() or type(error).__name__).rstrip("."), 160)
