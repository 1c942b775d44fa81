"""``python -m tests.fuzz TARGET [--seconds 600 | --count N] [--seed N] [--findings DIR] [--data DIR]``.

``--input FILE`` runs one input again, as findings say it. Ends with 1 where there was a finding.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.runner import run
from tests.fuzz.targets import TARGETS, make_target


def main() -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz one target.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--data", type=Path, help="folder of real samples to mutate, beside the target's own")
    parser.add_argument("--input", type=Path)
    options = parser.parse_args()
    with make_target(options.target, options.data) as target:
        if options.input is not None:
            target.check(options.input.read_bytes())
            return 0
        seconds = None if options.count is not None else options.seconds
        report = run(target, options.findings, seed=options.seed, count=options.count, seconds=seconds)
    print(report)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
