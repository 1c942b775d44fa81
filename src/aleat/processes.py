"""Worker processes that need nothing of the program that starts them.

Processes are spawned, not forked (the Arrow and polars libraries have threads), on every platform alike. A
spawned process usually runs the caller's main script again to find its functions, which fails in a script
without an ``if __name__ == "__main__"`` guard; our workers' functions are in this package, so that the main
script is kept out of their sight.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any

__all__ = ["process_pool"]

_WINDOWS_WORKERS = 61  # more it can't wait for: ProcessPoolExecutor refuses them


def process_pool(
    workers: int, *, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """Return an executor of `workers` processes (on Windows 61 at the most); `initializer` runs once in each."""
    if sys.platform == "win32":
        workers = min(workers, _WINDOWS_WORKERS)
    return ProcessPoolExecutor(workers, mp_context=_Context(), initializer=initializer, initargs=initargs)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process: BaseProcess) -> Any:  # noqa: N802 (the standard library's own name)
        with _main_script_hidden():
            return SpawnProcess._Popen(process)


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _main_script_hidden() -> Iterator[None]:
    """Hide what `multiprocessing.spawn.get_preparation_data` would tell a child about the main script."""
    names: dict[str, Any] = sys.modules["__main__"].__dict__
    kept: dict[str, Any] = {name: names.pop(name) for name in ("__file__", "__spec__") if name in names}
    names["__spec__"] = None
    try:
        yield
    finally:
        del names["__spec__"]
        names.update(kept)
