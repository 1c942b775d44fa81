"""Who asks: accounts by token, password or client certificate; how often; and who is shut out for trying.

Who fails too often from one address is shut out for a while, before any password is looked at; a password that was
right is kept in mind (as a keyed hash) for some minutes, as argon2id is slow on purpose. Two passwords are hashed at
once, a few wait, and the next is asked to come again: hashing never takes the threads that answer those who are known.
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
from aleat.web.proxies import address_group
from aleat.web.refusals import Refusals
from aleat.workspace import Sharing
from aleat.workspace.accounts import Account, check_password, find_by_certificate, find_by_token
from aleat.workspace.budgets import pushed_lately

__all__ = ["Gatekeeper", "WebLimits"]

_REMEMBERED = 10_000
_MAX_SECRET = 1_024
_TOKEN_SCHEMES = frozenset({"bearer", "token"})
"""RFC 6750, and what taxii2-client calls it."""
_HASHED_AT_ONCE = 2
_WAITING = 8
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How much the server bears; sizes in bytes, times in seconds.

    `requests` a second an account may make in the long run, `burst` at once; `failures` within `lock_seconds` shut an
    address out for an account's name (five times as many: for every name). An ally may push `daily_objects` objects
    and `daily_bytes` bytes at once, and as many again over a day; what it pushed before a restart counts.
    """

    body_bytes: int = 32 * 1024**2
    page_objects: int = 1_000
    page_bytes: int = 8 * 1024**2
    requests: float = 100.0
    burst: int = 400
    failures: int = 10
    lock_seconds: float = 900.0
    body_seconds: float = 60.0
    header_seconds: float = 20.0
    header_bytes: int = 96 * 1024
    answer_seconds: float = 300.0
    """How long a client may take to read an answer that doesn't fit into its buffers."""
    connections: int = 500
    address_connections: int = 100
    bodies: int = 8
    """How many bodies are taken in at once; others are asked to come again."""
    daily_objects: int = 250_000
    daily_bytes: int = 1024**3


class Gatekeeper:
    """Says who asks; `clock` counts seconds. May be called from several threads."""

    def __init__(
        self, sharing: Sharing, limits: WebLimits, clock: Callable[[], float], refusals: Refusals | None = None
    ) -> None:
        self._sharing, self._limits, self._clock = sharing, limits, clock
        self._refusals = refusals or Refusals(sharing.record, clock)
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, tuple[str, str, float]] = OrderedDict()
        self._failures: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._pushed: dict[str, tuple[float, float]] = {}
        self._guard = threading.Lock()
        self._hashing = threading.Semaphore(_HASHED_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(_HASHED_AT_ONCE + _WAITING)
        self._remember_pushed()

    def admit(self, authorization: str, certificate: str, address: str) -> Account:
        """Return the account of a request; raises a 401 or a 429.

        `authorization` is the header (or empty), `certificate` the SHA-256 of the client's (or empty).
        """
        group = address_group(address)
        account, name = self._find(authorization, certificate, group)
        if account is None:
            self._note_failure(group, name)
            raise _unauthorized()
        self._take(self._buckets, account.name, 1, self._limits.burst, self._limits.requests)
        return account

    def check_budget(self, account: Account, size: int) -> None:
        """Take a push of `size` bytes from what the account's ally may push in a day; a 429 where that is used up."""
        limits, ally = self._limits, account.ally
        self._take(self._pushed, f"objects/{ally}", 1, limits.daily_objects, limits.daily_objects / _DAY)
        self._take(self._pushed, f"bytes/{ally}", size, limits.daily_bytes, limits.daily_bytes / _DAY)

    def note_pushed(self, account: Account, objects: int) -> None:
        """Count the objects of a push that was taken: they are known only when it was read."""
        with self._guard:
            left, at = self._pushed[f"objects/{account.ally}"]
            self._pushed[f"objects/{account.ally}"] = (left - objects + 1, at)

    def _remember_pushed(self) -> None:
        """Take what was pushed in the last day from the budgets, as it would have been taken then."""
        now, limits = self._clock(), self._limits
        for push in pushed_lately(self._sharing.ws, _DAY):
            at = now - push.seconds
            budgets = (("objects", push.objects, limits.daily_objects), ("bytes", push.size, limits.daily_bytes))
            for kind, amount, most in budgets:
                left, before = self._pushed.get(f"{kind}/{push.ally}", (float(most), at))
                left = min(float(most), left + max(0.0, at - before) * most / _DAY)
                self._pushed[f"{kind}/{push.ally}"] = (left - amount, max(at, before))

    def _find(self, authorization: str, certificate: str, address: str) -> tuple[Account | None, str]:
        accounts = self._sharing.accounts()
        scheme, _, rest = authorization.partition(" ")
        rest = rest.strip()
        if not authorization:
            self._check_lock(address, "")
            if not certificate:
                raise _unauthorized()  # nobody tried anything
            return find_by_certificate(accounts, certificate), ""
        if scheme.lower() in _TOKEN_SCHEMES:
            self._check_lock(address, "")
            known = 0 < len(rest) <= _MAX_SECRET
            return (find_by_token(accounts, rest, self._sharing.ws.now()) if known else None), ""
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
        if not self._waiting.acquire(blocking=False):
            raise RequestError(429, "Too many passwords are being checked.", headers={"Retry-After": "2"})
        try:
            with self._hashing:
                right = check_password(account, password)
        finally:
            self._waiting.release()
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
            self._refusals.locked_out(address, name, limits.failures)

    def _take(
        self, buckets: dict[str, tuple[float, float]], name: str, amount: float, most: float, rate: float
    ) -> None:
        """Take `amount` out of a bucket that holds `most` and fills at `rate` a second; raises a 429 if it can't."""
        now = self._clock()
        with self._guard:
            left, at = buckets.get(name, (float(most), now))
            left = min(float(most), left + (now - at) * rate)
            if left < amount:
                wait = str(max(1, min(int((amount - left) / rate) + 1, 86_400)))
                raise RequestError(429, "Too much at once.", "It is more than was agreed on.", {"Retry-After": wait})
            buckets[name] = (left - amount, now)


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
