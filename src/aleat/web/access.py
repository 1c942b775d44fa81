"""Who asks: accounts by token, password or client certificate; how often; and who is shut out for trying.

Who fails too often from one address is shut out for a while, before any password is looked at; a password that was
right is kept in mind (as a keyed hash) for some minutes, as argon2id is slow on purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aleat.web.messages import RequestError
from aleat.workspace import Sharing
from aleat.workspace.accounts import Account, check_password, find_by_certificate, find_by_token

__all__ = ["Gatekeeper", "WebLimits"]

_REMEMBERED = 10_000
_MAX_SECRET = 1_024


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How much the server bears; sizes in bytes, times in seconds.

    `requests` a second an account may make in the long run, `burst` at once; `failures` within `lock_seconds` shut an
    address out for an account's name (five times as many: for every name).
    """

    body_bytes: int = 32 * 1024**2
    page_objects: int = 1_000
    requests: float = 100.0
    burst: int = 400
    failures: int = 10
    lock_seconds: float = 900.0
    body_seconds: float = 60.0
    header_seconds: float = 20.0
    header_bytes: int = 96 * 1024
    connections: int = 500
    bodies: int = 8
    """How many bodies are taken in at once; others are asked to come again."""


class Gatekeeper:
    """Says who asks; `clock` counts seconds. May be called from several threads."""

    def __init__(self, sharing: Sharing, limits: WebLimits, clock: Callable[[], float]) -> None:
        self._sharing, self._limits, self._clock = sharing, limits, clock
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, tuple[str, str, float]] = OrderedDict()
        self._failures: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._guard = threading.Lock()
        self._hashing = threading.Semaphore(2)

    def admit(self, authorization: str, certificate: str, address: str) -> Account:
        """Return the account of a request; raises a 401 or a 429.

        `authorization` is the header (or empty), `certificate` the SHA-256 of the client's (or empty).
        """
        account, name = self._find(authorization, certificate, address)
        if account is None:
            self._note_failure(address, name)
            raise _unauthorized()
        self._take_turn(account.name)
        return account

    def _find(self, authorization: str, certificate: str, address: str) -> tuple[Account | None, str]:
        accounts = self._sharing.accounts()
        scheme, _, rest = authorization.partition(" ")
        rest = rest.strip()
        if not authorization:
            self._check_lock(address, "")
            if not certificate:
                raise _unauthorized()  # nobody tried anything
            return find_by_certificate(accounts, certificate), ""
        if scheme.lower() == "bearer":
            self._check_lock(address, "")
            return (find_by_token(accounts, rest) if 0 < len(rest) <= _MAX_SECRET else None), ""
        user, password = _basic(scheme, rest)
        self._check_lock(address, user)
        account = next((one for one in accounts if one.name == user), None)
        return (account if self._is_right(account, user, password) else None), user

    def _is_right(self, account: Account | None, user: str, password: str) -> bool:
        said = hmac.digest(self._key, f"{user}\x00{password}".encode(), "sha256")
        stored = hashlib.sha256(account.password.encode()).hexdigest() if account else ""
        with self._guard:
            known = self._right.get(said)
        if known is not None and known[:2] == (user, stored) and self._clock() < known[2]:
            return True
        with self._hashing:
            right = check_password(account, password)
        if right:
            with self._guard:
                self._right[said] = (user, stored, self._clock() + 300.0)
                _trim(self._right)
        return right

    def _check_lock(self, address: str, name: str) -> None:
        now, limits = self._clock(), self._limits
        with self._guard:
            for key, most in (((address, name), limits.failures), ((address, "*"), 5 * limits.failures)):
                recent = [at for at in self._failures.get(key, ()) if at > now - limits.lock_seconds]
                if len(recent) >= most:
                    wait = max(1, int(recent[0] + limits.lock_seconds - now))
                    raise RequestError(429, "Too many attempts failed.", headers={"Retry-After": str(wait)})

    def _note_failure(self, address: str, name: str) -> None:
        now, limits = self._clock(), self._limits
        locked = False
        with self._guard:
            for key in ((address, name), (address, "*")):
                recent = [at for at in self._failures.get(key, ()) if at > now - limits.lock_seconds]
                self._failures[key] = [*recent, now][-5 * limits.failures :]
                self._failures.move_to_end(key)
                locked = locked or (key[1] != "*" and len(recent) + 1 == limits.failures)
            _trim(self._failures)
        if locked:
            self._sharing.record("locked-out", {"address": address, "account": name[:64], "failures": limits.failures})

    def _take_turn(self, name: str) -> None:
        now, limits = self._clock(), self._limits
        with self._guard:
            left, at = self._buckets.get(name, (float(limits.burst), now))
            left = min(float(limits.burst), left + (now - at) * limits.requests)
            if left < 1:
                raise RequestError(429, "Too many requests.", headers={"Retry-After": "1"})
            self._buckets[name] = (left - 1, now)


def _basic(scheme: str, rest: str) -> tuple[str, str]:
    """Return user and password of HTTP Basic (RFC 7617)."""
    if scheme.lower() != "basic" or len(rest) > 2 * _MAX_SECRET:
        raise _unauthorized()
    try:
        user, colon, password = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        raise _unauthorized() from None
    if not colon or len(user) > 64 or "\x00" in user + password:
        raise _unauthorized()
    return user, password


def _unauthorized() -> RequestError:
    return RequestError(
        401,
        "Say who you are.",
        "With a token (Bearer), or a user and a password (Basic).",
        {"WWW-Authenticate": 'Bearer realm="taxii", Basic realm="taxii", charset="UTF-8"'},
    )


def _trim(kept: OrderedDict) -> None:  # type: ignore[type-arg]
    while len(kept) > _REMEMBERED:
        kept.popitem(last=False)
