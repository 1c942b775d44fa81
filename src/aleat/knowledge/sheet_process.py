"""The process that reads a spreadsheet: bytes in, its sheets as JSON out; confined, as the bytes may claim anything.

    python -m aleat.knowledge.sheet_process SHEETS CELLS < book.xlsx

Memory and processor time are limited where the system can do so (not on Windows, memory not on macOS).
"""

from __future__ import annotations

import io
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

__all__ = ["Sheet", "SheetsRead", "read_book"]

_MEMORY = 3 * 1024**3  # bytes of address space
_SECONDS = 120  # of the processor
_CELL = 32_767  # characters: Excel's own limit


class Sheet(msgspec.Struct, frozen=True):
    """One sheet: its name, its rows that aren't empty, and the number of each (from 1)."""

    name: str
    rows: list[list[str]]
    numbers: list[int]


class SheetsRead(msgspec.Struct):
    """What was read, what is wrong (empty: nothing), and whether a limit cut it."""

    sheets: list[Sheet]
    fault: str = ""
    cut: bool = False


def _confine() -> None:
    """Limit what this process may have: it reads bytes that may claim anything."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _SECONDS), (resource.RLIMIT_CORE, 0)):
        try:
            _, hard = resource.getrlimit(what)
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        except (ValueError, OSError):  # macOS knows no limit of address space
            continue


def read_book(data: bytes, most_sheets: int, most_cells: int) -> SheetsRead:
    """Read all sheets of a workbook, up to so many, and so many cells in all."""
    from python_calamine import CalamineError, load_workbook  # noqa: PLC0415 - slow to import, needed here only

    found = SheetsRead([])
    cells = 0
    try:
        with load_workbook(io.BytesIO(data)) as book:
            for number, name in enumerate(book.sheet_names):
                if number >= most_sheets:
                    found.cut = True
                    break
                sheet = book.get_sheet_by_name(name)
                start = sheet.start[0] if sheet.start else 0
                rows: list[list[str]] = []
                numbers: list[int] = []
                for at, row in enumerate(sheet.iter_rows(), start + 1):
                    cells += len(row)
                    if cells > most_cells:
                        found.cut = True
                        return found
                    texts = [_text(cell) for cell in row]
                    if any(texts):
                        rows.append(texts)
                        numbers.append(at)
                found.sheets.append(Sheet(name, rows, numbers))
    except (CalamineError, ValueError, OSError, OverflowError) as error:
        found.fault = f"{type(error).__name__}: {str(error)[:200]}"
    except BaseException as error:  # a panic of the library is no Exception
        found.fault = type(error).__name__
    return found


def _text(cell: Any) -> str:
    """Return a cell as text."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell).strip()[:_CELL]


if __name__ == "__main__":
    _confine()
    sys.stdout.buffer.write(msgspec.json.encode(read_book(sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2]))))
