"""Makes the small case as an archive, so that later versions are tested on what this one wrote.

``python -m tests.workspace.old.make FILE.tar.xz`` in a tree of the version that is to be kept. Everything in it is
generated (`tests.workspace.samples`); its signing key is made from a constant, and lies in no file.

====================  ========  =============================================
file                  commit    what is in it
====================  ========  =============================================
``format-1.tar.xz``   f986eb8   knowledge, evidence (copied and by reference, a member of a zip archive, an
                                encoding's note), a hunt, roles, a hold
``format-2.tar.xz``   211523c   the same
====================  ========  =============================================
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aleat import Workspace
from aleat.trust.keys import SigningKey
from tests.workspace.samples import access_log, json_lines, write_logs, write_pack, zipped

__all__ = ["signing_key"]

TIME = datetime(2022, 7, 20, 12, tzinfo=UTC)


def signing_key() -> SigningKey:
    """The key of every archive here."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


class _ConstantKey(SigningKey):
    """Generates what `signing_key` gives."""

    @classmethod
    def generate(cls) -> SigningKey:
        return signing_key()


def make(target: Path) -> None:
    """Build the case in a temporary folder, and write it to `target`."""
    from aleat.workspace import core  # noqa: PLC0415

    core.SigningKey = _ConstantKey  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # paths as given are short, and name no machine
        logs, pack, more = write_logs(Path("logs")), write_pack(Path("pack")), Path("more")
        more.mkdir()
        (more / "old.zip").write_bytes(zipped({"a/pc3.jsonl": json_lines(host="pc3.example")}))
        (more / "tirana_access.log").write_bytes(access_log(20) + access_log(1).replace(b"/faqe/", b"/fa\xe7e/"))
        keys = Path("keys")
        with Workspace.init("case", organisation="Team South", actor="agim", key_folder=keys, clock=lambda: TIME) as ws:
            ws.add_knowledge(pack, giver="north")
            ws.add_evidence(logs, copy=True, giver="ministry")
            ws.add_evidence(more)
            ws.hunt(workers=1)
            ws.set_roles("besa", ["analyst"])
            ws.hold(["indicator--11111111-1111-4111-8111-000000000001"], "legal-hold", "court")
            assert ws.verify().faults == ()
        with tarfile.open(target, "w:xz", preset=9) as archive:
            for path in sorted(Path("case").rglob("*")):
                if path.name not in ("lock", "aleat.db-shm", "aleat.db-wal") and "cache" not in path.parts:
                    archive.add(path, recursive=False, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(TIME.timestamp())
    return member


if __name__ == "__main__":
    make(Path(sys.argv[1]).absolute())
