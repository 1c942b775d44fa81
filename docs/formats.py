"""Writes reference/formats.md: each format, how it is read, what its samples give; a test runs this.

`python docs/formats.py` writes the page; `text()` returns it.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.formats.sample import Sample, all_samples, read_sample  # noqa: E402

from aleat.formats import Format, all_formats  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "formats.md"

HEAD = """# Log formats

Made by `python docs/formats.py` from the formats' files and their samples; don't edit. A test holds it to them.

A *reader* knows one way to write a format down; a format has several where tools write it differently. *Events* and
*warnings* are what comes out of each sample ([all made by hand](../../tests/formats/samples/README.md)); *Sigma* counts
the log sources that the format's events are, and the names of fields that are mapped; *STIX* the kinds of objects.
Where a format has no row of its own, CSV, TSV and JSON lines are read with a mapping that you confirm.
"""


def text() -> str:
    """Return the page."""
    parts = [HEAD]
    families = sorted({item.family for item in all_formats()}, key=str.casefold)
    samples = all_samples()
    for family in families:
        parts.append(f"\n## {family[0].upper()}{family[1:]}\n")
        parts.append("| format | reader | sample | events | warnings | Sigma | STIX |\n|---|---|---|--:|---|---|---|\n")
        for item in all_formats():
            if item.family == family:
                parts.extend(_rows(item, [sample for sample in samples if sample.format == item.name]))
    return "".join(parts)


def _rows(item: Format, samples: list[Sample]) -> list[str]:
    title = f"[{item.title}]({item.documentation[0]})" if item.documentation else item.title
    rows = []
    for sample in samples or [None]:
        first = sample is samples[0] if samples else True
        name = f"{title} `{item.name}`" if first else ""
        mapped = f"{len(item.sigma)} sources, {_mapped(item)} fields" if first and item.sigma else ""
        objects = ", ".join(f"`{kind}`" for kind in sorted({row["type"] for row in item.stix})) if first else ""
        if sample is None:
            rows.append(f"| {name} | [its own tests](../../tests/evidence) |  |  |  | {mapped} | {objects} |\n")
            continue
        read = read_sample(sample)
        warnings = Counter(issue.code for issue in read.issues)
        said = ", ".join(f"{code} {count}" if count > 1 else code for code, count in sorted(warnings.items()))
        place = f"[{sample.name.partition('--')[2]}](../../tests/formats/samples/{sample.name})"
        rows.append(
            f"| {name} | `{read.readers[0]}` | {place} | {len(read.events)} | {said} | {mapped} | {objects} |\n"
        )
    return rows


def _mapped(item: Format) -> int:
    return len({name for table in item.sigma for name in table.get("fields", {})})


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
