"""How the Sigma rules of one collection are related (`related`), as STIX relationships between their indicators.

A rule names another by its id, wherever that stands: only when a whole collection was read is it known which indicators
those are. What isn't in the collection stays in the indicator's extension `rule`, where all of it is.

Specification: Sigma rules 2.1, "Related rules".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aleat.knowledge.items import KnowledgeItem
from aleat.stix.extensions import read_extension
from aleat.stix.ids import content_id
from aleat.stix.objects import StixObject, make_object
from aleat.stix.times import parse_timestamp

__all__ = ["RELATIONS", "RuleRelations"]

RELATIONS = {
    "derived": "derived-from",
    "merged": "derived-from",
    "obsolete": "related-to",
    "renamed": "related-to",
    "similar": "related-to",
}
"""Sigma's types of relation, and STIX's common relationship types (STIX 2.1, section 3.6 and appendix B)."""

_WORDS = {
    "derived": "The rule was derived from the other.",
    "merged": "The rule was merged from the other.",
    "obsolete": "The rule makes the other obsolete.",
    "renamed": "The rule was known as the other before.",
    "similar": "The rules are similar.",
}
_MOST = 100  # indicators of one rule id: versions of it in one collection


class RuleRelations:
    """Gathers what rules say of others while a collection is read."""

    def __init__(self) -> None:
        self._indicators: dict[str, list[KnowledgeItem]] = {}
        self._related: list[tuple[KnowledgeItem, str, str]] = []

    def see(self, item: KnowledgeItem) -> None:
        """Take note of an item: of a Sigma rule's indicator, its id and what it is related to."""
        if item.object.pattern_type != "sigma":
            return
        rule: dict[str, Any] = read_extension(item.object, "rule") or {}
        if rule.get("rule_id"):
            self._indicators.setdefault(rule["rule_id"], []).append(item)
        for one in rule.get("related", ()):
            self._related.append((item, one["type"], one["id"]))

    def relationships(self) -> Iterator[KnowledgeItem]:
        """Yield the relationships between indicators that were both seen, each once, in the order of the rules."""
        made: set[str] = set()
        for item, kind, other in self._related:
            for target in self._indicators.get(other, ())[:_MOST]:
                if target.object.id == item.object.id or kind not in RELATIONS:
                    continue
                found = _relationship(item.object, kind, target.object)
                if found.id not in made:
                    made.add(found.id)
                    yield _beside(item, target, found)


def _relationship(source: StixObject, kind: str, target: StixObject) -> StixObject:
    return make_object(
        "relationship",
        content_id("relationship", ["sigma-related", source.id, kind, target.id]),
        created=parse_timestamp(source.version),
        relationship_type=RELATIONS[kind],
        source_ref=source.id,
        target_ref=target.id,
        description=_WORDS[kind],
    )


def _beside(item: KnowledgeItem, target: KnowledgeItem, found: StixObject) -> KnowledgeItem:
    """Return the relationship under both rules' markings; of their corpus only where it is the same."""
    markings = tuple(sorted({*item.markings, *target.markings}))
    if item.corpus is None or (item.corpus, item.corpus_basis) != (target.corpus, target.corpus_basis) or markings:
        return KnowledgeItem(object=found, place=item.place, markings=markings)
    return KnowledgeItem(
        object=found,
        place=item.place,
        corpus=item.corpus,
        corpus_basis=item.corpus_basis,
        corpus_version=item.corpus_version,
    )
