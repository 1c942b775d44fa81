"""What a pull ends is on no ally's shelf any more, also where it brings nothing new; what it brings back is again."""

from __future__ import annotations

from pathlib import Path

from tests.web.conftest import Served
from tests.workspace.test_pull import COMMIT, NEXT, archive, pulled

WHOLE = archive(COMMIT, a=(1, "x"), b=(2, "x"), c=(3, "x"))
LESS = archive(NEXT, a=(1, "x"), b=(2, "x"))


def rules(served: Served) -> set[str]:
    """The names of the rules that an ally sees."""
    found = served.ask(f"{served.collection()}objects/?match[type]=indicator&limit=1000").json["objects"]
    return {item["name"] for item in found if item["pattern_type"] == "sigma"}


def test_a_pull_that_only_removes_counts_at_once(served: Served, tmp_path: Path) -> None:
    """No object and no copy comes with it, and what it brings back was here all the time."""
    for data, seen in ((WHOLE, {"a", "b", "c"}), (LESS, {"a", "b"}), (LESS, {"a", "b"}), (WHOLE, {"a", "b", "c"})):
        (tmp_path / "rules.zip").write_bytes(data)
        assert pulled(served.ws, tmp_path).refused is None
        assert rules(served) == seen
