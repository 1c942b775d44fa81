"""A small fuzzer: seeded inputs, one after the other, each with its own limit of run time.

A `Target` makes an input (bytes) of a random generator and checks one: whatever `check` raises is a finding, and
so is an input that takes more processor time than the target's limit, twice. Input number n of a seed is always
the same. A finding is kept as ``<folder>/<target>-<digest>/input`` with ``why.txt``, which says how to run it
again. While an input runs it stands in ``<folder>/<target>.running``, and a watchdog ends a process that hangs
with the stack of every thread: what kills the interpreter can be run again too.
"""

from __future__ import annotations

import faulthandler
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count as counting
from pathlib import Path
from typing import Protocol

__all__ = ["Finding", "Report", "Target", "run"]

_KEPT = 3
"""Of findings with the same cause, so many are kept."""
_HANG = 600
"""The watchdog bites after so many seconds by the clock: a busy machine is no hang."""


class Target(Protocol):
    """Something to fuzz. `limit` is in seconds of processor time for one input."""

    name: str
    limit: float

    def make(self, rng: random.Random) -> bytes:
        """Make an input."""
        ...

    def check(self, data: bytes) -> None:
        """Run an input; raise where something is wrong. Must depend on `data` alone."""
        ...


@dataclass(frozen=True)
class Finding:
    """What was found: its cause in a few words, the input, and the traceback."""

    cause: str
    data: bytes
    text: str
    number: int


@dataclass
class Report:
    """What a run did."""

    target: str
    seed: int
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [
            f"{self.target}: {self.inputs:,} inputs of seed {self.seed} in {self.seconds:.0f} s, "
            f"the slowest {self.slowest:.2f} s; {sum(self.causes.values())} findings, {len(self.causes)} causes"
        ]
        return "\n".join([*lines, *(f"  {number} x {cause}" for cause, number in self.causes.most_common())])


def run(
    target: Target, folder: Path, *, seed: int = 0, count: int | None = None, seconds: float | None = None
) -> Report:
    """Run `count` inputs, or as many as `seconds` give (wall clock), and return what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    running = folder / f"{target.name}.running"
    report = Report(target.name, seed)
    started = time.monotonic()
    for number in _numbers(count, seconds, started):
        data = target.make(random.Random(f"{target.name} {seed} {number}"))  # noqa: S311 - repeatable, no secret
        running.write_bytes(data)
        faulthandler.dump_traceback_later(_HANG, exit=True, file=sys.__stderr__)
        try:
            finding = _run_one(target, data, number, report)
        finally:
            faulthandler.cancel_dump_traceback_later()
        report.inputs += 1
        if finding is not None:
            report.causes[finding.cause] += 1
            if report.causes[finding.cause] <= _KEPT:
                report.findings.append(finding)
                _keep(folder, target.name, seed, finding)
    running.unlink(missing_ok=True)
    report.seconds = time.monotonic() - started
    return report


def _numbers(count: int | None, seconds: float | None, started: float) -> Iterator[int]:
    for number in counting():
        if (count is not None and number >= count) or (seconds is not None and time.monotonic() - started >= seconds):
            return
        yield number


def _run_one(target: Target, data: bytes, number: int, report: Report) -> Finding | None:
    spent = 0.0
    for _ in range(2):  # what is slow the first time only was a library's start
        started = time.process_time()
        try:
            target.check(data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            return Finding(_cause(error), data, traceback.format_exc(limit=-30), number)
        spent = time.process_time() - started
        if spent <= target.limit:
            report.slowest = max(report.slowest, spent)
            return None
    return Finding(f"slow: over {target.limit} s", data, f"It took {spent:.1f} s of processor time.\n", number)


def _cause(error: BaseException) -> str:
    """Name an error by its type and the innermost place in this project."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/aleat/" in frame.filename or "/fuzz/" in frame.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    words = str(error).split("\n")[0] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} at {place} {words[:60]}".rstrip()


def _keep(folder: Path, target: str, seed: int, finding: Finding) -> None:
    kept = folder / f"{target}-{sha256(finding.data).hexdigest()[:12]}"
    kept.mkdir(exist_ok=True)
    (kept / "input").write_bytes(finding.data)
    again = f"Run again: python -m tests.fuzz {target} --input {kept / 'input'}"
    text = f"{finding.cause}\nInput {finding.number} of seed {seed}.\n{again}\n\n{finding.text}"
    (kept / "why.txt").write_text(text, "utf-8", "backslashreplace")
