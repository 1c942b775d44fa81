"""An open workspace: its folder, settings, database, keys, actor and clock, and the one-writer lock.

```
case/
  aleat.toml      settings and format version
  aleat.db        objects, decisions, ledgers, the register of sources and segments (or a PostgreSQL database)
  segments/       events, one Parquet file a segment
  evidence/       copies of evidence, by their hash (only with --copy)
  lists/          entries of indicator lists
  reports/        what `report` wrote
  cache/          what can be made again: the index of values, compiled plans, prepared lists
```

Keys are kept elsewhere (`aleat.store.keyring`). What every room needs of a workspace is in `Session`; the
verbs of the front door are built on it, one file a verb's family.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from aleat.errors import TrustError, WorkspaceError
from aleat.store.allies import find_ally, read_allies
from aleat.store.database import Connection, Database
from aleat.store.decisions import read_people, set_roles
from aleat.store.dialects import check_url
from aleat.store.files import temporary_path, write_file
from aleat.store.keyring import (
    default_key_folder,
    load_private_text,
    load_signing_key,
    save_private_text,
    save_signing_key,
)
from aleat.store.ledger import LEDGERS, append_entry, export_ledger, ledger_head
from aleat.store.lock import writer_lock
from aleat.trust.agreements import AllyCard
from aleat.trust.chain import Head
from aleat.trust.corpora import CorpusPolicy, policy_bytes, sign_policy, verify_policy
from aleat.trust.keys import AgeKey, PublicKey, SigningKey
from aleat.trust.openpgp import PgpKey
from aleat.workspace.config import CONFIG_NAME, check_zone, load_config, new_config, save_config

__all__ = ["Session", "default_actor", "giver_id"]

Clock = Callable[[], datetime]

POLICY_NAME, SIGNATURE_NAME = "corpora.toml", "corpora.toml.jws"
"""The workspace's policy on public corpora, and its own key's signature over it."""

_PATIENCE_SECONDS = 3.0

_IDENTITY = re.compile(r"identity--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATABASE = "aleat.db"
_PARTS = {_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm", POLICY_NAME, SIGNATURE_NAME}
_PARTS |= {temporary_path(Path(name)).name for name in (POLICY_NAME, SIGNATURE_NAME, CONFIG_NAME)}
_FOLDERS = ("segments", "lists", "evidence", "reports")


def default_actor() -> str:
    """Return `$ALEAT_ACTOR`, else the name of the user who runs this."""
    if actor := os.environ.get("ALEAT_ACTOR"):
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Session:
    """An open workspace, as the verbs need it. Use it as a context manager, or `close` it."""

    def __init__(self, folder: Path, *, actor: str | None, key_folder: Path | None, clock: Clock | None) -> None:
        self.folder = folder
        self.config = load_config(folder)
        self.actor = actor or default_actor()
        self.key_folder = key_folder or default_key_folder()
        self._clock = clock or (lambda: datetime.now(UTC))
        self.database = _open_database(folder, self.config.database)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        actor: str | None = None,
        key_folder: Path | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Open the workspace in the folder `path`.

        `actor` is who acts (default: `default_actor`), `clock` gives the time for what is recorded. Raises
        `WorkspaceError` where there is none, `FormatVersionError` where a newer Aleat wrote it.
        """
        return cls(Path(path), actor=actor, key_folder=key_folder, clock=clock)

    @classmethod
    def init(
        cls,
        path: str | Path,
        *,
        organisation: str = "",
        actor: str | None = None,
        key_folder: Path | None = None,
        clock: Clock | None = None,
        identity: str = "",
        country: str = "",
        zone: str = "UTC",
        database: str = "",
    ) -> Self:
        """Make a new workspace in the folder `path` (absent or empty) with keys of its own, and open it.

        `identity` is the team's STIX identity, where it has one already; a new one is made otherwise. `database` is
        the URL of a PostgreSQL database, or schema, that holds no workspace yet (default: a file in the folder).
        """
        if identity and not _IDENTITY.fullmatch(identity):
            raise WorkspaceError(f"{identity[:60]!r} is no id of a STIX identity (identity--UUID).")
        check_zone(zone)
        place = check_url(database) if database else ""
        folder = Path(path)
        _clear_place(folder)
        opened = _open_database(folder, place)
        if place and opened.is_taken():
            opened.close()
            raise WorkspaceError("The database holds a workspace already. Name another database, or another schema.")
        keys = key_folder or default_key_folder()
        signing, age = SigningKey.generate(), AgeKey.generate()
        now = (clock or (lambda: datetime.now(UTC)))()
        organisation = organisation or folder.resolve().name
        config = new_config(
            name=_short_name(organisation),
            organisation=organisation,
            identity=identity,
            country=country,
            zone=zone,
            database=place,
            created=now,
            signing_key=signing.key_id,
            signing_public=signing.public.text,
            age_recipient=age.recipient,
        )
        save_signing_key(keys, signing)
        save_private_text(keys, f"{signing.key_id}.age", age.text)
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        opened.create_tables()
        who = actor or default_actor()
        with opened.write() as connection:
            facts = {"workspace": config.id, "key": signing.public.text, "organisation": organisation}
            append_entry(connection, "decisions", "init", facts, actor=who, time=now, key=signing)
            roles = ("analyst", "releaser", "administrator")
            set_roles(connection, who, roles, actor=who, time=now, key=signing)
        opened.close()
        policy = policy_bytes()
        write_file(folder / POLICY_NAME, policy)
        write_file(folder / SIGNATURE_NAME, sign_policy(policy, signing).encode("ascii"))
        save_config(folder, config)
        return cls(folder, actor=who, key_folder=keys, clock=clock)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------- what the verbs need

    def now(self) -> datetime:
        """Return the time for what is recorded now (aware, UTC)."""
        return self._clock()

    @cached_property
    def key(self) -> SigningKey:
        """The workspace's signing key."""
        return load_signing_key(self.key_folder, self.config.signing_key)

    @cached_property
    def age_key(self) -> AgeKey:
        """The key with which sealed files for us are opened."""
        return AgeKey(load_private_text(self.key_folder, f"{self.config.signing_key}.age"))

    @property
    def openpgp_key(self) -> PgpKey | None:
        """The OpenPGP key with which sealed files for us are opened too, where there is one."""
        name = f"{self.config.signing_key}.pgp"
        if not (self.key_folder / name).is_file():
            return None
        return PgpKey.from_bytes(load_private_text(self.key_folder, name).encode())

    @property
    def public_keys(self) -> dict[str, PublicKey]:
        """The public keys that may have signed this workspace's ledgers, by their id."""
        public = PublicKey.from_text(self.config.signing_public)
        return {public.key_id: public}

    @contextmanager
    def writing(self, patience: float = _PATIENCE_SECONDS) -> Iterator[None]:
        """Hold the workspace's writer lock; raises `WorkspaceBusyError` if another process has it, on any host.

        A server writes often, and not for long: on this machine it is waited for, `patience` seconds.
        """
        with writer_lock(self.folder / "lock", patience), self.database.writer():
            yield

    def read(self) -> AbstractContextManager[Connection]:
        """Return a connection for reading."""
        return self.database.read()

    def write(self) -> AbstractContextManager[Connection]:
        """Return a connection in one transaction."""
        return self.database.write()

    def policy(self) -> CorpusPolicy:
        """Return the policy on public corpora; raises `SignatureError` where it was changed and not signed again."""
        try:
            data = (self.folder / POLICY_NAME).read_bytes()
            signature = (self.folder / SIGNATURE_NAME).read_text(encoding="ascii")
        except FileNotFoundError as error:
            raise TrustError(f"The workspace's policy on public corpora is absent: {error.filename}.") from None
        return verify_policy(data, signature, self.public_keys.values())

    # ---------------------------------------------------------------------------------- small verbs

    def card(self) -> AllyCard:
        """Return what this workspace's team says about itself to allies."""
        config = self.config
        openpgp = self.openpgp_key
        return AllyCard(
            identity=config.identity,
            name=config.name,
            organisation=config.organisation,
            country=config.country,
            sectors=(config.sector,) if config.sector else (),
            signing_key=config.signing_public,
            age_recipient=config.age_recipient,
            issued=config.created,
            openpgp=openpgp.certificate.text if openpgp is not None else "",
        )

    def heads(self) -> tuple[Head, ...]:
        """Return the heads of all ledgers; keep them where the workspace isn't."""
        with self.read() as connection:
            return tuple(ledger_head(connection, ledger) for ledger in LEDGERS)

    def export_ledgers(self) -> Iterator[bytes]:
        """Yield all ledgers as JSON lines."""
        with self.read() as connection:
            for ledger in LEDGERS:
                yield from export_ledger(connection, ledger)

    def names(self, connection: Connection) -> dict[str, str]:
        """Return what identities are called: ours and our allies'."""
        known = {ally.card.identity: ally.card.name for ally in read_allies(connection)}
        return {**known, self.config.identity: self.config.organisation}

    def people(self) -> dict[str, tuple[str, ...]]:
        """Return everybody's roles."""
        with self.read() as connection:
            return read_people(connection)


