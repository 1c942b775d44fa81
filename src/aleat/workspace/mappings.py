"""What a workspace keeps of mappings (``mappings/NAME.json``): what logs that no format knows mean to rules.

How such logs are read stands in their segments; what their fields mean to Sigma and STIX is applied when they are
hunted in, so that a file there may be edited or replaced (as JSON, or as TOML: ``mappings/NAME.toml``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aleat.errors import InputError, Place
from aleat.evidence.mapping import MAXIMUM_BYTES, formats_of_mappings, mapping_of_file, mapping_of_json
from aleat.formats import Format
from aleat.hunt.stated import check_formats

__all__ = ["keep_mappings", "read_mappings"]

_FOLDER = "mappings"


def keep_mappings(folder: Path, texts: Sequence[str]) -> None:
    """Keep mappings (JSON texts) in a workspace's folder, by their formats' names; one that is there is replaced."""
    check_formats(formats_of_mappings(texts))
    for text in texts:
        place = folder / _FOLDER / f"{json.loads(text)['format']}.json"
        place.parent.mkdir(exist_ok=True)
        place.with_suffix(".toml").unlink(missing_ok=True)
        shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
        place.write_text(shown, "utf-8")


def read_mappings(folder: Path) -> tuple[Format, ...]:
    """Return the formats that a workspace's mappings state; raises `InputError` for a file that can't be used."""
    texts = []
    for path in sorted((folder / _FOLDER).glob("*.*")):
        if path.suffix in (".json", ".toml"):
            try:
                with path.open("rb") as file:
                    data = file.read(MAXIMUM_BYTES + 1)
            except OSError as error:
                raise InputError(f"It can't be read: {error.strerror}.", Place(str(path))) from error
            texts.append((mapping_of_json if path.suffix == ".json" else mapping_of_file)(data, str(path)))
    formats = formats_of_mappings(texts)
    check_formats(formats)
    return formats
