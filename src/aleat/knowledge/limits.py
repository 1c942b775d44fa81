"""How much of what an ally sends is taken; sizes in bytes. What is beyond is an `Issue` that names the limit."""

from __future__ import annotations

from dataclasses import dataclass, field

from aleat.stix.limits import ObjectLimits

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one reading of knowledge.

    `expansion` is how many times larger an archive's member may be than its packed form, once it is beyond
    a megabyte; `yaml_nodes` counts a document's nodes with every alias written out. A YARA file's rules are made
    to stand alone: `yara_needs` is how many others one rule may need, `yara_rule_characters` how long it may be
    with them, `yara_characters` how long all of a file's are.
    """

    file_bytes: int = 2 * 1024**3
    files: int = 500_000
    folder_depth: int = 64
    archive_members: int = 200_000
    archive_bytes: int = 8 * 1024**3
    expansion: int = 200
    yaml_bytes: int = 1024**2
    yaml_depth: int = 50
    yaml_nodes: int = 100_000
    yaml_documents: int = 10_000
    yara_bytes: int = 64 * 1024**2
    yara_rules: int = 100_000
    yara_needs: int = 1_000
    yara_rule_characters: int = 1024**2
    yara_characters: int = 256 * 1024**2
    yara_faults: int = 100
    list_entries: int = 20_000_000
    warning_list_bytes: int = 256 * 1024**2
    line_characters: int = 65_536
    objects: ObjectLimits = field(default_factory=ObjectLimits)
