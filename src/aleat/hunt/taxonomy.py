"""From Sigma's log sources and field names to the evidence: which events a rule is about, and what they call things.

A rule's log source gives zero or more `EvidenceVariant`s: kinds of evidence that have such events, each with the
facts that must hold (its gate) and the mapping of field names. A generic Windows log source has two, Sysmon's
and the audit log's. The mapping is applied on read and its digest stands in every cache key.

Two sources of knowledge: the ``[[sigma]]`` tables of the formats' files (`aleat.formats`), and for Windows pySigma's
pipelines, which are *asked* rather than run over every rule: `windows_pipelines` hands them a probe rule for each log
source and field name. `data/windows_names.toml` has what they don't know.

A ``[[sigma]]`` table is one kind of evidence:

* ``name`` of the variant; ``channel``, ``provider``, ``event_id`` (lists), ``where`` (field = list): facts that hold;
* ``category``, ``product``, ``service``: a rule fits where each attribute that it gives is listed here …
* ``needs``: … and it gives at least one of these;
* ``fields``: Sigma's name → the source's, or a list of several (any of which may match), or a table
  (``{join = [names], with = text}``, ``{of = name, view = transform, argument = text}``). A name that is not listed
  is taken as it is;
* ``nested``: the events are of nested objects. A name that is not listed stands also for all that is below it
  (``requestParameters``), and for what is inside lists of objects on its way (``target.displayName``).

Sigma specification 2.1, taxonomy appendix.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aleat.errors import RuleError
from aleat.formats import Format, all_formats, part_digest, stated_key
from aleat.hunt.account_names import WELL_KNOWN, account_names_text
from aleat.hunt.expression import (
    Atom,
    Exists,
    Expression,
    Fact,
    Field,
    FieldsMatch,
    IsNull,
    Joined,
    Subject,
    Text,
    View,
    all_of,
    any_of,
    map_leaves,
    normalise_name,
)
from aleat.hunt.object_views import UNDER
from aleat.hunt.plan import LogSource

if TYPE_CHECKING:
    from aleat.hunt.windows_pipelines import WindowsPipelines

__all__ = ["EvidenceVariant", "Taxonomy", "format_subjects", "load_taxonomy", "taxonomy_digest"]

_PACKAGES = ("pysigma", "pysigma-pipeline-sysmon", "pysigma-pipeline-windows")

Mapper = Callable[[str], tuple[Subject, ...]]


@dataclass(frozen=True)
class EvidenceVariant:
    """One kind of evidence that has the events of a log source.

    `subjects` maps a Sigma field name to where the evidence keeps it (any of them may match); it raises
    `RuleError` for a name that this kind of evidence can't have.
    """

    name: str
    format: str
    gate: Expression
    subjects: Mapper

    def apply(self, expression: Expression) -> Expression:
        """Return a rule's expression, written with Sigma's names, over this evidence, with its gate."""
        return all_of([self.gate, map_leaves(expression, self._leaf)])

    def _leaf(self, leaf: Atom | FieldsMatch) -> Expression:
        if isinstance(leaf, FieldsMatch):
            return any_of(
                [
                    FieldsMatch(left, right, leaf.op, leaf.cased)
                    for left in self._comparable(leaf.left)
                    for right in self._comparable(leaf.right)
                ]
            )
        if not isinstance(leaf.subject, Field):
            return leaf
        subjects = self.subjects(leaf.subject.name)
        if isinstance(leaf.test, IsNull | Exists):
            subjects = tuple(subject for subject in subjects if not _is_other_name(subject))
        atoms = [Atom(subject, leaf.test) for subject in subjects]
        return all_of(atoms) if isinstance(leaf.test, IsNull) else any_of(atoms)

    def _comparable(self, subject: Subject) -> list[Field | Fact | View]:
        subjects = self.subjects(subject.name) if isinstance(subject, Field) else (subject,)
        kept = [found for found in subjects if isinstance(found, Field | Fact | View)]
        return [found for found in kept if not _is_other_name(found)]


def _is_other_name(subject: Subject) -> bool:
    """Say whether a subject is what else an account is called, which a field's presence doesn't hang on."""
    return isinstance(subject, View) and subject.transform == WELL_KNOWN


@dataclass(frozen=True)
class _Source:
    """A ``[[sigma]]`` of a format's file."""

    name: str
    format: str
    gate: Expression
    accepts: Mapping[str, frozenset[str]]
    needs: frozenset[str]
    fields: Mapping[str, tuple[Subject, ...]] = field(default_factory=dict)
    nested: bool = False

    def fits(self, logsource: LogSource) -> bool:
        given = {
            name: value
            for name in ("category", "product", "service")
            if (value := getattr(logsource, name)) is not None
        }
        return bool(self.needs & given.keys()) and all(value in self.accepts[name] for name, value in given.items())

    def variant(self) -> EvidenceVariant:
        return EvidenceVariant(self.name, self.format, self.gate, self._subjects)

    def _subjects(self, name: str) -> tuple[Subject, ...]:
        found = self.fields.get(normalise_name(name))
        if found is not None:
            return found
        return (Field(name), *_nested(name)) if self.nested else (Field(name),)


