"""Spreadsheets (.xlsx, .xlsm, .xlsb, .xls, .ods) as rows of texts, read by calamine in a process of its own.

A spreadsheet of a few bytes can claim a table of billions of cells, or unpack to as much; the library allocates what is
claimed. So what a package unpacks to is counted first, and the reading is done by a process that may only have so much
memory and processor time (where the system can say so: not on Windows); where it dies, that is an issue.

Dates become ISO 8601 texts, whole numbers lose their ``.0``, formulas are their last results. Macros are not looked at.
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator

import msgspec

from aleat.errors import InputError, LimitError, Place
from aleat.knowledge.limits import Limits
from aleat.knowledge.sheet_process import Sheet, SheetsRead

__all__ = ["has_macros", "read_sheets"]

_SECONDS = 120  # a spreadsheet within the limits takes a few
_CHUNK = 1024**2  # bytes that are unpacked at once
_FED = 65_536


def has_macros(data: bytes) -> bool:
    """Say whether a package holds macros (a member ``vbaProject.bin``)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.lower().endswith("vbaproject.bin") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return b"_\x00V\x00B\x00A\x00_\x00P\x00R\x00O\x00J\x00E\x00C\x00T" in data


def read_sheets(data: bytes, path: str, limits: Limits) -> list[Sheet]:
    """Return the sheets of a spreadsheet; raises `InputError` where it can't be read, or only beyond the limits."""
    place = Place(path)
    if data.startswith(b"PK"):
        _check_package(data, place, limits)
    command = [sys.executable, "-P", "-m", "aleat.knowledge.sheet_process", str(limits.sheets), str(limits.sheet_cells)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=_SECONDS, check=True)  # noqa: S603
        answer = msgspec.json.decode(done.stdout, type=SheetsRead)
    except (subprocess.SubprocessError, msgspec.MsgspecError):
        reason = "The spreadsheet claims more cells than there is memory for, or takes too long to read."
        raise LimitError(reason, place, advice="Save its sheets as CSV.") from None
    if answer.fault:
        raise InputError(f"The spreadsheet can't be read: {answer.fault}.", place)
    if answer.cut:
        most = f"{limits.sheet_cells:,} cells (sheet_cells) or {limits.sheets} sheets (sheets)"
        raise LimitError(f"The spreadsheet has more than {most}.", place)
    return answer.sheets


def _check_package(data: bytes, place: Place, limits: Limits) -> None:
    """Count what a package unpacks to, whatever it says about itself."""
    left = limits.list_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > limits.archive_members:
                raise LimitError(
                    f"The package has more members than {limits.archive_members} (archive_members).", place
                )
            for member in members:
                if member.flag_bits & 1:
                    raise InputError("The spreadsheet is encrypted.", place, advice="Save it without a password.")
                for size in _unpacked(data, member, place):
                    left -= size
                    if left < 0:
                        reason = f"The spreadsheet unpacks to more than {limits.list_bytes} bytes (list_bytes)."
                        raise LimitError(reason, place)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"The spreadsheet's package is damaged: {type(error).__name__}.", place) from None


def _unpacked(data: bytes, member: zipfile.ZipInfo, place: Place) -> Iterator[int]:
    """Yield how many bytes a member unpacks to, a megabyte at a time at most: whatever its sizes say."""
    at = member.header_offset
    if data[at : at + 4] != b"PK\x03\x04":
        raise zipfile.BadZipFile
    start = at + 30 + sum(struct.unpack_from("<HH", data, at + 26))
    packed = memoryview(data)[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_STORED:
        yield len(packed)
        return
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise InputError("The spreadsheet's package is packed in a way that spreadsheets aren't.", place)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for begin in range(0, len(packed), _FED):
        rest: bytes | memoryview = packed[begin : begin + _FED]
        while rest and not inflater.eof:
            yield len(inflater.decompress(rest, _CHUNK))
            rest = inflater.unconsumed_tail
