"""What a person states about logs (zones, years, code pages) as they write it: for all, for some sources, for hosts.

===========================  ============================================================
``Europe/Tirane``            for all sources
``fw/*.log=+02:00``          for sources whose path as given, or whose end of it, fits the glob
``host:DC*=Europe/Tirane``   (zones only) for records of hosts whose name fits the glob
===========================  ============================================================

The first statement that fits a source or a host counts.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from aleat.errors import InputError
from aleat.evidence.reader import ReadOptions
from aleat.evidence.zones import zone_named

__all__ = ["check_encoding", "read_options"]

_HOST = "host:"


def read_options(
    *,
    encodings: Sequence[str] = (),
    host: str | None = None,
    log_zones: Sequence[str] = (),
    log_years: Sequence[str] = (),
    strict_time: bool = False,
    assume_zone: str | None = None,
) -> ReadOptions:
    """Return the options that these statements make; raises `InputError` for an unknown zone, year or code page."""
    by_source: list[tuple[str, str, str]] = []
    zones: list[tuple[str, str]] = []
    for text in log_zones:
        glob, zone = _split(text)
        zone_named(zone)
        if glob.startswith(_HOST):
            zones.append((glob.removeprefix(_HOST), zone))
        else:
            by_source.append((glob, "zone", zone))
    for text in log_years:
        glob, year = _split(text)
        if not (year.isdecimal() and year.isascii() and 1970 <= int(year[:5]) <= 2200):
            raise InputError(f"{text[:60]!r} states no year.", advice="Write 2022, or 'fw/*.log=2022'.")
        by_source.append((glob, "year", year))
    for text in encodings:
        glob, name = _split(text)
        check_encoding(name)
        by_source.append((glob, "encoding", name))
    for glob, kind, _ in by_source:
        if glob.startswith(_HOST):
            raise InputError(
                f"{glob[:60]!r}: a {kind} is stated by source.", advice="Write the source's path or a glob."
            )
    assumed = None if assume_zone == "UTC" else assume_zone
    return ReadOptions(
        host=host, zones=tuple(zones), assume_zone=assumed, strict_time=strict_time, by_source=tuple(by_source)
    )


def check_encoding(name: str) -> None:
    """Raise `InputError` where Python knows no text encoding of that name."""
    try:
        b"a".decode(codecs.lookup(name).name, errors="replace")
    except (LookupError, ValueError):
        advice = "Known are utf-8, cp1250, cp1251, cp1252, cp852, cp437, iso8859-2, utf-16-le …"
        raise InputError(f"The encoding {name[:60]!r} is unknown.", advice=advice) from None


def _split(text: str) -> tuple[str, str]:
    """Return (glob, value); ``*`` where no glob is written."""
    glob, _, value = text.rpartition("=")
    return glob.strip() or "*", value.strip()
