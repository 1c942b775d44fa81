"""Write the simulated case "albania-2022" into a folder. A simulation, not a record: see README.md beside this file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulation import build


def main() -> None:
    """Read the command line, write the example, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent / "out")
    parser.add_argument("--seed", type=int, default=2022, help="another seed is another background (default 2022)")
    parser.add_argument("--scale", type=float, default=1.0, help="times the benign background (default 1)")
    options = parser.parse_args()
    started = time.perf_counter()
    known = build(options.folder, seed=options.seed, scale=options.scale)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    total, taken = known["events"]["total"], time.perf_counter() - started
    print(f"{total:,} events, {size / 1e6:.0f} MB, in {taken:.1f} s: {options.folder}")


if __name__ == "__main__":
    main()
