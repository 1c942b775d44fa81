"""The options by which a command reaches another party's server: secrets from files, limits, certificates, a proxy."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aleat.cli.terminal import error
from aleat.errors import InputError

if TYPE_CHECKING:
    from aleat.exchange.access import Access, RemoteLimits

__all__ = ["AccessOptions", "access_to"]

_TOKEN, _PASSWORD, _KEY_PASSWORD, _PROXY = (
    "ALEAT_TOKEN",
    "ALEAT_PASSWORD",
    "ALEAT_CLIENT_KEY_PASSWORD",
    "ALEAT_PROXY",
)
_MAX_SECRET = 64 * 1024


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AccessOptions:
    """How a server is reached.

    Args:
        token_file: A file with our token there (- is standard input; else $ALEAT_TOKEN).
        user: Our name there, with a password (HTTP Basic).
        password_file: A file with our password (- is standard input; else $ALEAT_PASSWORD).
        ca_file: The certificates of the authorities to trust (PEM; default: the system's).
        client_cert: Our certificate there (PEM).
        client_key: Its key (PEM), where that isn't in the same file.
        client_key_password_file: A file with the key's password (else $ALEAT_CLIENT_KEY_PASSWORD).
        proxy: The proxy on the way: http://HOST:PORT (else $ALEAT_PROXY, which may hold its user and password).
        limit: Raise or lower what is taken: NAME=VALUE (docs/guides/polling.md).
    """

    token_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    client_key_password_file: Path | None = None
    proxy: str = ""
    limit: Annotated[tuple[str, ...], Parameter(negative="")] = ()


def access_to(url: str, options: AccessOptions) -> Access:
    """Return how the server at `url` is reached; warns where the way there is not encrypted."""
    from aleat.exchange.access import Access, Credentials, RemoteLimits, Tls  # noqa: PLC0415

    password = _secret(options.password_file, _PASSWORD) if options.user else ""
    key_password = _secret(options.client_key_password_file, _KEY_PASSWORD)
    access = Access(
        url,
        Credentials(_secret(options.token_file, _TOKEN), options.user, password),
        Tls(_path(options.ca_file), _path(options.client_cert), _path(options.client_key), key_password),
        options.proxy or os.environ.get(_PROXY, ""),
        _limits(RemoteLimits(), options.limit),
    )
    if access.origin[0] == "http":
        error("Warning: http:// is not encrypted; anybody on the way can read and change what it carries.")
    return access


def _secret(file: Path | None, variable: str) -> str:
    """Return the one line of a secret's file (- is standard input), else the environment's."""
    if file is None:
        return os.environ.get(variable, "")
    if str(file) == "-":
        data = sys.stdin.buffer.readline(_MAX_SECRET + 1)
    else:
        with file.open("rb") as stream:
            data = stream.read(_MAX_SECRET + 1)
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > _MAX_SECRET or len(text.splitlines()) > 1:
        raise InputError(f"{file} holds no secret.", advice="It is one line of text (UTF-8).")
    return text


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _limits(limits: RemoteLimits, stated: tuple[str, ...]) -> RemoteLimits:
    """Return the limits with what NAME=VALUE options change."""
    kinds = {field.name: type(getattr(limits, field.name)) for field in fields(limits)}
    changed: dict[str, float] = {}
    for text in stated:
        name, _, value = text.partition("=")
        try:
            changed[name] = kinds[name](value)
            if not changed[name] > 0:
                raise ValueError
        except (KeyError, ValueError):
            raise InputError(
                f"{text[:60]!r} is no limit of a poll.", advice=f"NAME=VALUE, of: {', '.join(kinds)}."
            ) from None
    return replace(limits, **changed)  # type: ignore[arg-type]