class Taxonomy:
    """The mapping as a whole; `digest` names its version."""

    def __init__(self, formats: Sequence[Format], windows_names: str) -> None:
        self._sources = [_read_source(item.name, entry) for item in formats for entry in item.sigma]
        windows = tomllib.loads(windows_names)
        self._windows_fields = _read_fields(windows["fields"])
        self._channels: Mapping[str, Sequence[str]] = windows["channels"]
        self._messages: Mapping[str, Sequence[str]] = windows["messages"]
        self.digest = taxonomy_digest()
        self._variants: dict[LogSource, tuple[EvidenceVariant, ...]] = {}

    def variants(self, logsource: LogSource) -> tuple[EvidenceVariant, ...]:
        """Return the kinds of evidence that have such events; none where there is no such evidence."""
        found = self._variants.get(logsource)
        if found is None:
            found = tuple(source.variant() for source in self._sources if source.fits(logsource))
            if logsource.product in (None, "windows"):
                found += tuple(self._windows(logsource))
            self._variants[logsource] = found
        return found

    @cached_property
    def _pipelines(self) -> WindowsPipelines:
        from aleat.hunt.windows_pipelines import WindowsPipelines  # noqa: PLC0415 - imports pySigma, which is slow

        return WindowsPipelines()

    def _windows(self, logsource: LogSource) -> list[EvidenceVariant]:
        format_gate = Atom(Fact("format"), Text("equals", "windows", cased=True))
        if logsource == LogSource(product="windows"):
            return [EvidenceVariant("windows", "windows", format_gate, self._windows_subjects)]
        if logsource.category is None and logsource.service is None:
            return []
        found = []
        for probed in self._pipelines.variants(logsource):
            gate = map_leaves(probed.gate, self._with_messages)
            channels = self._channels.get(logsource.service or "", ()) if probed.by_service else ()
            if channels:
                also = [Atom(Fact("channel"), Text("equals", channel)) for channel in channels]
                gate = any_of([gate, *also])
            found.append(
                EvidenceVariant(
                    probed.name,
                    "windows",
                    all_of([format_gate, gate]),
                    lambda name, rename=probed.rename: self._renamed(name, rename),  # type: ignore[misc]
                )
            )
        channels = self._channels.get(logsource.service or "", ())
        if not found and logsource.category is None and channels:
            gate = any_of([Atom(Fact("channel"), Text("equals", channel)) for channel in channels])
            found.append(EvidenceVariant("windows", "windows", all_of([format_gate, gate]), self._windows_subjects))
        return found

    def _renamed(self, name: str, rename: Callable[[str], tuple[str, ...]]) -> tuple[Subject, ...]:
        return tuple(subject for new in rename(name) for subject in self._windows_subjects(new))

    def _windows_subjects(self, name: str) -> tuple[Subject, ...]:
        return self._windows_fields.get(normalise_name(name), (Field(name),))

    def _with_messages(self, leaf: Atom | FieldsMatch) -> Expression:
        """Let a text that audit events hold as a message's number match the number too."""
        if isinstance(leaf, Atom) and isinstance(leaf.test, Text):
            numbers = self._messages.get(leaf.test.value, ())
            return any_of([leaf, *[Atom(leaf.subject, Text(leaf.test.op, number)) for number in numbers]])
        return leaf


def load_taxonomy() -> Taxonomy:
    """Return the taxonomy of the formats that ship, and of those that are stated (`aleat.formats.stated_formats`)."""
    return _taxonomy(stated_key())


@lru_cache(maxsize=4)
def _taxonomy(_stated: str) -> Taxonomy:
    return Taxonomy(all_formats(), _windows_names())


def format_subjects(item: Format) -> Iterator[Subject]:
    """Yield where a format's ``[[sigma]]`` tables look; raises `KeyError` or `TypeError` where one can't be read."""
    for entry in item.sigma:
        for subjects in _read_source(item.name, entry).fields.values():
            yield from subjects


def taxonomy_digest() -> str:
    """Return the digest of the taxonomy and the pipelines' versions, without loading either.

    Where formats are stated it changes with all that is said of them, their STIX paths too.
    """
    versions = ",".join(f"{name} {version(name)}" for name in _PACKAGES)
    return sha256(
        f"{versions}\n{part_digest('sigma')}\n{_windows_names()}\n{account_names_text()}{stated_key()}".encode()
    ).hexdigest()


def _windows_names() -> str:
    return resources.files("aleat.hunt").joinpath("data/windows_names.toml").read_text("utf-8")


def _read_source(format_: str, entry: Mapping[str, Any]) -> _Source:
    facts = [Atom(Fact("format"), Text("equals", format_, cased=True))]
    gates: list[Expression] = list(facts)
    for name in ("channel", "provider", "event_id"):
        if name in entry:
            gates.append(any_of([Atom(Fact(name), Text("equals", value)) for value in entry[name]]))
    for name, values in entry.get("where", {}).items():
        gates.append(any_of([Atom(Field(name), Text("equals", value)) for value in values]))
    return _Source(
        name=entry["name"],
        format=format_,
        gate=all_of(gates),
        accepts={name: frozenset(entry.get(name, ())) for name in ("category", "product", "service")},
        needs=frozenset(entry["needs"]),
        fields=_read_fields(entry.get("fields", {})),
        nested=entry.get("nested", False),
    )


def _nested(name: str) -> list[Subject]:
    """Return where else a name of nested objects may be: below it, or inside a list of objects on its way."""
    parts = name.split(".")
    inside = [View(".".join(parts[:count]), "inside", ".".join(parts[count:])) for count in range(1, len(parts))]
    return [View(name, UNDER), *inside]


def _read_fields(table: Mapping[str, Any]) -> dict[str, tuple[Subject, ...]]:
    return {
        normalise_name(name): tuple(_read_subject(item) for item in (value if isinstance(value, list) else [value]))
        for name, value in table.items()
    }


def _read_subject(item: str | Mapping[str, Any]) -> Subject:
    if isinstance(item, str):
        return Field(item)
    if "join" in item:
        return Joined(tuple(item["join"]), item["with"])
    if "view" in item:
        return View(item["of"], item["view"], item.get("argument", ""))
    raise RuleError(f"the taxonomy has an entry that it can't read: {item!r}")
