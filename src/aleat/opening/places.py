"""What stands at a URL: ``https://`` (``http://``) by the standard library, ``s3://``, ``az://`` … by `fsspec`.

Nothing goes over a network unless a URL was given. An object is fetched once, hashed as it comes, into a temporary
file that is gone when the walk goes on, so that it is opened like a local one. No credential stands in what is shown
or kept: user names, passwords and the values of queries are masked (`shown_url`); `fsspec`'s back ends find theirs
where their own tools do. Not `fsspec` for HTTP: it needs an event loop, follows any redirect, and takes any length.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from aleat.errors import InputError, Issue, LimitError, Place
from aleat.opening.addresses import Inside, guarded_handlers
from aleat.opening.limits import Limits, limit_advice

__all__ = ["Fetched", "fetch", "is_url", "location", "shown_url"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK = 1024 * 1024
_MASK = "***"


def is_url(text: object) -> bool:
    """Say whether something is written as a URL (and not as a path).

    >>> is_url("s3://bucket/logs"), is_url("C://logs"), is_url("logs/a.evtx")
    (True, False, False)
    """
    return isinstance(text, str) and _URL.match(text) is not None


def location(text: str | Path) -> str | Path:
    """Return a URL as it is, anything else as a path; ``file://`` URLs are paths."""
    if isinstance(text, str) and text.lower().startswith("file://"):
        return Path(urllib.request.url2pathname(urlsplit(text).path))
    return text if is_url(text) else Path(text)


def shown_url(url: str) -> str:
    """Return a URL without what may be secret in it: user name and password, the values of its query, its fragment.

    >>> shown_url("https://u:pw@host.example/a.zip?sv=2022&sig=abc#x")
    'https://***@host.example/a.zip?sv=***&sig=***'
    """
    try:
        parts = _split(url)
    except InputError:
        return f"{url.partition('://')[0][:20]}://{_MASK}"
    place = parts.netloc.rpartition("@")[2]
    place = f"{_MASK}@{place}" if "@" in parts.netloc else place
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    query = "&".join(f"{name}={_MASK}" if equals else _MASK for name, equals, _ in pairs)
    return urlunsplit((parts.scheme, place, parts.path, query, ""))


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object that was fetched: its temporary file, how it is shown, and what is known of it.

    `facts` are short texts: "url", "size", "sha256", and "etag", "last_modified" … where the server says so.
    """

    file: Path
    shown: str
    facts: Mapping[str, str]


def fetch(url: str, limits: Limits, stage: str) -> Generator[Fetched | Issue, None, None]:
    """Yield what is at a URL, one object after another (a prefix has several); each is gone when the next is asked for.

    What can't be fetched is an `Issue` of `stage`; its message names neither credentials nor what the server answered.
    """
    shown = shown_url(url)
    try:
        scheme = _split(url).scheme.lower()
        if scheme == "http":
            yield Issue(
                stage, "passed-over", Place(shown), "It was fetched over plain HTTP: others could read and change it."
            )
        objects = _http(url) if scheme in ("http", "https") else _objects(url, limits)
        for count, one in enumerate(objects):
            if count == limits.place_objects:
                reason = f"More than {count} objects (limit: place_objects); the rest was not fetched."
                yield Issue(stage, "limit", Place(shown), reason, limit_advice("place_objects"))
                return
            try:
                with _temporary(one, limits) as fetched:
                    yield fetched
            except InputError as error:
                yield error.issue(stage, one.shown)
    except InputError as error:
        yield error.issue(stage, shown)


@dataclass(frozen=True, slots=True)
class _Object:
    """One object, not fetched yet: `open` begins, and returns its stream and what is known of it."""

    shown: str
    open: Any


@contextmanager
def _temporary(one: _Object, limits: Limits) -> Iterator[Fetched]:
    """Fetch an object into a temporary file."""
    name = PurePosixPath(unquote(_split(one.shown).path)).name
    suffix = re.sub(r"[^A-Za-z0-9.]", "", PurePosixPath(name).suffix)[:16]
    with tempfile.NamedTemporaryFile(prefix="aleat-", suffix=suffix, delete=False) as file:
        path = Path(file.name)
        try:
            facts = _copy(one, file, limits)
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
    try:
        yield Fetched(path, one.shown, {"url": one.shown, **facts})
    finally:
        path.unlink(missing_ok=True)


def _copy(one: _Object, file: IO[bytes], limits: Limits) -> dict[str, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with one.open(limits) as (stream, facts):
            read = getattr(stream, "read1", stream.read)  # what has come, not a whole block however slowly
            ends = time.monotonic() + limits.place_total_seconds
            while block := read(_BLOCK):
                if time.monotonic() >= ends:
                    reason = f"It takes longer than {limits.place_total_seconds} s (limit: place_total_seconds)."
                    raise LimitError(reason, Place(one.shown), advice=limit_advice("place_total_seconds"))
                size += len(block)
                if size > limits.place_bytes:
                    reason = f"The object is larger than {limits.place_bytes} bytes (limit: place_bytes)."
                    raise LimitError(reason, Place(one.shown), advice=limit_advice("place_bytes"))
                digest.update(block)
                file.write(block)
    except InputError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(one.shown, error) from None
    except Exception as error:  # the back ends' own: botocore's, Azure's, Google's
        raise _unreachable(one.shown, error) from None
    stated = facts.pop("size", "")
    if stated and stated != str(size):
        reason = f"The object breaks off after {size} of {stated} bytes."
        raise InputError(reason, Place(one.shown), advice="Fetch it again.")
    return {**facts, "size": str(size), "sha256": digest.hexdigest()}


def _unreachable(shown: str, error: Exception) -> InputError:
    """Return what is said of an object that can't be fetched: the kind of the fault, not its words."""
    advice = "Check the address and your access to it."
    if isinstance(error, urllib.error.HTTPError):
        return InputError(f"The server answers {error.code}.", Place(shown), advice=advice)
    if isinstance(error, FileNotFoundError):
        return InputError("There is no such object.", Place(shown), advice=advice)
    if isinstance(error, PermissionError):
        return InputError("You may not read it.", Place(shown), advice=advice)
    reason = getattr(error, "reason", error)
    return InputError(f"It can't be fetched ({type(reason).__name__}).", Place(shown), advice=advice)


