"""The seam of knowledge: what a reader is, which there are, and the walk from paths to items.

A reader is two functions: `detect` looks at a document's name and head and says whether it is one of its own;
`read` yields its objects, and an `Issue` for whatever it can't use. To add one, write a file in `readers/` (the
smallest to imitate is `readers/stix.py`) and put it into `READERS`; the first that detects a document reads
it, so the order is from the most to the least specific.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from aleat.errors import InputError, Issue, Place
from aleat.knowledge.blocks import KnowledgeBlock, Known, read_blocks
from aleat.knowledge.corpus_stream import recognise_stream
from aleat.knowledge.document import Document, json_in_utf8
from aleat.knowledge.items import KnowledgeItem
from aleat.knowledge.limits import Limits
from aleat.knowledge.places import open_places
from aleat.knowledge.readers import (
    cacao,
    d3fend,
    list_json,
    lists,
    misp,
    misp_galaxy,
    misp_warninglists,
    network_rules,
    openioc,
    prose,
    sigma,
    spreadsheets,
    stix,
    yara,
)
from aleat.knowledge.rule_relations import RuleRelations
from aleat.knowledge.text import decode_text
from aleat.opening.container import Secrets
from aleat.trust.corpora import (
    CorpusMatch,
    CorpusPolicy,
    in_corpus_folder,
    parse_policy,
    policy_bytes,
    recognise_file,
    recognise_rules,
)
from aleat.trust.corpus_watch import CorpusWatch

__all__ = [
    "NOTE_CODES",
    "READERS",
    "Reader",
    "detect_reader",
    "read_document_blocks",
    "read_documents",
    "read_knowledge",
]

_STAGE = "knowledge"

_Found = KnowledgeItem | KnowledgeBlock | Issue

NOTE_CODES = frozenset(
    {"not-a-rule", "private-rule", "rule-level", "not-knowledge", "encoding", "empty", "list-value", "passed-over"}
    | {"playbook-note"}
    | {"galaxy-relation", "rule-payload", "openioc-terms", "macros"}
    | {"misp-feed", "misp-kept", "misp-reference", "misp-value"}
)
"""Issues with these codes tell something that the user should know; nothing that is knowledge was lost."""


_WHOLE_FILES = frozenset({"d3fend", "misp-galaxy"})  # readers of files that are public corpora, known by their digests


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader: its name, and its two functions."""

    name: str
    detect: Callable[[Document], bool]
    read: Callable[[Document, Limits], Iterator[KnowledgeItem | Issue]]


READERS: tuple[Reader, ...] = (
    Reader("cacao", cacao.detect, cacao.read),  # JSON with a workflow: before STIX, whose type and id look alike
    Reader("stix", stix.detect, stix.read),  # JSON that says what it is
    Reader("misp", misp.detect, misp.read),  # JSON with events, or attributes
    Reader("misp-galaxy", misp_galaxy.detect, misp_galaxy.read),  # JSON with authors and clusters
    Reader("d3fend", d3fend.detect, d3fend.read),  # JSON of SPARQL results or JSON-LD, or CSV, with D3FEND's names
    Reader("misp-warninglists", misp_warninglists.detect, misp_warninglists.read),  # JSON with a list of values
    Reader("sigma", sigma.detect, sigma.read),  # YAML
    Reader("yara", yara.detect, yara.read),  # text with a rule in its head, or called one
    Reader("network-rules", network_rules.detect, network_rules.read),  # text with rules of Snort or Suricata
    Reader("openioc", openioc.detect, openioc.read),  # XML with its root element
    Reader("list-json", list_json.detect, list_json.read),  # JSON, half of whose values are known
    Reader("spreadsheets", spreadsheets.detect, spreadsheets.read),  # called one, and begins as one
    Reader("lists", lists.detect, lists.read),  # text, most of whose lines are values
    Reader("prose", prose.detect, prose.read),  # text that names some among its sentences
)


def detect_reader(document: Document) -> Reader | None:
    """Return the reader that reads `document`, or None."""
    return next((reader for reader in READERS if reader.detect(document)), None)


def read_knowledge(
    paths: Sequence[Path | str],
    *,
    limits: Limits | None = None,
    secrets: Secrets | None = None,
    policy: CorpusPolicy | None = None,
    corpus: str | None = None,
    markings: Sequence[str] = (),
) -> Iterator[KnowledgeItem | Issue]:
    """Yield everything that is known at or below `paths` (in their order), and an issue for what can't be read.

    A text among `paths` is a URL, which is fetched; `secrets` are passwords for archives. With a `policy` a
    collection (each of the paths) or a bundle that is a public corpus is recognised, unless `markings` (ids of
    marking definitions, put on everything beside its own) say otherwise; `corpus` declares that all of it is that
    corpus, and raises `TrustError` where the policy (the shipped one, where none is given) has none of that name.
    """
    limits = limits or Limits()
    for found in open_places(paths, limits, secrets):
        if isinstance(found, Issue):
            yield found
            continue
        yield from read_documents(
            found.documents, limits=limits, policy=policy, corpus=corpus, version=found.version, markings=markings
        )


def read_documents(
    collection: Callable[[], Iterator[Document | Issue]],
    *,
    limits: Limits | None = None,
    policy: CorpusPolicy | None = None,
    corpus: str | None = None,
    version: str = "",
    markings: Sequence[str] = (),
) -> Iterator[KnowledgeItem | Issue]:
    """Yield everything that is known in one collection, as `read_knowledge` does at one of its paths.

    `collection` gives its documents, and an issue for each that can't be opened, anew each time it is called.
    `version` is the declared corpus' (a checkout's commit, a release's name).
    """
    found = read_document_blocks(
        collection, limits=limits, policy=policy, corpus=corpus, version=version, markings=markings
    )
    for one in found:
        if isinstance(one, KnowledgeBlock):
            yield from one.items()
        else:
            yield one


