"""What the page on the lake says can be done is done, as it stands there."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.workspace.conftest import Built, make

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The small case of the workspace's tests, in a folder that is called as in the docs."""
    return make(tmp_path_factory.mktemp("docs"))


def test_the_lake_opens_as_an_arrow_dataset(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's program runs, and counts what the workspace counts."""
    (program,) = re.findall(r"```python\n(.*?)```", (DOCS / "concepts/lake.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(built.folder.parent)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program, "lake.md", "exec"), {})  # noqa: S102 (our own page)
    with built.open() as ws:
        counts = {(row.format, row.field): row.events for row in ws.fields()}
        total = sum(row.records for row in ws.sources())
    assert said.getvalue().split() == [str(total), str(counts["windows", "event_id"])]


def test_the_page_names_every_kind_and_fixed_column() -> None:
    """As `aleat.evidence.batch` has them."""
    from aleat.evidence.batch import FIXED_SCHEMA, KINDS  # noqa: PLC0415

    page = (DOCS / "concepts/lake.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FIXED_SCHEMA.names)
    assert all(f"| `{kind}` |" in page for kind in KINDS)
