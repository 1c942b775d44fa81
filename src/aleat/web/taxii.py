"""The TAXII 2.1 server's endpoints (TAXII 2.1 §4, §5): what an ally may have, and nothing that tells of the rest.

One API root, ``/taxii2/root/``. Each ally has two collections: what the gate lets it have, and where it may push;
beside it the sealed files between us and it. Any other path, id or method of somebody else's answers as if it weren't
there: the same 404.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec

from aleat.errors import InputError, NotPermittedError, WorkspaceError
from aleat.exchange.taxii_messages import MEDIA_TYPE, ApiRoot, Collection, Discovery, encode_resource
from aleat.stix.times import format_micros
from aleat.store.shelves import ShelfPage, ShelfRow
from aleat.web.access import Gatekeeper, WebLimits
from aleat.web.mailbox import messages_collection
from aleat.web.messages import (
    Query,
    RequestError,
    answer,
    check_accept,
    check_content_type,
    failure_answer,
    read_query,
)
from aleat.web.proxies import Proxies, address_group
from aleat.web.refusals import Refusals
from aleat.workspace import Sharing
from aleat.workspace.accounts import Account
from aleat.workspace.mailbox import Mailbox

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ROOT", "make_app"]

ROOT = "/taxii2/root/"
_log = logging.getLogger(__name__)
_STIX = "application/stix+json;version=2.1"
_ID = re.compile(r"[a-z0-9-]{1,250}--[0-9a-fA-F-]{36}")


class _Asked:
    """One request, as far as it was understood."""

    def __init__(self, request: Request, account: Account, parts: tuple[str, ...], body: bytes) -> None:
        self.account, self.parts, self.body = account, parts, body
        self.query = request.scope["query_string"].decode("latin-1")


def make_app(
    sharing: Sharing,
    limits: WebLimits | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    proxies: Proxies | None = None,
    refusals: Refusals | None = None,
) -> ASGIApp:
    """Return the server as an ASGI application; a client certificate's SHA-256 comes in `scope["certificate"]`.

    `clock` counts seconds; `proxies` are believed about whose request it is; `refusals` gathers what was refused.
    """
    from starlette.requests import Request  # noqa: PLC0415

    refusals = refusals or Refusals(sharing.record, clock)
    desk = _Desk(sharing, limits or WebLimits(), Gatekeeper(sharing, limits or WebLimits(), clock, refusals), refusals)
    desk.proxies = proxies or Proxies()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Hand every request to the desk: no router answers before it was asked who comes."""
        request = Request(scope, receive, send)
        await (await desk.handle(request))(scope, receive, send)

    return app