def giver_id(session: Session, connection: Connection, giver: str | None) -> str:
    """Return the identity of the ally called `giver`, ours where nobody is named, else the name as it is."""
    if giver is None:
        return session.config.identity
    try:
        return find_ally(connection, giver).card.identity
    except TrustError:
        return giver


def _open_database(folder: Path, url: str) -> Database:
    """Open the database of the workspace at `folder`: the file in it, or the one at `url`."""
    return Database(url) if url else Database.at(folder / _DATABASE)


def _clear_place(folder: Path) -> None:
    """Remove what an `init` that was cut off left at `folder`; raises `WorkspaceError` where anything else is there."""
    if not folder.exists():
        return
    if (folder / CONFIG_NAME).is_file():
        raise WorkspaceError(f"{folder} is a workspace already. Name another folder.")
    for path in folder.iterdir():
        ours = path.name in _PARTS or (path.name in _FOLDERS and path.is_dir() and not any(path.iterdir()))
        if not ours:
            raise WorkspaceError(f"{folder} is not empty. Name another folder.")
    for name in _PARTS:
        (folder / name).unlink(missing_ok=True)


def _short_name(organisation: str) -> str:
    return re.sub("[^a-z0-9]+", "-", organisation.casefold()).strip("-")[:40] or "team"
