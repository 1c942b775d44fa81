"""How another party's server is reached: its URL, our credentials, TLS, a proxy, and how much of it is borne.

Secrets come in as values (the command line reads them from files or the environment); nothing here shows one:
not in a `repr`, not in an error, not in `shown_url`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from aleat.errors import InputError
from aleat.text import clip, visible

__all__ = ["Access", "Credentials", "RemoteLimits", "Tls", "split_url"]

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 2_000


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """How much one run takes of another party's server; sizes in bytes after decompression, times in seconds.

    `page_objects` is how many objects are asked for at once; `empty_pages` how many pages in a row may bring
    nothing new; `attempts` how often one request is tried, with waits that double up to `wait_seconds`; a
    server that asks for more than `retry_after_seconds` is left for another time.
    """

    page_bytes: int = 64 * 1024**2
    error_bytes: int = 64 * 1024
    total_bytes: int = 16 * 1024**3
    pages: int = 100_000
    objects: int = 20_000_000
    page_objects: int = 1_000
    empty_pages: int = 20
    collections: int = 1_000
    seconds: float = 6 * 3600.0
    request_seconds: float = 300.0
    read_seconds: float = 60.0
    connect_seconds: float = 20.0
    redirects: int = 5
    attempts: int = 5
    wait_seconds: float = 60.0
    retry_after_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are there: a token (Bearer; a MISP server's key), or a user with a password (Basic)."""

    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for secret in (self.token, self.user, self.password):
            if any(character < " " or character == "\x7f" for character in secret):
                raise InputError("A secret holds a control character.", advice="It is one line of text.")
        if ":" in self.user:
            raise InputError("A user's name holds a colon, which HTTP Basic can't carry (RFC 7617 §2).")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the authorities that are trusted beside none (default: the system's), our certificate and key."""

    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """All that a client of another party's server needs; `clock` counts seconds, `sleep` waits them."""

    url: str
    credentials: Credentials = Credentials()
    tls: Tls = Tls()
    proxy: str = field(default="", repr=False)
    limits: RemoteLimits = RemoteLimits()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme (without what stands before a ``+``), host and port: what the credentials are for."""
        parts = split_url(self.url)
        return parts.scheme, str(parts.hostname), parts.port or _PORTS[parts.scheme]


def split_url(url: str) -> SplitResult:
    """Return the parts of a server's URL, its scheme ``http`` or ``https``; raises `InputError` where it is none.

    Passwords, queries and fragments are refused: they would stand in the list of processes and in the records.
    """
    shown = clip(visible(url.partition("?")[0].rpartition("@")[2]), 200)
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.rpartition("+")[2]
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{shown!r} is no URL: {error}.") from None
    unsafe = any(character <= " " or character in "\x7f\\" for character in url)
    if scheme not in _PORTS or not parts.hostname or unsafe or len(url) > _LONGEST_URL:
        raise InputError(f"{shown!r} is no URL of a server.", advice="Write https://HOST/PATH.")
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(
            f"The URL of {shown!r} carries a user, a query or a fragment.",
            advice="Give user, password or token by their options: a URL is shown and recorded.",
        )
    return parts._replace(scheme=scheme)