def read_document_blocks(
    collection: Callable[[], Iterator[Document | Issue]],
    *,
    limits: Limits | None = None,
    policy: CorpusPolicy | None = None,
    corpus: str | None = None,
    version: str = "",
    markings: Sequence[str] = (),
    workers: Executor | None = None,
    known: Known | None = None,
) -> Iterator[KnowledgeItem | KnowledgeBlock | Issue]:
    """Yield the same as `read_documents`, the objects of STIX documents many at a time.

    `workers` are processes that help with large documents; the order is the same with them and without. `known` tells
    which blocks were kept before, as what is no part of a corpus.
    """
    limits = limits or Limits()
    declared = None
    if corpus is not None:
        name = (policy or parse_policy(policy_bytes())).get(corpus).name
        declared = CorpusMatch(name, "declared", version)
    yield from _read_collection(
        collection, limits, None if markings else policy, declared, tuple(markings), workers, known
    )


def _read_collection(
    collection: Callable[[], Iterator[Document | Issue]],
    limits: Limits,
    policy: CorpusPolicy | None,
    declared: CorpusMatch | None,
    markings: tuple[str, ...],
    workers: Executor | None,
    known: Known | None,
) -> Iterator[_Found]:
    rules = _recognise_rules(collection, limits, policy) if policy is not None else None
    if declared is not None and not _proves(rules, declared):
        rules = None
    relations = RuleRelations()
    for document in collection():
        if isinstance(document, Issue):
            yield document
            continue
        document = json_in_utf8(document)  # noqa: PLW2901 (the same, told so that every reader can read it)
        reader = detect_reader(document)
        if reader is None:
            yield Issue(
                _STAGE, "not-knowledge", Place(document.path), "No reader of knowledge recognises the file's form."
            )
            continue
        watch = CorpusWatch(policy) if policy is not None else None
        found = _read_document(reader, document, limits, workers, None if declared else _unless(watch, known))
        match = declared
        if rules is not None and policy is not None and reader.name == "sigma":
            match = rules if in_corpus_folder(document.relative, policy.get(rules.name)) else declared
        elif reader.name == "stix" and watch is not None:
            for one, seen in recognise_stream(found, watch):
                match = seen if declared is None or _proves(seen, declared) else declared
                yield one if isinstance(one, Issue) else _with_container(one, match, markings)
            continue
        elif reader.name in _WHOLE_FILES and policy is not None:
            seen = _recognise_file(document, policy)
            match = seen if declared is None or _proves(seen, declared) else declared
        for one in found:
            item = one if isinstance(one, Issue) else _with_container(one, match, markings)
            if isinstance(item, KnowledgeItem):
                relations.see(item)
            yield item
    yield from relations.relationships()


def _unless(watch: CorpusWatch | None, known: Known | None) -> Known | None:
    """Look nothing up while a document may still be a corpus: its copies would be others."""
    if known is None or watch is None:
        return known
    return lambda digest: None if watch.undecided else known(digest)


def _proves(match: CorpusMatch | None, declared: CorpusMatch) -> bool:
    """Say whether a digest shows what was declared: which version it is, too."""
    return match is not None and match.basis == "digest" and match.name == declared.name


def _recognise_file(document: Document, policy: CorpusPolicy) -> CorpusMatch | None:
    try:
        return recognise_file(hashlib.sha256(document.read()).hexdigest(), policy)
    except InputError:
        return None  # reading it says why


def _read_document(
    reader: Reader, document: Document, limits: Limits, workers: Executor | None, known: Known | None
) -> Iterator[_Found]:
    try:
        if reader.name == "stix":
            yield from read_blocks(document, limits, workers, known)
        else:
            yield from reader.read(document, limits)
    except InputError as error:
        yield error.issue(_STAGE, document.path)
    except (MemoryError, RecursionError):
        yield Issue(_STAGE, "limit", Place(document.path), "The file needs more memory than there is.")


def _with_container(
    item: KnowledgeItem | KnowledgeBlock, match: CorpusMatch | None, markings: tuple[str, ...]
) -> KnowledgeItem | KnowledgeBlock:
    """Return `item` with what its container says: the corpus (unless it is labelled itself), and the markings."""
    both = tuple(sorted({*item.markings, *markings}))
    if match is None or both:
        return replace(item, markings=both) if both != item.markings else item
    return replace(item, corpus=match.name, corpus_basis=match.basis, corpus_version=match.version)


def _recognise_rules(
    collection: Callable[[], Iterator[Document | Issue]], limits: Limits, policy: CorpusPolicy
) -> CorpusMatch | None:
    """Look through a collection once for its rules and licence; most collections have none, and cost little."""
    names = {name for corpus in policy.corpora for name in corpus.licence_file}
    rules: dict[str, str] = {}
    licences: list[str] = []
    for document in collection():
        if isinstance(document, Issue):
            continue
        try:
            if document.relative in names:
                licences.append(decode_text(document.head)[0])
            elif document.size <= limits.yaml_bytes and sigma.detect(document):
                rules[document.relative] = hashlib.sha256(document.read()).hexdigest()
        except InputError:
            continue
    return recognise_rules(rules, licences, policy)
