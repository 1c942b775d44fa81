"""Bad input, each kind named by its fault: functions that write it into a folder, or return its bytes."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

from tests.evidence.evtx_writer import CHUNK, FILE_HEADER
from tests.workspace.samples import RULE, evtx


def empty_folder(folder: Path) -> Path:
    """A folder with nothing in it."""
    path = folder / "empty"
    path.mkdir()
    return path


def empty_file(folder: Path) -> Path:
    """A file with nothing in it."""
    return _write(folder, "nothing.evtx", b"")


def no_knowledge(folder: Path) -> Path:
    """A file that is no knowledge of any kind."""
    return _write(folder, "noise.bin", bytes(range(256)) * 10)


def small_deep_bundle(folder: Path) -> Path:
    """A bundle with two million levels."""
    return deep_bundle(folder / "deep.json", 2_000_000)


def links_in_a_circle(folder: Path) -> Path:
    """Two links that lead to each other."""
    (folder / "one.evtx").symlink_to(folder / "two.evtx")
    (folder / "two.evtx").symlink_to(folder / "one.evtx")
    return folder / "one.evtx"


def climbing_rules_zip(folder: Path) -> Path:
    """An archive of a rule that wants to be written outside."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../climbed.yml", RULE)
    return _write(folder, "climbs.zip", stream.getvalue())


def truncated_evtx(folder: Path) -> Path:
    """An EVTX file that ends in the middle of its second chunk."""
    return _write(folder, "truncated.evtx", evtx()[: FILE_HEADER + CHUNK + 20_000])


def zeroed_chunk_evtx(folder: Path) -> Path:
    """An EVTX file whose first chunk is all zeros."""
    data = bytearray(evtx())
    data[FILE_HEADER : FILE_HEADER + CHUNK] = bytes(CHUNK)
    return _write(folder, "zeroed.evtx", bytes(data))


def text_named_evtx(folder: Path) -> Path:
    """A text file with the wrong name."""
    return _write(folder, "notes.evtx", b"These are my notes on the incident.\n" * 20)


def wrong_encoding_log(folder: Path) -> Path:
    """Windows events as JSON lines in UTF-16 without a byte order mark, cut in the middle of a character."""
    return _write(
        folder, "wrong-encoding.jsonl", '{"Event": {"System": {"Channel": "Sécurité"}}}\n'.encode("utf-16-le")[:-1]
    )


def broken_rule(folder: Path) -> Path:
    """A Sigma rule whose YAML breaks in line 8."""
    return _write(folder, "broken.yml", RULE.replace("    category: process", "    category: [process").encode())


def wrong_condition_rule(folder: Path) -> Path:
    """A Sigma rule whose condition names a selection that isn't there."""
    return _write(folder, "wrong-condition.yml", RULE.replace("condition: selection", "condition: selektion").encode())


def exploding_zip(folder: Path) -> Path:
    """An archive that says it has 2 GB of zeros in a kilobyte."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.evtx", bytes(1_000_000))
    size, stated = (1_000_000).to_bytes(4, "little"), (2_000_000_000).to_bytes(4, "little")
    return _write(folder, "explodes.zip", stream.getvalue().replace(size, stated))


def climbing_zip(folder: Path) -> Path:
    """An archive whose member wants to be written outside."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../climbed.evtx", evtx())
        archive.writestr("/climbed-too.evtx", evtx())
    return _write(folder, "climbs.zip", stream.getvalue())


def broken_zip(folder: Path) -> Path:
    """An archive whose end is missing."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("pc1.evtx", evtx())
    return _write(folder, "broken.zip", stream.getvalue()[:-40])


def symlink_loop(folder: Path) -> Path:
    """A folder that holds a link to itself."""
    path = folder / "loop"
    path.mkdir()
    (path / "again").symlink_to(path, target_is_directory=True)
    return path


def dangling_link(folder: Path) -> Path:
    """A link to a file that isn't there."""
    path = folder / "gone.evtx"
    path.symlink_to(folder / "nowhere.evtx")
    return path


def file_without_permission(folder: Path) -> Path:
    """A file that its reader may not open."""
    path = _write(folder, "locked.evtx", evtx())
    path.chmod(0)
    return path


def named_pipe(folder: Path) -> Path:
    """A pipe that nobody writes to: opening it would wait for ever."""
    path = folder / "pipe.evtx"
    os.mkfifo(path)
    return path


def bad_magic_evtx(folder: Path) -> Path:
    """An EVTX file whose file header is broken; its chunks are sound."""
    data = bytearray(evtx())
    struct.pack_into("<Q", data, 0, 0)
    return _write(folder, "bad-magic.evtx", bytes(data))


def deep_bundle(path: Path, size: int) -> Path:
    """A bundle of `size` bytes of nesting."""
    with path.open("wb") as file:
        file.write(b'{"type": "bundle", "id": "bundle--11111111-1111-4111-8111-000000000099", "objects": [')
        for _ in range(size // 1_000_000 + 1):
            file.write(b'{"a":[' * (1_000_000 // 6))
    return path


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
