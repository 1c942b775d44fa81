"""PyMISP (extra ``misp``) connected to one MISP server, its requests going through `HttpClient`.

So sizes, times, redirects and TLS are bounded as everywhere, the key goes nowhere else, and only promised errors
escape. What changes something at the server (`_WRITES`) is never sent again blindly: whoever asked looks first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urljoin

import orjson

from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access, Credentials, split_url
from aleat.exchange.http_client import Answer, HttpClient
from aleat.knowledge.misp.fields import flag, identifier, objects_in, text
from aleat.text import clip, visible

__all__ = ["MispAccount", "MispSession", "refusal", "said", "server_url"]

_REFUSED = frozenset({401, 403})
_WRITES = ("events/add", "events/edit", "events/publish", "sightings/add")
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class MispAccount:
    """Who we are at a server: our organisation there (its own number, UUID, name), and what our role may do."""

    organisation: str
    uuid: str
    name: str
    may_write: bool
    may_tag: bool
    may_publish: bool
    may_sight: bool
    may_synchronise: bool


class MispSession:
    """A server at `url` (with a slash at its end), asked with our `key` there, through `http`."""

    def __init__(self, url: str, key: str, http: HttpClient) -> None:
        self.url = url
        self.http = http
        self._speaker = _connect(url, key, http)

    @classmethod
    def open(cls, access: Access) -> Self:
        """Connect to the server of `access`, whose token is our key there; close it afterwards."""
        key = access.credentials.token
        if not key:
            raise InputError(
                "A MISP server wants a key.", advice="Give a file with it (--token-file), or $ALEAT_TOKEN."
            )
        http = HttpClient(replace(access, credentials=Credentials()))
        try:
            return cls(server_url(access), key, http)
        except BaseException:
            http.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    @property
    def answer(self) -> Answer:
        """The last answer, as it came."""
        found: Answer = self._speaker.answer
        return found

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """Return what `question`, called with PyMISP, returns; `RemoteError` is all that escapes."""
        from pymisp import PyMISPError  # noqa: PLC0415

        try:
            return question(self._speaker)
        except RemoteError:
            raise
        except PyMISPError:
            raise refusal(self.answer) from None
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError):
            raise RemoteError("The server's answer is none of MISP's.", code="broken") from None

    def account(self) -> MispAccount:
        """Return who we are there, as the server said when we came."""

        def read(speaker: Any) -> MispAccount:
            told, may = speaker._current_user.to_dict(), speaker._current_role.to_dict()
            number = text(told.get("org_id")).strip()
            found = speaker.get_organisation(number) if number.isascii() and number.isdigit() else None
            organisation = found.get("Organisation") if isinstance(found, Mapping) else None
            organisation = organisation if isinstance(organisation, Mapping) else {}
            return MispAccount(
                organisation=number,
                uuid=identifier(organisation.get("uuid")),
                name=text(organisation.get("name")).strip(),
                may_write=flag(may.get("perm_add")) or flag(may.get("perm_site_admin")),
                may_tag=flag(may.get("perm_tagger")) or flag(may.get("perm_site_admin")),
                may_publish=flag(may.get("perm_publish")) or flag(may.get("perm_site_admin")),
                may_sight=flag(may.get("perm_sighting")) or flag(may.get("perm_add")),
                may_synchronise=flag(may.get("perm_sync")) or flag(may.get("perm_site_admin")),
            )

        found: MispAccount = self.ask(read)
        return found

    def sharing_groups(self) -> dict[str, tuple[str, str]]:
        """Return (the server's number, name) of the sharing groups in use that we may write to, by UUID."""
        value = self.ask(lambda speaker: speaker.sharing_groups())
        if isinstance(value, Mapping) and "errors" in value:
            return {}
        rows = [row.get("SharingGroup") for row in objects_in(value)[0]]
        return {
            identifier(row.get("uuid")): (text(row.get("id")).strip(), text(row.get("name")).strip())
            for row in rows
            if isinstance(row, Mapping) and row.get("active", True) not in (False, 0, "0") and text(row.get("id"))
        }


def server_url(access: Access) -> str:
    """Return the server's URL as it is asked, with a slash at its end."""
    url = split_url(access.url).geturl()
    return url if url.endswith("/") else f"{url}/"


def said(value: Any) -> str:
    """Return what a server said about an error, as one bounded line: MISP's ``errors``, else its ``message``."""
    if isinstance(value, Mapping) and isinstance(value.get("errors"), tuple | list) and len(value["errors"]) == 2:
        value = value["errors"][1]
    words = value
    if isinstance(value, Mapping):
        words = next((value[name] for name in ("errors", "message", "name") if value.get(name)), "")
    if not isinstance(words, str):
        try:
            words = orjson.dumps(words).decode()
        except (TypeError, ValueError, RecursionError):
            words = ""
    return clip(visible(" ".join(words.split())), _LONGEST_WORDS)


def refusal(answer: Answer | None) -> RemoteError:
    """Return the error that an answer which PyMISP could not use stands for; it shows nothing of the answer."""
    status = answer.status if answer is not None else 0
    if status in _REFUSED:
        return RemoteError(
            f"The server doesn't let us in (status {status}).", code="refused", advice="Is the key right?"
        )
    if status >= 400:
        return RemoteError(
            f"The server answers with an error (status {status}).", code="server", transient=status >= 500
        )
    return RemoteError("The server's answer is none of MISP's.", code="broken", advice="Is that a MISP server?")


def _connect(url: str, key: str, http: HttpClient) -> Any:
    """Return PyMISP speaking through `http`; raises `RemoteError` where the server doesn't let us in."""
    try:
        from pymisp import PyMISP, PyMISPError  # noqa: PLC0415
        from requests import PreparedRequest, Response  # noqa: PLC0415
        from requests.structures import CaseInsensitiveDict  # noqa: PLC0415
    except ImportError:
        raise InputError("MISP servers need PyMISP.", advice="Install it: pip install 'aleat[misp]'.") from None
    logging.getLogger("pymisp").setLevel(logging.CRITICAL + 1)  # it logs what servers answer, as it stands
    failures: list[RemoteError] = []
    answers: list[Answer] = []

    class Speaker(PyMISP):
        """PyMISP, whose requests go through ours."""

        @property
        def answer(self) -> Answer:
            """The last answer, as it came."""
            return answers[-1]

        def _prepare_request(
            self,
            request_type: str,
            url: str,
            data: Any = None,
            params: Any = None,
            kw_params: Any = None,
            output_type: str = "json",
            content_type: str = "json",
        ) -> Response:
            below = "".join(f"/{name}:{value}" for name, value in (kw_params or {}).items())
            if isinstance(data, Mapping):
                data = orjson.dumps({name: value for name, value in data.items() if value is not None})
            headers = {
                "Authorization": key,
                "Accept": f"application/{output_type}",
                "Content-Type": f"application/{content_type}",
            }
            way = url.lstrip("/").replace(" ", "+") + below
            try:
                answer = http.request(
                    request_type,
                    urljoin(self.root_url, way),
                    params=params or None,
                    headers=headers,
                    content=data,
                    repeatable=not way.startswith(_WRITES),
                )
            except RemoteError as error:
                failures.append(error)
                raise
            answers.append(answer)
            del answers[:-1]
            response = Response()
            response.status_code = answer.status
            response.headers.update(answer.headers)
            response._content = answer.body  # requests has no other way to make one
            response.encoding = "utf-8"
            response.request = PreparedRequest()  # PyMISP logs what it holds: nothing
            response.request.headers = CaseInsensitiveDict()
            return response

    try:
        return Speaker(url, key)
    except RemoteError:
        raise
    except (PyMISPError, TypeError, ValueError, KeyError, AttributeError, RecursionError):
        if failures:
            raise failures[-1] from None
        raise refusal(answers[-1] if answers else None) from None
