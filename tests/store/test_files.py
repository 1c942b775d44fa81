"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from aleat.store.files import replacing, temporary_path, write_file


def test_a_file_is_written_over_and_nothing_else_is_left(tmp_path: Path) -> None:
    """Also where a kill left half of one under the temporary name."""
    path = tmp_path / "case.json"
    write_file(path, b"first")
    temporary_path(path).write_bytes(b"half of something longer")
    write_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    """Whole, and nothing beside it."""
    path = tmp_path / "report.html"
    write_file(path, b"before")

    def fails() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fails()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_needs_its_folder(tmp_path: Path) -> None:
    """The system's error says so."""
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "absent" / "a", b"")