# -- HTTP -----------------------------------------------------------------------------------------------------------


def _http(url: str) -> Iterator[_Object]:
    @contextmanager
    def begin(limits: Limits) -> Iterator[tuple[IO[bytes], dict[str, str]]]:
        with _request(url, limits) as response:
            yield response, _http_facts(response.headers)

    yield _Object(shown_url(url), begin)


def _http_facts(headers: Mapping[str, str]) -> dict[str, str]:
    names = {"etag": "ETag", "last_modified": "Last-Modified", "size": "Content-Length"}
    facts = {name: str(headers.get(header) or "")[:200] for name, header in names.items()}
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        facts["content_encoding"] = str(headers["Content-Encoding"])[:40]
    return {name: text for name, text in facts.items() if text}


def _request(url: str, limits: Limits) -> Any:
    """Open a URL; redirects are followed by hand: few, never from HTTPS to HTTP, and with the password only at home.

    Never to an address inside (see `addresses`) either, unless the URL that was given is of the same kind.
    """
    first = _split(url)
    inside = Inside(first.hostname or "")
    opener = urllib.request.build_opener(_NoRedirect, *guarded_handlers(inside))
    for _ in range(limits.place_redirects + 1):
        parts = _split(url)
        headers = {"User-Agent": "aleat", "Accept-Encoding": "identity"}
        if parts.username is not None and parts.hostname == first.hostname:
            words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(words.encode()).decode()}"
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        try:
            return opener.open(urllib.request.Request(bare, headers=headers), timeout=limits.place_seconds)  # noqa: S310
        except urllib.error.HTTPError as error:
            target = error.headers.get("Location")
            if error.code not in (301, 302, 303, 307, 308) or not target:
                raise
            error.close()
        url = urljoin(bare, target)
        scheme = _split(url).scheme
        if scheme not in ("http", "https") or (parts.scheme == "https" and scheme == "http"):
            raise InputError(
                "The server leads to a place that isn't HTTPS; it wasn't followed.", Place(shown_url(bare))
            )
        inside.follow(_split(url).hostname or "", shown_url(bare))
    reason = f"The server leads on more than {limits.place_redirects} times (limit: place_redirects)."
    raise LimitError(reason, Place(shown_url(urlunsplit(first))), advice=limit_advice("place_redirects"))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: `_request` does."""


# -- fsspec ---------------------------------------------------------------------------------------------------------


def _objects(url: str, limits: Limits) -> Iterator[_Object]:
    """Yield the objects at a URL of a store, or below it, sorted by name."""
    shown = shown_url(url)
    try:
        import fsspec  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "Stores need an extra.", Place(shown), advice="Install it: pip install 'aleat[places]'"
        ) from None
    parts = _split(url)
    try:
        system, root = fsspec.core.url_to_fs(url)
        names = [root] if system.isfile(root) else sorted(system.find(root))
    except ImportError:
        raise InputError(
            f"No back end for {parts.scheme}:// is installed.",
            Place(shown),
            advice="Install it: pip install 'aleat[places]'",
        ) from None
    except ValueError:
        advice = "Known are https://, s3://, az:// and gs://, and what else fsspec has."
        raise InputError(f"{parts.scheme[:20]}:// is no place that is known.", Place(shown), advice=advice) from None
    except Exception as error:  # the back ends' own kinds
        raise _unreachable(shown, error) from None
    if not names:
        raise InputError("There is no such object.", Place(shown), advice="Check the address and your access to it.")
    base = shown.rstrip("/")
    for name in names:
        inside = name[len(root) :].lstrip("/") if name.startswith(root) else name
        yield _Object(f"{base}/{inside}" if inside else base, _opener(system, name))


def _opener(system: Any, name: str) -> Any:
    @contextmanager
    def begin(limits: Limits) -> Iterator[tuple[IO[bytes], dict[str, str]]]:
        info = system.info(name)
        if int(info.get("size") or 0) > limits.place_bytes:
            reason = f"The object is larger than {limits.place_bytes} bytes (limit: place_bytes)."
            raise LimitError(reason, advice=limit_advice("place_bytes"))
        with system.open(name, "rb") as stream:
            yield stream, _store_facts(info)

    return begin


def _store_facts(info: Mapping[str, Any]) -> dict[str, str]:
    wanted = {
        "etag": ("ETag", "etag"),
        "last_modified": ("LastModified", "last_modified", "updated", "mtime"),
        "version": ("VersionId", "version_id", "generation"),
        "size": ("size",),
    }
    found = {name: next((str(info[key]) for key in keys if info.get(key)), "") for name, keys in wanted.items()}
    return {name: text[:200] for name, text in found.items() if text}


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise InputError("This is no URL.", Place(_MASK), advice="Write https://host/path.") from None
