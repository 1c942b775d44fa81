"""The target "mappings": tables and JSON that no format knows, and what somebody states of them.

An input is a line of TOML's length in bytes, a mapping file, and a log. Whatever they hold: a proposal's own flag reads
the log that it was made for, a mapping is used or refused by name, and small ranges give the events of large ones.
"""

from __future__ import annotations

import random
import re

from aleat.errors import InputError, RuleError
from aleat.evidence.head import HEAD_BYTES, Head
from aleat.evidence.mapping import MAPPED, formats_of_mappings, mapped, mapping_of_file, mapping_of_flag
from aleat.evidence.proposal import proposal
from aleat.evidence.reader import ReadOptions
from aleat.formats import stated_formats
from aleat.hunt.stated import check_formats
from aleat.hunt.stix_paths import event_objects
from aleat.hunt.taxonomy import load_taxonomy
from tests.evidence.test_mapping import FILE, JSON, TABLE
from tests.fuzz.formats import is_text, lost, read_ranges
from tests.fuzz.mutation import mutate_bytes, mutate_text

__all__ = ["MappingsTarget"]

_LOGS = (
    TABLE,
    JSON,
    TABLE.replace(";", "\t"),
    "date,time,host,x\n2022-07-15,08:00:01,SRV1,a\n2022-07-15,08:00:02,SRV1,b\n",
    'Start,Server,Text\n07/08/2022 10:00:01 PM,SRV1,"two\nlines"\n07/09/2022 10:00:01 PM,SRV1,x\n',
    '[{"@timestamp":"2022-07-15T08:00:01Z","host":{"name":"SRV1"},"x":[1,{"a":null}]}]',
)
_TOKENS = (
    "[[read]]\n",
    "[[sigma]]\n",
    "fields = ",
    '"',
    ";",
    "time",
    "header = [[]]\n",
    "{",
    "}",
    "(?<a>",
    "+",
    "=",
    ",",
)
_FLAG = re.compile(r"--map '(.*?)'\.(?: |$)", re.DOTALL)


class MappingsTarget:
    """See the module."""

    name = "mappings"
    limit = 3.0

    def make(self, rng: random.Random) -> bytes:
        """Return a mapping and a log, each damaged half of the time."""
        file = mutate_text(FILE, rng, _TOKENS) if rng.random() < 0.5 else FILE
        log = rng.choice(_LOGS) * rng.choice((1, 1, 30))
        data = log.encode()
        if rng.random() < 0.5:
            data = mutate_text(log, rng, _TOKENS).encode("utf-8", "replace")
        elif rng.random() < 0.3:
            data = mutate_bytes(data, rng)
        stated = file.encode("utf-8", "replace")
        return b"%d\n" % len(stated) + stated + data

    def check(self, data: bytes) -> None:
        """Propose, confirm, read."""
        length, _, rest = data.partition(b"\n")
        stated, log = rest[: int(length)], rest[int(length) :]
        head = Head(log[:HEAD_BYTES], "x")
        found = proposal(head)
        if found is not None and (shown := _FLAG.search(found.advice)) and "time=NAME" not in shown[1]:
            try:
                text = mapping_of_flag(f"{shown[1]},zone=UTC")
            except InputError:
                assert set("',+='") & set("".join(map(str, found.reason))), "a flag that is shown can be typed"
            else:
                self._read(log, text, head)
        try:
            text = mapping_of_file(stated, "m.toml")
            formats = formats_of_mappings([text])
            check_formats(formats)
        except (InputError, RuleError):
            return
        with stated_formats(formats):
            load_taxonomy()
            event_objects()
        self._read(log, text, head)

    @staticmethod
    def _read(log: bytes, text: str, head: Head) -> None:
        chosen = mapped(head, ReadOptions(mappings=(text,)))
        if chosen is None:
            return
        whole, issues = read_ranges(MAPPED, log, ReadOptions(mapping=chosen))
        parts, more = read_ranges(MAPPED, log, ReadOptions(mapping=chosen, range_bytes=max(100, len(log) // 8)))
        assert whole == parts or lost(issues) or lost(more) or not is_text(log), "other events"
