"""When each log of the lake was written: described once a segment, kept, and put together for the case."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aleat.case import LogActivity
from aleat.errors import WorkspaceBusyError
from aleat.evidence import read_segment
from aleat.evidence.activity import ACTIVITY_VERSION, Activity, describe_activity
from aleat.store.activity import put_activity, read_activity
from aleat.store.lake import Lake
from aleat.workspace.core import Session
from aleat.workspace.progress import Progress, silent

__all__ = ["log_activity"]

_TOGETHER = 200
_decoder = msgspec.msgpack.Decoder(tuple[Activity, ...])


def log_activity(session: Session, lake: Lake, progress: Progress = silent) -> list[LogActivity]:
    """Return the activity of every log in every segment; what isn't known yet is read, and kept where that can be."""
    return [
        LogActivity(path, base, activity)
        for path, base, several in _described(session, lake, progress)
        for activity in several
    ]


def _described(session: Session, lake: Lake, progress: Progress) -> Iterator[tuple[str, int, tuple[Activity, ...]]]:
    known = read_activity(session.database, ACTIVITY_VERSION)
    segments = lake.segments()
    fresh: list[tuple[str, str, bytes]] = []
    for number, row in enumerate(segments):
        data = known.get((row.id, row.file_sha256))
        if data is None:
            progress("logs", number, len(segments))
            data = msgspec.msgpack.encode(tuple(describe_activity(read_segment(lake, row, ()))))
            fresh.append((row.id, row.file_sha256, data))
        place = row.sources[0]
        yield place.path, place.record_base, _decoder.decode(data)
        if len(fresh) >= _TOGETHER:
            _keep(session, fresh)
    _keep(session, fresh)


def _keep(session: Session, fresh: list[tuple[str, str, bytes]]) -> None:
    if fresh:
        try:
            with session.writing(patience=0):
                put_activity(session.database, ACTIVITY_VERSION, fresh)
        except WorkspaceBusyError:  # another process writes: it is read again the next time
            pass
        fresh.clear()
