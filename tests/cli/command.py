"""Runs the real command: in a process of its own, or (quicker) its `main` in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aleat.cli import main

__all__ = ["Call", "Ran", "aleat", "call", "environment"]


@dataclass(frozen=True)
class Ran:
    """What a command gave back."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return self.out + self.err


def environment(keys: Path, **more: str) -> dict[str, str]:
    """The environment of a command: keys in the test's folder, no workspace by name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALEAT_")}
    return {**kept, "ALEAT_KEYS": str(keys), "ALEAT_ACTOR": "agim", "COLUMNS": "100", **more}


def aleat(
    *arguments: object, keys: Path, timeout: float = 120, program: Sequence[str] = ("-m", "aleat"), **options: Any
) -> Ran:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        env=environment(keys),
        capture_output=True,
        timeout=timeout,
        check=False,
        **options,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def call(capture: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Run the command's `main` in this process; `capture` is pytest's `capfd`."""
    capture.readouterr()
    code = main([str(argument) for argument in arguments])
    sys.stdout.flush()
    read = capture.readouterr()
    return Ran(code, read.out, read.err)


Call = Callable[..., Ran]
