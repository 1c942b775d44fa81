"""The typed records of the gate: what it is asked, and what it answers. Frozen, pure data, codes instead of prose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from aleat.stix.objects import StixObject
from aleat.trust.agreements import Agreement, AllyCard, Label, Permission
from aleat.trust.iep import Policy

__all__ = ["RULES", "Channel", "CopyFacts", "Decision", "Rule", "Subject", "Terms"]

Channel = Literal["sealed", "tls", "plain"]
"""How something leaves: in a sealed file, through a server that speaks TLS, or through one that doesn't."""

Rule = Literal[
    "back-to-giver",
    "clear",
    "green-community",
    "green-client",
    "amber-client",
    "amber-own-organisation",
    "onward-term",
    "own-label",
    "permission",
    "public-corpus",
    "revocation",
    "definition",
    "agreement-forbids",
    "below-threshold",
    "amber-not-a-client",
    "classified",
    "distribution",
    "green-outside-community",
    "iep-attribution",
    "iep-dates",
    "iep-encryption",
    "iep-instruction",
    "iep-notification",
    "keys-not-agreed",
    "legal-hold",
    "marking-weakened",
    "names-withheld",
    "no-agreement",
    "no-copy",
    "not-used",
    "names-internal",
    "own-label-not-agreed",
    "own-unmarked",
    "personal-data",
    "red",
    "refers-to-withheld",
    "rests-on-withheld",
    "superseded",
    "third-party",
    "unknown-marking",
    "unmarked",
    "withdrawn",
]

RULES: Mapping[Rule, str] = {
    # what lets an object leave
    "back-to-giver": "its giver gets back what it gave",
    "clear": "its source marked it CLEAR",
    "green-community": "GREEN, and the recipient is in a community that its giver's agreement names",
    "green-client": "GREEN, and the recipient is of our organisation or a client, as its giver's agreement allows",
    "amber-client": "AMBER, and the recipient is a client (of our constituency), as its giver's agreement allows",
    "amber-own-organisation": "the recipient is part of our own organisation, as its giver's agreement allows",
    "onward-term": "its giver's agreement names the recipient",
    "own-label": "ours, under a label that the agreement lets leave",
    "permission": "its originator's recorded permission",
    "public-corpus": "part of a public corpus, by the signed policy",
    "revocation": "ours: it revokes what the recipient was given before",
    "definition": "a marking's or extension's definition, which travels with the objects that use it",
    # what keeps it
    "agreement-forbids": "its label would allow it, its giver's agreement does not",
    "below-threshold": "ours, and seen in fewer events than the agreement lets us tell of",
    "amber-not-a-client": "AMBER is for our organisation and its clients; the recipient is neither",
    "classified": "it carries a state's or an alliance's classification",
    "distribution": "its giver named who may have it (one organisation, a sharing group), and not the recipient",
    "green-outside-community": "GREEN, and the recipient is in no community that its giver's agreement names",
    "iep-attribution": "its giver's policy (IEP) says whether its maker is named, and it would leave otherwise",
    "iep-dates": "the policy (IEP) under which it was given is not yet, or no longer, in effect",
    "iep-encryption": "its giver's policy (IEP) wants it encrypted on its way, and this way isn't",
    "iep-instruction": "its giver's policy (IEP) permits no action, or none without the giver's instruction",
    "iep-notification": "its giver's policy (IEP) forbids to notify affected parties, and the recipient may be one",
    "keys-not-agreed": "the recipient's card has other keys than those that the agreement names",
    "legal-hold": "it is under a legal hold",
    "marking-weakened": "another version here is marked more strictly, and who gave this one didn't make it",
    "names-internal": "ours, and it names a victim, host, account or internal address, which the agreement keeps here",
    "names-withheld": "it names something that is withheld",
    "no-agreement": "there is no agreement in force with the recipient",
    "no-copy": "nobody knows who gave it, or everybody withdrew it",
    "not-used": "nothing that leaves uses it",
    "own-label-not-agreed": "ours, under a label that the agreement does not let leave",
    "own-unmarked": "ours, without a label, and the agreement sets no default",
    "personal-data": "it is labelled as personal data",
    "red": "RED is for named people: ours leaves in a sealed file for one of them, others' never",
    "refers-to-withheld": "it refers to something that is withheld",
    "rests-on-withheld": "it was derived from something that is withheld",
    "superseded": "another version or variant of it leaves instead",
    "third-party": "somebody else than its giver said it first, and they decide",
    "unknown-marking": "it carries a marking that is not known here",
    "unmarked": "somebody else's, without a marking",
    "withdrawn": "somebody here withdrew it, and it isn't ours to revoke: it is passed on no more",
}
"""Every rule of the gate in a line, for docs and tests; what people read is made from templates elsewhere."""


class CopyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What counts about one giver's copy: who gave it, who said it first, its strictest label, what stops it.

    `originators` holds every known source other than the giver's word for it: the object's own creator and the
    one that came with the copy. `label` is the strictest TLP of the object, its parts and this copy.
    """

    giver: str
    originators: frozenset[str] = frozenset()
    label: Label | None = None
    classified: bool = False
    unknown: tuple[str, ...] = ()
    weakened: bool = False
    """Another version or variant of this id is marked more strictly, and this giver is not its originator."""
    public_corpus: str | None = None
    """The public corpus that it is part of, where the signed policy treats that as CLEAR."""
    named: tuple[frozenset[str], ...] = ()
    """For each distribution or sharing group that it bears, the identities that may have it."""
    policies: tuple[Policy, ...] = ()
    """The Information Exchange Policies that it bears."""
    beside: tuple[str, ...] = ()
    """Ids of markings that stand beside the object, not on it (its container's), but for TLP: they go with it."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One object before the gate. `derived`: made here from other knowledge and evidence, not stated by anybody.

    `values` are what the object says beside its own bytes (a list's entries), `notes` further text of its (their
    context). `rests_on` are ids of objects from which it was derived without naming them. `former`: a version or
    variant that counts no more: it never leaves itself, and what may not leave of it must not be told.
    """

    object: StixObject
    copies: tuple[CopyFacts, ...]
    derived: bool = False
    values: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rests_on: frozenset[str] = frozenset()
    former: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Between whom, on which terms, when: all that decides beside the objects themselves.

    `own` is our STIX identity id, `own_names` further names under which we appear as a giver. `agreements` are
    all of ours, of any date; `holds` the kinds of hold on an object's id.
    """

    own: str
    recipient: AllyCard
    agreements: tuple[Agreement, ...]
    reference_time: datetime
    own_names: frozenset[str] = frozenset()
    permissions: tuple[Permission, ...] = ()
    holds: Mapping[str, tuple[str, ...]] = {}
    internal_words: frozenset[str] = frozenset()
    """Names of our hosts, accounts and victims, which leave only where the agreement says so."""
    reader: str = ""
    """The named person for whom a sealed file is: with one, it may hold RED of ours, if the agreement names them so."""
    makers: frozenset[str] = frozenset()
    """The identities that made objects which are here (STIX `created_by_ref`)."""
    channel: Channel = "sealed"
    """How it leaves: what must be encrypted on its way (IEP) leaves by no plain one."""
    ally_names: Mapping[str, str] = {}
    """The identity ids of allies by the short names under which they may appear as givers."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's word on one object: whether it leaves, the rule that decided, whom to ask otherwise.

    `form` is how it leaves: "as-is" (byte for byte), "labelled" (ours, with the default label added) or
    "told-again" (ours, under an id of its own, without what is withheld). `copy` is the position of the copy
    on which it rests, `parameters` the reason's details (ids, labels, names of agreements). For our own eyes:
    a decision on a withheld object never leaves.
    """

    object: str
    version: str
    type: str
    digest: str
    allow: bool
    rule: Rule
    label: Label | None = None
    ask: tuple[str, ...] = ()
    copy: int | None = None
    form: Literal["as-is", "labelled", "told-again", "withheld"] = "withheld"
    parameters: dict[str, Any] = {}
    markings: tuple[str, ...] = ()
    """Ids of markings that stood beside the object and go with it, in the manifest."""
