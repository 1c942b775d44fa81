"""`python -m aleat`: the command line."""

from __future__ import annotations

from aleat.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
