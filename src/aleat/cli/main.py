"""The command `aleat`: parses arguments, calls the workspace, prints what it returns, sets the exit code.

Exit codes: 0 complete; 1 failed; 2 usage; 3 done, but some input could not be read.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Sequence

import cyclopts

from aleat import __version__
from aleat.cli import (
    ally_commands,
    asking_commands,
    asks_commands,
    case_commands,
    clock_commands,
    custody_commands,
    exchange_commands,
    gate_commands,
    hunt_commands,
    knowledge_commands,
    lake_commands,
    main_commands,
    poll_commands,
    post_commands,
    pull_commands,
    push_commands,
    serve_commands,
)
from aleat.cli.exit_codes import FAILED, INTERRUPTED, USAGE
from aleat.cli.terminal import error
from aleat.errors import AleatError

__all__ = ["app", "main"]

_GARBAGE = 50_000  # objects; Python's own measure has it look for cycles, of which we make few, 70 times as often

app = cyclopts.App(
    name="aleat",
    help=(
        "Cyber-defence aid between two teams: what an ally knows, hunted in what you hold, and answered.\n\n"
        "The workspace is -w DIR, else $ALEAT_WORKSPACE, else the nearest folder upward that has an aleat.toml.\n\n"
        "Exit codes: 0 complete; 1 failed; 2 usage; 3 done, but some of what was named could not be read, or was "
        "empty, or (verify) is absent; 130 stopped. A rule that is rejected by name doesn't change the code."
    ),
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
for commands in (
    main_commands,
    hunt_commands,
    lake_commands,
    custody_commands,
    case_commands,
    clock_commands,
    ally_commands,
    asking_commands,
    exchange_commands,
    gate_commands,
    asks_commands,
    poll_commands,
    post_commands,
    pull_commands,
    push_commands,
    serve_commands,
    knowledge_commands,
):
    commands.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    gc.set_threshold(_GARBAGE)
    if sys.stdout is None:  # it was closed: whoever started us wants to read nothing
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a console or a file that can't hold a letter shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
    except cyclopts.CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        error("aleat: stopped. What was committed stays; run the same command again to go on.")
        return INTERRUPTED
    except Exception as problem:
        if _is_left_pipe(problem):
            _leave_pipe()
            return 0
        if os.environ.get("ALEAT_TRACEBACK") and not isinstance(problem, (AleatError, OSError)):
            raise
        _tell(problem)
        return FAILED
    return result if isinstance(result, int) else 0


def _tell(problem: Exception) -> None:
    """Write what went wrong: our own errors as they are, the system's with the file, a fault of ours with its line."""
    if isinstance(problem, AleatError):
        error(f"aleat: {problem}")
    elif isinstance(problem, OSError) and problem.strerror:
        place = f"{problem.filename}: " if problem.filename else ""
        error(f"aleat: {place}{problem.strerror}. What was committed stays.")
    else:
        error(f"aleat: a fault of Aleat's own: {_where(problem)}. What was committed stays.")
        error("Please report this line. ALEAT_TRACEBACK=1 shows all of it (it may hold values from evidence).")


def _is_left_pipe(problem: Exception) -> bool:
    """Say whether the reader of our output left; Windows calls the write an invalid argument, and does so again."""
    if os.name != "nt" or not isinstance(problem, OSError) or problem.errno != errno.EINVAL:
        return isinstance(problem, BrokenPipeError)
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _leave_pipe() -> None:
    """Let nothing more go to a reader that left, not even when Python ends and empties its buffers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _where(problem: BaseException) -> str:
    """Return an unforeseen error's kind and the line it came from; never its text, which may quote evidence."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}" if trace else "?"
    return f"{type(problem).__name__} in {place}"


if __name__ == "__main__":
    raise SystemExit(main())
