"""The guides do what they say: their commands run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.simulation import load

GUIDES = Path(__file__).resolve().parents[1] / "docs" / "guides"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's simulation, small."""
    folder: Path = tmp_path_factory.mktemp("example")
    load().build(folder, scale=0.02)
    return folder


def run(script: str, folder: Path, **environment: str) -> str:
    """Run a guide's commands in one shell, and return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    keep = {name: value for name, value in os.environ.items() if not name.startswith("ALEAT_")}
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env={**keep, "PATH": path, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="the guides' blocks are for a POSIX shell")
@pytest.mark.parametrize("guide", sorted(path.name for path in GUIDES.glob("*.md")))
def test_a_guide_can_be_typed_as_it_stands(guide: str, example: Path, tmp_path: Path) -> None:
    """Every block of a guide runs, one after the other, and none fails."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert blocks
    said = run("\n".join(blocks), tmp_path, EXAMPLE=str(example))
    if guide == "aid-between-two-teams.md":
        for text in ("closed", "not-seen", "havenwatch may permit", "permitted", "permission (", "inquiry", "revoked"):
            assert text in said, text
    if guide == "aid-over-taxii.md":
        for text in ("closed", "not-seen", "sealed files sent", "withdrawn: by cert-aleat", "Everything fits"):
            assert text in said, text
