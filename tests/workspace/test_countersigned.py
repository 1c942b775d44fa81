"""The ledgers' heads, countersigned by an ally: not even the key's holder can rewrite or cut a ledger unseen."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aleat import Workspace
from aleat.errors import InputError, SignatureError, TrustError
from aleat.stix.canonical import canonical_json
from aleat.stix.times import format_timestamp
from aleat.trust.agreements import fingerprint
from aleat.trust.chain import GENESIS, make_entry
from aleat.trust.heads import MAX_PAGE, countersign_heads, read_head_page
from aleat.trust.keys import SigningKey
from tests.workspace.samples import write_logs
from tests.workspace.test_verify import changed, execute

TIME = datetime(2022, 7, 20, 12, tzinfo=UTC)


@dataclass
class Pair:
    """Two teams that compared their cards, and where their pages go."""

    south: Workspace
    north: Workspace
    folder: Path
    hours: int = 0

    def head(self) -> Path:
        """South's page, written at its hour."""
        return self.write("head", self.south.export_heads())

    def write(self, name: str, data: bytes) -> Path:
        """A page as a file."""
        self.hours += 1
        path = self.folder / f"{name}-{self.hours}.json"
        path.write_bytes(data)
        return path

    def countersigned(self) -> Path:
        """South's page, countersigned by North, and taken back in."""
        page = self.write("signed", self.north.countersign(self.head()))
        self.south.keep_countersignature(page)
        return page


def introduce(one: Workspace, other: Workspace, folder: Path, *, compare: bool = True) -> None:
    """Give one team the other's card."""
    card = folder / f"{other.config.name}.card"
    card.write_bytes(other.export_card())
    one.add_ally(card, compared=fingerprint(other.card()) if compare else None)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two teams, one with evidence."""
    with ExitStack() as stack:
        clock = iter(TIME + timedelta(hours=hour) for hour in range(1000))

        def team(name: str) -> Workspace:
            keys = tmp_path / f"{name}-keys"
            opened = Workspace.init(
                tmp_path / name, organisation=name, actor="agim", key_folder=keys, clock=lambda: next(clock)
            )
            return stack.enter_context(opened)

        pair = Pair(team("South"), team("North"), tmp_path)
        introduce(pair.south, pair.north, tmp_path)
        introduce(pair.north, pair.south, tmp_path)
        pair.south.add_evidence(write_logs(tmp_path / "logs"))
        yield pair


def rewrite_ledger(workspace: Workspace, ledger: str, change: Callable[[dict[str, object]], None]) -> None:
    """Do what the key's holder can: make the whole chain anew with other content, properly signed."""
    with workspace.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT seq, time, actor, kind, data FROM ledger_entries WHERE ledger = ? ORDER BY seq", (ledger,)
        ).fetchall()
    previous = GENESIS
    for seq, time, actor, kind, data in rows:
        content = json.loads(data)
        change(content)
        entry = make_entry(ledger, seq, time, actor, kind, content, previous, workspace.key)
        previous = entry.hash
        execute(
            workspace.folder,
            "UPDATE ledger_entries SET data = ?, previous = ?, hash = ?, signature = ? WHERE ledger = ? AND seq = ?",
            *(canonical_json(content), entry.previous, entry.hash, entry.signature, ledger, seq),
        )


def test_a_page_goes_there_and_back_and_verify_names_who_signed(pair: Pair) -> None:
    """Head, countersignature, back in: `verify` is green on both sides, and says by whom and when."""
    page = pair.countersigned()
    found = pair.south.verify(head=page)
    assert found.faults == ()
    assert [name.partition(" on ")[0] for name in found.countersigned] == ["North"]
    assert pair.north.verify().faults == ()
    assert pair.south.custody().countersigned[0].organisation == "North"
    pair.south.keep_countersignature(page)
    assert pair.south.verify().entries == found.entries, "the same page again says nothing new"


def test_a_ledger_that_its_key_holder_rewrote_is_found(pair: Pair) -> None:
    """The chain fits itself, every signature verifies: only the countersigned head tells."""
    pair.countersigned()

    def lie(content: dict[str, object]) -> None:
        if "ministry" not in str(content) and "added_by" in content:
            content["added_by"] = "somebody else"

    rewrite_ledger(pair.south, "custody", lie)
    for number in (1, 2, 3):
        execute(pair.south.folder, "UPDATE sources SET actor = 'somebody else' WHERE id = ?", number)
    faults = pair.south.verify().faults
    assert [fault.what for fault in faults] == ["countersigned"]
    assert "custody entry 6" in faults[0].name
    assert "differs" in faults[0].reason


def test_a_ledger_that_was_cut_and_its_page_removed_is_found_with_the_allys_copy(pair: Pair) -> None:
    """Whoever holds the key can take the page out too, and its entry; the ally's copy is what convicts."""
    page = pair.countersigned()
    execute(pair.south.folder, "DELETE FROM countersignatures")
    execute(pair.south.folder, "DELETE FROM ledger_entries WHERE ledger = 'exchange'")
    assert pair.south.verify().faults == ()
    assert pair.south.verify(head=page).faults == (), "it is the state that was signed"
    pair.south.set_roles("besa", ["analyst"])
    later = pair.write("later", pair.north.countersign(pair.head()))
    execute(pair.south.folder, "DELETE FROM people WHERE actor = 'besa'")
    execute(pair.south.folder, "DELETE FROM ledger_entries WHERE ledger = 'decisions' AND seq = 4")
    assert pair.south.verify().faults == (), "to itself it looks whole"
    assert pair.south.verify(head=later).faults
    with pytest.raises(TrustError, match="It was cut"):
        pair.north.countersign(pair.head())


