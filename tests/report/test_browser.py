"""The report in a real browser: at two widths, and as printed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from aleat.report import render_html
from tests.report.cases import full_report

pytestmark = pytest.mark.browser

_SPEC = importlib.util.spec_from_file_location("picture", Path(__file__).resolve().parents[2] / "docs" / "picture.py")
assert _SPEC
assert _SPEC.loader
picture = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(picture)

MEASURE = """<body style="margin:0"><iframe id="f" src="{page}" width="{width}" height="900" style="border:0"></iframe>
<script>
document.getElementById("f").onload = function () {{
  var d = this.contentDocument.documentElement;
  document.title = "measured " + d.scrollWidth + " " + d.scrollHeight;
}};
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium, or a skip that is counted."""
    found = picture.find_browser()
    if found is None:
        pytest.skip("no Chromium here")
    return str(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full report on disk; a name in it has no place to break."""
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render_html(full_report()).replace(b"task Updater", b"HealthMailbox" + b"0" * 90))
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_never_scrolls_sideways(browser: str, page: Path, width: int, tmp_path: Path) -> None:
    """Wide tables scroll in their own box; the page itself fits."""
    frame = page.parent / f"frame-{width}.html"
    frame.write_text(MEASURE.format(page=page.resolve().as_uri(), width=width), encoding="utf-8")
    command = [
        browser,
        *picture.FLAGS,
        f"--user-data-dir={tmp_path}",
        "--allow-file-access-from-files",
        "--window-size=1400,1000",
        "--dump-dom",
        frame.resolve().as_uri(),
    ]
    dom = subprocess.run(command, check=True, capture_output=True, timeout=60, text=True).stdout
    measured = re.search(r"measured (\d+) (\d+)", dom)
    assert measured
    assert int(measured[1]) <= width
    assert int(measured[2]) > 900


def test_pictures_and_print_come_out(browser: str, page: Path, tmp_path: Path) -> None:
    """The recipe for the README's picture works, and the page prints."""
    wide, narrow, printed = picture.take_pictures(browser, page, tmp_path)
    assert wide.read_bytes()[:8] == narrow.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert wide.stat().st_size > 20_000
    assert printed.read_bytes()[:5] == b"%PDF-"
