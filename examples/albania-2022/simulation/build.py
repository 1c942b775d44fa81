"""Writes the whole example into a folder: evidence, pack, statements, and the ground truth beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson

from .background import live
from .facts import Teller
from .first_wave import first_wave
from .pack import write_pack
from .recorder import Recorder
from .recovery import recovery
from .routine import routine
from .second_wave import second_wave
from .truth import truth
from .web import serve
from .world import DATA, hosts

_PARTS = ("evidence", "pack", "statements", "truth.json")


def tell(seed: int, scale: float) -> Recorder:
    """Return all Windows events: background, routine, attack, recovery."""
    recorder = Recorder()
    teller = Teller(recorder)
    live(teller, seed, scale)
    routine(teller, seed)
    first_wave(teller, seed)
    second_wave(teller)
    recovery(teller)
    return recorder


def build(folder: Path, *, seed: int = 2022, scale: float = 1.0) -> dict[str, Any]:
    """Write the example into `folder` (its four parts are replaced); return the ground truth.

    `scale` multiplies the benign background, on hosts and sites; the story stays whole.
    """
    for part in _PARTS:
        path = folder / part
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    windows = folder / "evidence" / "windows"
    windows.mkdir(parents=True)
    recorder = tell(seed, scale)
    for host in hosts().values():
        with (windows / f"{host.name.lower()}.jsonl").open("wb") as out:
            out.writelines(recorder.lines(host))
    served = serve(folder / "evidence", seed, scale)
    canaries = write_pack(folder / "pack")
    statements = folder / "statements"
    statements.mkdir()
    shutil.copyfile(DATA / "news.txt", statements / "news.txt")
    known = truth(recorder, served, canaries, recorder.count)
    (folder / "truth.json").write_bytes(orjson.dumps(known, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return known
