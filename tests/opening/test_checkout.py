"""Which commit a checkout is at, by git's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aleat.opening.checkout import Checkout, is_bare_repository, read_checkout

COMMIT = "0123456789abcdef" * 2 + "01234567"
OTHER = "f" * 40


def checkout(folder: Path, **files: str) -> Path:
    (folder / ".git" / "refs" / "heads").mkdir(parents=True)
    for name, text in files.items():
        path = folder / ".git" / name.replace("__", "/")
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("fault", "files", "expected"),
    [
        ("a branch", {"HEAD": "ref: refs/heads/main\n", "refs__heads__main": f"{COMMIT}\n"}, Checkout(COMMIT, "main")),
        ("no branch", {"HEAD": f"{COMMIT}\n"}, Checkout(COMMIT, "")),
        ("sha256", {"HEAD": "a" * 64}, Checkout("a" * 64, "")),
        (
            "packed",
            {
                "HEAD": "ref: refs/heads/main",
                "packed-refs": f"# pack\n{OTHER} refs/heads/x\n{COMMIT} refs/heads/main\n",
            },
            Checkout(COMMIT, "main"),
        ),
        ("no commit yet", {"HEAD": "ref: refs/heads/main"}, Checkout("", "main")),
        ("climbing", {"HEAD": "ref: refs/heads/../../../secret"}, Checkout("", "")),
        ("not a ref", {"HEAD": "ref: config", "config": COMMIT}, Checkout("", "")),
        ("noise", {"HEAD": "\udcff"}, Checkout("", "")),
        ("too long", {"HEAD": f"{COMMIT}\n" + " " * 5000}, Checkout("", "")),
        ("nothing", {}, Checkout("", "")),
    ],
)
def test_the_commit_is_read_or_left_open(tmp_path: Path, fault: str, files: dict[str, str], expected: Checkout) -> None:
    """What isn't in the form that git writes is not taken for a commit."""
    try:
        folder = checkout(tmp_path, **files)
    except UnicodeEncodeError:
        folder = tmp_path
        (folder / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert read_checkout(folder) == expected, fault


def test_a_link_out_of_gits_folder_is_not_followed(tmp_path: Path) -> None:
    """Whatever it leads to."""
    (tmp_path / "secret").write_text(COMMIT)
    folder = checkout(tmp_path / "work", HEAD="ref: refs/heads/main")
    (folder / ".git" / "refs" / "heads" / "main").symlink_to(tmp_path / "secret")
    assert read_checkout(folder) == Checkout("", "main")


def test_a_worktree_has_a_commit_that_is_not_in_it(tmp_path: Path) -> None:
    """Its files lie elsewhere, where nobody pointed us to."""
    (tmp_path / ".git").write_text("gitdir: /elsewhere")
    assert read_checkout(tmp_path) == Checkout("", "")


def test_what_is_no_checkout_has_none(tmp_path: Path) -> None:
    """A folder is only a folder."""
    assert read_checkout(tmp_path) is None
    assert not is_bare_repository(tmp_path)


def test_it_is_said_in_words() -> None:
    """With the branch where there is one."""
    assert str(Checkout(COMMIT, "main")) == f"commit {COMMIT} (main)"
    assert str(Checkout("", "")) == "a commit that its files don't name"
