"""What a person writes into a request that goes with objects: it passes the gate like a note of ours.

In other messages a person's words are that person's to answer for. Where the message is about what others gave, or
about what we know, the words may not name what stays away from its recipient.
"""

from __future__ import annotations

import msgspec

from aleat.errors import NotPermittedError
from aleat.exchange.collect import Knowledge
from aleat.exchange.desk import Desk, agreed, terms_for
from aleat.release import describe_derived, prepare
from aleat.stix import make_object, random_id
from aleat.trust.agreements import AllyCard
from aleat.trust.markings import marking_id

__all__ = ["check_words"]


def check_words(desk: Desk, to: AllyCard, text: str, knowledge: Knowledge) -> None:
    """Raise `NotPermittedError` where `text` names something that stays away from `to`; needs an agreement with it."""
    terms = terms_for(desk, to)
    agreed(terms)
    if not text.strip():
        return
    note = make_object(
        "note",
        random_id("note"),
        created=desk.time,
        created_by_ref=desk.own,
        markings=[marking_id("tlp:clear")],
        content=text,
        object_refs=[desk.own],
    )
    agreements = tuple(
        msgspec.structs.replace(
            item, release=msgspec.structs.replace(item.release, labels=tuple({*item.release.labels, "clear"}))
        )
        for item in terms.agreements
    )
    release = prepare(
        [*knowledge.subjects, describe_derived(note, desk.own, knowledge.definitions)],
        msgspec.structs.replace(terms, agreements=agreements),
        secret=desk.secret,
    )
    decision = next(item for item in release.decisions if item.object == note.id)
    if not decision.allow or decision.form == "told-again":
        raise NotPermittedError(
            f"The text names something that stays away from {to.name}. Say it without names, addresses and ids. "
            f"What stays, and why: aleat preview --to {to.name}."
        )
