"""The gate: what may leave, to whom, on whose permission; and nothing of what may not.

`decide` judges object by object and denies by default, `close` sees to it that what leaves neither names nor
refers to what stays, `prepare` makes the bundle and its manifest. Pure: what is kept of a release is in
`aleat.store.decisions`, how it travels in `aleat.exchange`. It does not guess what a text means, and it can't
call back what has left.
"""

from aleat.release.closure import Closed, Closure, close
from aleat.release.facts import describe_derived, describe_stored, strictest_label
from aleat.release.gate import agreement_with, decide
from aleat.release.records import RULES, Channel, CopyFacts, Decision, Rule, Subject, Terms
from aleat.release.redact import Victim, coarsen_time, enough, tell_victim
from aleat.release.release import ListRow, Release, Revoked, prepare, prepare_revocation

__all__ = [
    "RULES",
    "Channel",
    "Closed",
    "Closure",
    "CopyFacts",
    "Decision",
    "ListRow",
    "Release",
    "Revoked",
    "Rule",
    "Subject",
    "Terms",
    "Victim",
    "agreement_with",
    "close",
    "coarsen_time",
    "decide",
    "describe_derived",
    "describe_stored",
    "enough",
    "prepare",
    "prepare_revocation",
    "strictest_label",
    "tell_victim",
]
