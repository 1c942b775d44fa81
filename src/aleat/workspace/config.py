"""`aleat.toml`: what a workspace says about itself, with its format version.

A newer format is refused; an older one is migrated forward, after a backup, by the steps in `MIGRATIONS`.
"""

from __future__ import annotations

import shutil
import tomllib
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from aleat.errors import FormatVersionError, WorkspaceError
from aleat.stix.ids import random_id
from aleat.stix.times import format_timestamp
from aleat.store.files import write_file
from aleat.store.lock import writer_lock
from aleat.store.migrations import add_custody, share_provenance

__all__ = [
    "CONFIG_NAME",
    "FORMAT",
    "MIGRATIONS",
    "Config",
    "check_zone",
    "find_workspace",
    "load_config",
    "new_config",
    "save_config",
]

CONFIG_NAME = "aleat.toml"

FORMAT = 3
"""The format version that this Aleat writes."""


def _add_custody(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Format 2: the collector's hashes, forgotten sources, issues by segment, countersignatures of the ledgers."""
    add_custody(folder / _DATABASE)
    return values


def _share_provenance(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Format 3: what many objects and copies share stands once; entries bind what was added, and no more."""
    share_provenance(folder / _DATABASE)
    return values


MIGRATIONS: dict[int, Callable[[Path, dict[str, Any]], dict[str, Any]]] = {
    1: _add_custody,
    2: _share_provenance,
}
"""Steps from format N to N + 1, by N: each takes the workspace's folder and its settings, and returns the new ones.

A step must bear being repeated: one that was cut off is run again from the start.
"""

_MAX_CONFIG = 1024 * 1024
_DATABASE = "aleat.db"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workspace's settings; `identity` is its organisation's STIX identity, `signing_key` its key's id."""

    format: int
    id: str
    name: str
    created: str
    organisation: str
    identity: str
    country: str = ""
    sector: str = ""
    zone: str = "UTC"
    signing_key: str
    signing_public: str
    age_recipient: str
    default_marking: str = "amber"
    """The TLP label that our own objects get, unless told otherwise (TLP 2.0, in lower case)."""
    database: str = ""
    """The URL of the PostgreSQL database, without a password; empty: the SQLite file in the folder."""


def new_config(
    *,
    name: str,
    organisation: str,
    created: datetime,
    signing_key: str,
    signing_public: str,
    age_recipient: str,
    identity: str = "",
    country: str = "",
    zone: str = "UTC",
    database: str = "",
) -> Config:
    """Return the settings of a new workspace."""
    return Config(
        format=FORMAT,
        id=str(uuid.uuid4()),
        name=name,
        created=format_timestamp(created),
        organisation=organisation,
        identity=identity or random_id("identity"),
        country=country,
        zone=zone,
        database=database,
        signing_key=signing_key,
        signing_public=signing_public,
        age_recipient=age_recipient,
    )


def save_config(folder: Path, config: Config) -> None:
    """Write `config` to the workspace at `folder`, whole or not at all."""
    lines = ["# A workspace of Aleat. Change zone, names and labels here; the rest belongs to the workspace."]
    lines += [f"{key} = {_toml(value)}" for key, value in msgspec.structs.asdict(config).items()]
    write_file(folder / CONFIG_NAME, "".join(f"{line}\n" for line in lines).encode())


def load_config(folder: Path) -> Config:
    """Return the settings of the workspace at `folder`, migrated forward if they are older.

    Raises `WorkspaceError` where there is no workspace or its file is damaged, `FormatVersionError` where a
    newer Aleat wrote it.
    """
    path = folder / CONFIG_NAME
    try:
        with path.open("rb") as file:
            values = tomllib.loads(file.read(_MAX_CONFIG).decode("utf-8"))
    except FileNotFoundError:
        raise WorkspaceError(f"There is no workspace at {folder}. Make one with: aleat init {folder}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkspaceError(f"{path} can't be read: {error}") from error
    version = values.get("format")
    if not isinstance(version, int):
        raise WorkspaceError(f"{path} has no format version.")
    if version > FORMAT:
        raise FormatVersionError(
            f"{folder} has format {version}; this Aleat knows formats up to {FORMAT}. Use the newer Aleat."
        )
    if version < FORMAT:
        values = _migrate(folder, values, version)
    try:
        config = msgspec.convert(values, Config)
        check_zone(config.zone)
    except (msgspec.ValidationError, WorkspaceError) as error:
        raise WorkspaceError(f"{path} has a wrong setting: {error}") from error
    return config


def check_zone(name: str) -> None:
    """Raise `WorkspaceError` where there is no time zone called `name`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise WorkspaceError(f"The time zone {name!r} is unknown. Give an IANA name, as Europe/Tirane.") from error


def find_workspace(start: Path) -> Path | None:
    """Return the nearest folder from `start` upward that holds a workspace."""
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    return None


def _migrate(folder: Path, values: dict[str, Any], version: int) -> dict[str, Any]:
    """Take the settings forward step by step, after a backup; one that was cut off is repeated from its start."""
    missing = [step for step in range(version, FORMAT) if step not in MIGRATIONS]
    if missing:
        raise FormatVersionError(f"{folder} has format {version}; there is no way from {missing[0]} to {FORMAT}.")
    with writer_lock(folder / "lock"):
        _back_up(folder, version)
        for step in range(version, FORMAT):
            values = {**MIGRATIONS[step](folder, values), "format": step + 1}
        try:
            save_config(folder, msgspec.convert(values, Config))
        except msgspec.ValidationError as error:
            raise WorkspaceError(f"{folder / CONFIG_NAME} has a wrong setting: {error}") from error
    return values


def _back_up(folder: Path, version: int) -> None:
    """Copy settings and database (with what its log still holds); an earlier backup is never written over."""
    number = 0
    ending = f".format-{version}"
    while (folder / f"{CONFIG_NAME}{ending}").exists():
        number += 1
        ending = f".format-{version}.{number}"
    for name in (_DATABASE, CONFIG_NAME):
        for log in ("", "-wal"):
            if (folder / f"{name}{log}").is_file():
                shutil.copy2(folder / f"{name}{log}", folder / f"{name}{ending}{log}")


def _toml(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in text) + '"'
