"""Take pictures of a report with a real browser: at 1280 and 390 pixels wide, and as printed.

Usage: python docs/picture.py [REPORT.html] [FOLDER]. Needs Chromium on PATH (or in $CHROMIUM). The report is
opened from disk, without network; the browser runs headless with a fresh profile and is ended by a time limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT_REPORT = HERE.parent / "examples" / "albania-2022" / "out" / "case" / "reports" / "report.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 60


def find_browser() -> str | None:
    """Return the path of a Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in BROWSERS if (path := shutil.which(name))), None)


def browse(browser: str, page: Path, *arguments: str) -> None:
    """Open `page` from disk with the given arguments, in a profile that is thrown away."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", *arguments, page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)  # noqa: S603


def take_pictures(browser: str, page: Path, folder: Path) -> tuple[Path, Path, Path]:
    """Write ``report.png`` (1280 wide), ``report-390.png`` and ``report.pdf`` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    wide, narrow, printed = folder / "report.png", folder / "report-390.png", folder / "report.pdf"
    browse(browser, page, "--window-size=1280,1080", f"--screenshot={wide.resolve()}")
    # Headless Chromium's window is at least 500 wide: a frame of 390 shows what a telephone shows.
    with tempfile.TemporaryDirectory() as temporary:
        frame = Path(temporary) / "frame.html"
        source = page.resolve().as_uri()
        frame.write_text(
            f'<body style="margin:0"><iframe src="{source}" width="390" height="1600" style="border:0"></iframe>',
            encoding="utf-8",
        )
        browse(browser, frame, "--window-size=520,1600", f"--screenshot={narrow.resolve()}")
    browse(browser, page, "--no-pdf-header-footer", f"--print-to-pdf={printed.resolve()}")
    return wide, narrow, printed


def main() -> int:
    """Take the pictures that the command line names."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_REPORT
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "pictures"
    browser = find_browser()
    if browser is None:
        print("No Chromium found. On Debian and Ubuntu: sudo apt-get install chromium", file=sys.stderr)
        return 1
    if not page.is_file():
        print(f"{page} is not there. Make it first: make investigate", file=sys.stderr)
        return 1
    for picture in take_pictures(browser, page, folder):
        print(picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
