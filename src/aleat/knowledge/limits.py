"""How much of what an ally sends is taken; sizes in bytes. What is beyond is an `Issue` that names the limit."""

from __future__ import annotations

from dataclasses import dataclass, field

from aleat.opening.limits import Limits as OpeningLimits
from aleat.stix.limits import ObjectLimits

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits(OpeningLimits):
    """Limits on one reading of knowledge: those of opening, with other defaults, and those of the readers.

    `sibling_bytes` is how much a document may ask for of others of its collection, `include_depth` and `includes`
    how deep and how often YARA files may include others; `yaml_nodes` counts a document's nodes with every alias
    written out. A YARA file's rules are made to stand alone: `yara_needs` is how many others one rule may need,
    `yara_rule_characters` how long it may be with them, `yara_characters` how long all of a file's are. A file of
    Snort's or Suricata's rules has `network_rules` of them, each of `rule_characters`; an OpenIOC document
    `openioc_items` terms. `list_bytes` is for lists that are read whole (JSON, spreadsheets; what a spreadsheet's
    parts unpack to, too).
    """

    file_bytes: int = 2 * 1024**3
    files: int = 500_000
    folder_depth: int = 64
    archive_members: int = 200_000
    expansion_free_bytes: int = 64 * 1024**2
    expanded_bytes: int = 8 * 1024**3
    place_bytes: int = 8 * 1024**3
    sibling_bytes: int = 64 * 1024**2
    include_depth: int = 16
    includes: int = 1_000
    include_bytes: int = 16 * 1024**2
    yaml_bytes: int = 1024**2
    yaml_depth: int = 50
    yaml_nodes: int = 100_000
    yaml_documents: int = 10_000
    yara_bytes: int = 64 * 1024**2
    yara_rules: int = 100_000
    yara_needs: int = 1_000
    yara_rule_characters: int = 1024**2
    yara_characters: int = 64 * 1024**2
    yara_faults: int = 100
    list_entries: int = 20_000_000
    network_rules: int = 500_000
    network_rule_bytes: int = 256 * 1024**2
    rule_characters: int = 262_144
    openioc_bytes: int = 16 * 1024**2
    openioc_depth: int = 32
    openioc_items: int = 20_000
    list_bytes: int = 512 * 1024**2
    sheet_cells: int = 10_000_000
    sheets: int = 256
    warning_list_bytes: int = 256 * 1024**2
    catalogue_bytes: int = 256 * 1024**2
    misp_bytes: int = 1024**3
    misp_events: int = 100_000
    playbook_bytes: int = 32 * 1024**2
    playbook_depth: int = 60
    playbook_steps: int = 5_000
    playbook_nodes: int = 200_000
    line_characters: int = 65_536
    objects: ObjectLimits = field(default_factory=ObjectLimits)
