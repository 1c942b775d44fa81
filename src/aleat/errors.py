"""Every error that Aleat promises, under one root, and the findings that stages collect instead of raising.

The tree::

    AleatError
    ├── WorkspaceError            the workspace can't be opened or used
    │   ├── FormatVersionError    written by a newer version
    │   └── WorkspaceBusyError    another writer holds it
    ├── InputError                foreign bytes that can't be used; carries a `Place`
    │   ├── LimitError            … because a limit was reached (its name and value are in the message)
    │   ├── RuleError             a Sigma rule, filter or correlation
    │   ├── PatternError          a STIX pattern
    │   └── ObjectError           a STIX object or bundle
    ├── TrustError                a key, signature, marking or agreement
    │   ├── SignatureError        a signature doesn't verify, or its key isn't known
    │   ├── SealError             a sealed file can't be made or opened
    │   └── NotPermittedError     the gate, a role or a hold says no
    ├── RemoteError               another party's server can't be reached, refuses, or oversteps a limit
    └── IntegrityError            a hash or chain in the workspace doesn't fit

Single work raises; batch work collects `Issue` rows and goes on: the caller chooses. Every message says
what is wrong, where, and what to do; no value from evidence stands in one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AleatError",
    "FormatVersionError",
    "InputError",
    "IntegrityError",
    "Issue",
    "LimitError",
    "NotPermittedError",
    "ObjectError",
    "PatternError",
    "Place",
    "RemoteError",
    "RuleError",
    "SealError",
    "SignatureError",
    "TrustError",
    "WorkspaceBusyError",
    "WorkspaceError",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in foreign input something was found; lines and columns count from 1, offsets (bytes) from 0."""

    path: str
    line: int | None = None
    column: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        text = self.path
        if self.line is not None:
            text += f":{self.line}"
            if self.column is not None:
                text += f":{self.column}"
        if self.offset is not None:
            text += f" at byte {self.offset}"
        return text


@dataclass(frozen=True, slots=True)
class Issue:
    """Something a stage could not read, parse, map or evaluate: a row of its ledger, counted in the summary.

    `code` is a short stable word for the kind ("unreadable-range", "rule-syntax", "no-mapping", …);
    `length` is in bytes, where a byte range was lost; `records` how many records went with it, where known.
    """

    stage: str
    code: str
    place: Place
    reason: str
    advice: str = ""
    length: int | None = None
    records: int | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.reason}"
        return f"{text} {self.advice}" if self.advice else text


class AleatError(Exception):
    """Root of all errors that Aleat raises on purpose."""


class WorkspaceError(AleatError):
    """The workspace can't be opened or used."""


class FormatVersionError(WorkspaceError):
    """The workspace was written by a newer version of Aleat."""


class WorkspaceBusyError(WorkspaceError):
    """Another process is writing to the workspace."""


class InputError(AleatError):
    """Foreign bytes that can't be used; says where, and what to do."""

    code = "input"

    def __init__(self, reason: str, place: Place | None = None, *, advice: str = "") -> None:
        self.reason = reason
        self.place = place
        self.advice = advice
        text = f"{place}: {reason}" if place else reason
        super().__init__(f"{text} {advice}" if advice else text)

    def issue(self, stage: str, path: str = "") -> Issue:
        """Turn the error into a row for a stage's ledger."""
        return Issue(stage, self.code, self.place or Place(path), self.reason, self.advice)


class LimitError(InputError):
    """A limit was reached; its name and value are in the message."""

    code = "limit"


class RuleError(InputError):
    """A Sigma rule, filter or correlation that can't be evaluated."""

    code = "rule"


class PatternError(InputError):
    """A STIX pattern that can't be parsed or evaluated."""

    code = "pattern"


class ObjectError(InputError):
    """A STIX object or bundle that can't be used."""

    code = "object"


class TrustError(AleatError):
    """A key, signature, marking or agreement."""


class SignatureError(TrustError):
    """A signature doesn't verify, or its key isn't known."""


class SealError(TrustError):
    """A sealed file can't be made or opened."""


class NotPermittedError(TrustError):
    """The gate, a role or a hold says no; the message names who may permit it."""


class RemoteError(AleatError):
    """Another party's server can't be reached, refuses, answers wrongly, or oversteps a limit.

    `code` is a short stable word for the kind ("unreachable", "broken", "refused", "limit", …); `transient` says
    that the same may work when it is tried again. No secret stands in the message.
    """

    def __init__(self, reason: str, *, code: str = "server", advice: str = "", transient: bool = False) -> None:
        self.reason = reason
        self.code = code
        self.advice = advice
        self.transient = transient
        super().__init__(f"{reason} {advice}" if advice else reason)

    def issue(self, stage: str, path: str) -> Issue:
        """Turn the error into a row for a stage's ledger; `path` is the server's URL."""
        return Issue(stage, self.code, Place(path), self.reason, self.advice)


class IntegrityError(AleatError):
    """A hash or chain in the workspace doesn't fit."""