class _Desk:
    """Takes requests, and answers them."""

    def __init__(self, sharing: Sharing, limits: WebLimits, gatekeeper: Gatekeeper, refusals: Refusals) -> None:
        self.sharing, self.limits = sharing, limits
        self.mailbox = Mailbox(sharing)
        self.gatekeeper, self.refusals = gatekeeper, refusals
        self.proxies = Proxies()
        self.bodies = asyncio.Semaphore(limits.bodies)
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request) -> Response:
        """Answer one request; what goes wrong becomes an error message, never a trace."""
        from starlette.concurrency import run_in_threadpool  # noqa: PLC0415

        try:
            return await self._answer(request, run_in_threadpool)
        except Exception as error:
            failure = _request_error(error)
            account = request.scope.get("account", "")
            if self.refusals.note(failure.status, account, address_group(self._address(request))):
                task = asyncio.create_task(run_in_threadpool(self.refusals.flush))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return failure_answer(failure)

    def _address(self, request: Request) -> str:
        return self.proxies.client(request.client.host if request.client else "", request.scope["headers"])

    async def _answer(self, request: Request, run: Callable[..., Awaitable[Any]]) -> Response:
        headers = request.headers
        if "transfer-encoding" in headers and "content-length" in headers:
            raise RequestError(400, "The body's length is told twice.", headers={"Connection": "close"})
        admit = self.gatekeeper.admit
        who = (headers.get("authorization", ""), request.scope.get("certificate", ""), self._address(request))
        account = await run(admit, *who)
        request.scope["account"] = account.name
        parts = _parts(request)
        allowed = _methods_of(parts, (account.collection, self.mailbox.collection_of(account)))
        if request.method not in allowed:
            raise RequestError(405, "There is no such method here.", headers={"Allow": ", ".join(allowed)})
        check_accept(headers.get("accept"), manifest=parts[-1:] == ("manifest",))
        body = b""
        if request.method == "POST":
            if not account.push:
                raise NotPermittedError("This account may not push.")
            check_content_type(headers.get("content-type"))
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise RequestError(415, "A body comes as it is here, without an encoding.")
            body = await self._read_body(request)
            self.gatekeeper.check_budget(account, len(body))
        return await run(self._act, request.method, _Asked(request, account, parts, body))  # type: ignore[no-any-return]

    async def _read_body(self, request: Request) -> bytes:
        most = self.limits.body_bytes
        length = request.headers.get("content-length", "")
        if length.isdigit() and (len(length) > 15 or int(length) > most):
            raise RequestError(413, "The body is too large.", f"At most {most:,} bytes.")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                await self.bodies.acquire()  # who comes while others push waits for its turn
        except TimeoutError:
            raise RequestError(429, "Too many are pushing at once.", headers={"Retry-After": "2"}) from None
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise RequestError(413, "The body is too large.", f"At most {most:,} bytes.")
                    parts.append(part)
        except TimeoutError:
            raise RequestError(408, "The body took too long.", headers={"Connection": "close"}) from None
        finally:
            self.bodies.release()
        return b"".join(parts)

    def _act(self, method: str, asked: _Asked) -> Response:
        match asked.parts:
            case ("root", "collections", _, *rest) if rest:
                return self._act_on_collection(method, asked, rest)
            case ("root", "collections", id_):
                return answer(encode_resource(next(one for one in self._collections(asked.account) if one.id == id_)))
            case ("root", "collections"):
                found = [_plain(one) for one in self._collections(asked.account)]
                return answer(msgspec.json.encode({"collections": found}))
            case ("root", "status", id_):
                return self._status(asked, id_)
            case ("root",):
                return self._api_root()
        return self._discovery()

    def _act_on_collection(self, method: str, asked: _Asked, rest: Sequence[str]) -> Response:
        match rest:
            case ["manifest"]:
                return self._manifest(asked)
            case ["objects"]:
                return self._push(asked) if method == "POST" else self._objects(asked)
            case ["objects", id_, "versions"]:
                return self._versions(asked, id_)
        return self._delete(asked, rest[1]) if method == "DELETE" else self._objects(asked, rest[1])

    # ---------------------------------------------------------------------------------- about the server

    def _discovery(self) -> Response:
        """Name the API root by its path: whatever proxy, port or name the client came by (§4.1.1)."""
        title = f"{self.sharing.organisation}: TAXII server"
        return answer(encode_resource(Discovery(title=title, default=ROOT, api_roots=(ROOT,))))

    def _api_root(self) -> Response:
        root = ApiRoot(
            title=self.sharing.organisation, max_content_length=self.limits.body_bytes, versions=(MEDIA_TYPE,)
        )
        return answer(encode_resource(root))

    def _collections(self, account: Account) -> tuple[Collection, Collection]:
        """Return an account's collections: its ally's feed, and the messages to it."""
        letters = self.mailbox.collection_of(account)
        feed = Collection(
            id=account.collection,
            title=f"{self.sharing.organisation}, for you",
            description="What we may give you" + (", and what you give us." if account.push else "."),
            can_read=True,
            can_write=account.push,
            media_types=(_STIX,),
        )
        return feed, messages_collection(letters, self.sharing.organisation, account, _STIX)

    def _holder(self, asked: _Asked) -> Sharing | Mailbox:
        """Return who holds what stands in the collection that is asked for."""
        return self.sharing if asked.parts[2] == asked.account.collection else self.mailbox

    def _status(self, asked: _Asked, id_: str) -> Response:
        found = self.sharing.status(asked.account, id_)
        if found is None:
            raise _not_here()
        return answer(found)

    # ------------------------------------------------------------------------------------------- objects

    def _objects(self, asked: _Asked, id_: str | None = None) -> Response:
        page, query, behind = self._page(asked, id_, "objects", raw=True)
        if id_ is not None and not page.rows and not self._is_here(asked, id_, query):
            raise _not_here()
        content = b",".join(row.raw for row in page.rows)
        frame = _frame(asked, page, self.sharing)
        body = b'{"objects":[' + content + b"]" + (b"," + frame[1:] if frame != b"{}" else b"}") if content else frame
        return answer(body, headers=_added(page.rows, behind))

    def _manifest(self, asked: _Asked) -> Response:
        page, _, behind = self._page(asked, None, "manifest", raw=False)
        records = [
            {"id": row.id, "date_added": format_micros(row.added), "version": row.version, "media_type": _STIX}
            for row in page.rows
        ]
        frame = msgspec.json.decode(_frame(asked, page, self.sharing))
        frame.pop("next", None)
        content: dict[str, Any] = {"objects": records, **frame} if records else frame
        if page.more:
            content["next"] = self.sharing.token(asked.account, page.rows[-1])
        return answer(msgspec.json.encode(content), headers=_added(page.rows, behind))

    def _versions(self, asked: _Asked, id_: str) -> Response:
        page, query, behind = self._page(asked, id_, "versions", raw=False)
        if not page.rows and not self._is_here(asked, id_, query):
            raise _not_here()
        content = {"versions": [row.version for row in page.rows]} if page.rows else {}
        return answer(msgspec.json.encode(content), headers=_added(page.rows, behind))

    def _delete(self, asked: _Asked, id_: str) -> Response:
        query = read_query(asked.query, max_limit=1, of_object=True)
        if query.next or query.shelf.added_after is not None or query.limited:
            raise RequestError(400, "There is no such filter here.", "A deletion takes match[version] at most.")
        if query.nothing or not self._holder(asked).take_back(asked.account, id_, query.shelf.versions):
            raise _not_here()
        return answer(b"")

    def _page(self, asked: _Asked, id_: str | None, what: str, *, raw: bool) -> tuple[ShelfPage, Query, int]:
        """Return a page, what was asked for, and the time behind which it lies (microseconds since 1970)."""
        query = read_query(asked.query, max_limit=self.limits.page_objects, of_object=id_ is not None)
        changes: dict[str, Any] = {"raw": raw, "max_bytes": self.limits.page_bytes}
        behind = query.shelf.added_after or 0
        if id_ is not None:
            changes["ids"] = frozenset({id_})
        if query.next:
            try:
                changes["after"], added = self.sharing.place_of(asked.account, query.next)
                behind = max(behind, added)
            except InputError as error:
                raise RequestError(400, error.reason) from None
        wanted = msgspec.structs.replace(query.shelf, **changes)
        if query.nothing:
            return ShelfPage((), False), query, behind
        facts = {"collection": asked.parts[2], "asked": what}
        return self._holder(asked).page(asked.account, wanted, facts=facts), query, behind

    def _is_here(self, asked: _Asked, id_: str, query: Query) -> bool:
        """Tell whether an object is on the ally's shelf, where its filters left nothing of it.

        A version that the ally itself deleted isn't there either (§5.7).
        """
        plain = msgspec.structs.replace(read_query("", max_limit=1).shelf, ids=frozenset({id_}), raw=False)
        if plain == query.shelf or not self._holder(asked).page(asked.account, plain).rows:
            return False
        versions = query.shelf.versions
        return not versions or not self._holder(asked).is_taken_back(asked.account, id_, versions)

    def _push(self, asked: _Asked) -> Response:
        if asked.query and _has_known(asked.query):
            raise RequestError(400, "A push has no filters.")
        status = self._holder(asked).push(asked.account, asked.body)
        self.gatekeeper.note_pushed(asked.account, status.total_count)
        found = self.sharing.status(asked.account, status.id)
        return answer(found or encode_resource(status), 202)