def test_an_ally_refuses_what_goes_back_behind_its_signature(pair: Pair) -> None:
    """Another history at the same number of entries is told as such."""
    pair.north.countersign(pair.head())
    rewrite_ledger(pair.south, "custody", lambda content: content.update({"given_by": "nobody"}))
    with pytest.raises(TrustError, match="It was rewritten"):
        pair.north.countersign(pair.head())


def test_only_a_compared_ally_counts(tmp_path: Path, pair: Pair) -> None:
    """Neither a stranger's page is signed, nor a stranger's signature taken, nor one that nobody compared."""
    with Workspace.init(tmp_path / "Eve", organisation="Eve", actor="eve", key_folder=tmp_path / "eve-keys") as eve:
        page = pair.write("eve", eve.export_heads())
        with pytest.raises(TrustError, match="No ally here"):
            pair.north.countersign(page)
        introduce(pair.north, eve, tmp_path, compare=False)
        with pytest.raises(TrustError, match="compared the fingerprint"):
            pair.north.countersign(page)
        signed = countersign_heads(
            read_head_page(pair.head().read_bytes()),
            eve.key,
            identity=eve.config.identity,
            organisation="North",
            time=format_timestamp(TIME),
        )
        with pytest.raises(TrustError, match="No ally here"):
            pair.south.keep_countersignature(pair.write("forged", signed.encode()))


def test_a_page_that_nobody_signed_or_of_others_is_not_taken_in(pair: Pair) -> None:
    """The owner's own signature is no countersignature; another workspace's page is not ours."""
    with pytest.raises(TrustError, match="Nobody countersigned"):
        pair.south.keep_countersignature(pair.head())
    page = pair.write("signed", pair.north.countersign(pair.head()))
    with pytest.raises(TrustError, match="another workspace"):
        pair.north.keep_countersignature(page)
    with pytest.raises(TrustError, match="another workspace"):
        pair.north.verify(head=page)


def test_a_page_that_isnt_about_these_ledgers_is_not_taken_in(pair: Pair) -> None:
    """It was signed, then the ledger was rewritten, then somebody takes the page in."""
    page = pair.write("signed", pair.north.countersign(pair.head()))
    rewrite_ledger(pair.south, "custody", lambda content: content.update({"given_by": "nobody"}))
    with pytest.raises(TrustError, match="not those that were countersigned"):
        pair.south.keep_countersignature(page)


@pytest.mark.parametrize("name", ["sha256", "direction", "workspace", "kept", "page"])
def test_a_changed_page_is_found_on_both_sides(pair: Pair, name: str) -> None:
    """Every column of the row is bound to its entry."""
    pair.countersigned()
    for team in (pair.south, pair.north):
        with team.read() as connection:
            value = connection.exec_driver_sql(f"SELECT {name} FROM countersignatures").fetchone()[0]  # type: ignore[index]  # noqa: S608
        execute(team.folder, f"UPDATE countersignatures SET {name} = ?", changed(value))  # noqa: S608
        assert "countersigned" in {fault.what for fault in team.verify().faults}
        execute(team.folder, "DELETE FROM countersignatures")
        assert [fault.reason for fault in team.verify().faults] == ["The ledger names it, and its row is gone."]


def test_any_changed_byte_of_a_page_is_found(pair: Pair) -> None:
    """It is no page any more, or a signature doesn't verify: nothing is taken from it."""
    page = pair.north.countersign(pair.head())
    for at in range(0, len(page), 7):
        if not chr(page[at]).isspace():
            data = bytearray(page)
            data[at] ^= 1
            with pytest.raises((InputError, SignatureError)):
                read_head_page(bytes(data))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 5000, b"null", b'{"statement": 7}', b"\xff\xfe", b" " * (MAX_PAGE + 1)]
)
def test_what_is_no_page_is_refused_with_advice(data: bytes) -> None:
    """No crash, whatever it is."""
    with pytest.raises(InputError):
        read_head_page(data, "page.json")


def test_a_signature_over_heads_is_worth_nothing_elsewhere(pair: Pair) -> None:
    """The owner's signature put in place of a countersignature doesn't verify: they are for other purposes."""
    page = json.loads(pair.north.countersign(pair.head()))
    page["countersignatures"][0]["signature"] = page["signature"]
    page["countersignatures"][0]["key"] = page["statement"]["key"]
    with pytest.raises(SignatureError):
        read_head_page(json.dumps(page).encode())


def test_several_allies_sign_one_page(tmp_path: Path, pair: Pair) -> None:
    """The second one signs beside the first; each must be an ally."""
    with Workspace.init(tmp_path / "East", organisation="East", actor="e", key_folder=tmp_path / "east-keys") as east:
        introduce(pair.south, east, tmp_path)
        introduce(east, pair.south, tmp_path)
        first = pair.write("one", pair.north.countersign(pair.head()))
        both = pair.write("two", east.countersign(first))
        pair.south.keep_countersignature(both)
        assert {name.partition(" on ")[0] for name in pair.south.verify().countersigned} == {"North", "East"}
        assert isinstance(east.key, SigningKey)