def _parts(request: Request) -> tuple[str, ...]:
    """Return the path below ``/taxii2/``; a 404 where it is none of ours in form."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    try:
        path = unquote_to_bytes(raw.partition(b"?")[0]).decode("ascii")
    except UnicodeDecodeError:
        raise _not_here() from None
    if not path.startswith("/taxii2/") or not path.endswith("/") or "//" in path or b"%2f" in raw.lower():
        raise _not_here()
    return tuple(path.removeprefix("/taxii2/").split("/")[:-1])


def _methods_of(parts: tuple[str, ...], collections: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods of a path that is there for an account with these collections; raises the one 404."""
    match parts:
        case () | ("root",) | ("root", "collections") | ("root", "status", _):
            return ("GET", "HEAD")
        case ("root", "collections", id_, *rest) if id_ in collections:
            match rest:
                case [] | ["manifest"]:
                    return ("GET", "HEAD")
                case ["objects"]:
                    return ("GET", "HEAD", "POST")
                case ["objects", id_] if _ID.fullmatch(id_):
                    return ("GET", "HEAD", "DELETE")
                case ["objects", id_, "versions"] if _ID.fullmatch(id_):
                    return ("GET", "HEAD")
    raise _not_here()


def _request_error(error: Exception) -> RequestError:
    """Return what is told of what went wrong; of a fault of ours, nothing but that."""
    from starlette.requests import ClientDisconnect  # noqa: PLC0415

    match error:
        case RequestError():
            return error
        case ClientDisconnect():
            return RequestError(400, "The request broke off.")
        case InputError():
            return RequestError(422, error.reason, error.advice)
        case NotPermittedError():
            return RequestError(403, "You may not do that.", "There is no agreement in force that allows it.")
        case WorkspaceError():
            return RequestError(503, "The server is busy.", headers={"Retry-After": "5"})
    _log.error("A fault of the server's own", exc_info=error)
    return RequestError(500, "The server can't answer; it is a fault of its own.")


def _not_here() -> RequestError:
    return RequestError(404, "That isn't here.")


def _has_known(query: str) -> bool:
    asked = read_query(query, max_limit=1)
    return bool(asked.next) or asked.nothing or asked.shelf != read_query("", max_limit=1).shelf


def _frame(asked: _Asked, page: ShelfPage, sharing: Sharing) -> bytes:
    """Return an envelope's members beside its objects (§3.7)."""
    if not page.more:
        return b"{}" if not page.rows else b'{"more":false}'
    return msgspec.json.encode({"more": True, "next": sharing.token(asked.account, page.rows[-1])})


def _added(rows: tuple[ShelfRow, ...], behind: int) -> dict[str, str]:
    """Return the headers of §3.2; of an empty page they name the time behind which it lies.

    Each answer must have them; a poller that keeps that time has neither gone on nor gone back.
    """
    first, last = (rows[0].added, rows[-1].added) if rows else (behind, behind)
    return {"X-TAXII-Date-Added-First": format_micros(first), "X-TAXII-Date-Added-Last": format_micros(last)}


def _plain(resource: msgspec.Struct) -> Any:
    return msgspec.json.decode(encode_resource(resource))
