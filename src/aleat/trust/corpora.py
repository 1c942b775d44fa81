"""Public corpora (ATT&CK, SigmaHQ …): what recognises one, and the signed policy that lets it be given on.

Their objects carry no label, and what carries no label stays. A policy file (`corpora.toml`, signed by the
workspace's own key) names the corpora that are treated as TLP:CLEAR nonetheless, and by what they may be
recognised: a digest proves it, a person's declaration answers for it, an appearance only suggests it, and
anybody can forge one. Which of them held is kept with every copy (`Provenance.corpus_basis`), so that a
releaser sees it and a policy can be made stricter later. See docs/decisions/0002-public-corpora.md.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from aleat.errors import TrustError
from aleat.stix.objects import StixObject
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import PublicKey, SigningKey

__all__ = [
    "Corpus",
    "CorpusMatch",
    "CorpusPolicy",
    "appears_in",
    "corpus_digest",
    "in_corpus_folder",
    "parse_policy",
    "policy_bytes",
    "recognise_file",
    "recognise_objects",
    "recognise_rules",
    "sign_policy",
    "verify_policy",
]

_TYP = "aleat-corpora"

Basis = Literal["digest", "declared", "appearance"]


class CorpusVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a corpus: its name, how many objects (rules) it has, and their digest (`corpus_digest`)."""

    name: str
    objects: int
    digest: str


class Corpus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One public corpus and what it is recognised by; see the comments in `corpora.toml`."""

    name: str
    title: str
    licence: str
    attribution: str
    treat_as: Literal["clear"]
    accept: tuple[Basis, ...]
    aliases: tuple[str, ...] = ()
    identity: str = ""
    markings: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    licence_file: tuple[str, ...] = ()
    licence_phrases: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    versions: tuple[CorpusVersion, ...] = ()


class CorpusMatch(msgspec.Struct, frozen=True):
    """A corpus that something was recognised as, by what, and which version, where that is known."""

    name: str
    basis: Basis
    version: str = ""


class _PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    corpus: tuple[Corpus, ...]


class CorpusPolicy(msgspec.Struct, frozen=True):
    """The corpora that a workspace treats as TLP:CLEAR."""

    version: int
    corpora: tuple[Corpus, ...]

    def get(self, name: str) -> Corpus:
        """Return the corpus called `name` (or that by an alias); raises `TrustError` where the policy has none."""
        for corpus in self.corpora:
            if name == corpus.name or name in corpus.aliases:
                return corpus
        known = ", ".join(corpus.name for corpus in self.corpora)
        raise TrustError(f"The workspace's policy knows no corpus {name[:60]!r}. It knows {known}.")

    def treats_as_clear(self, name: str | None, basis: str) -> bool:
        """Tell whether a copy recognised as corpus `name` by `basis` may be treated as TLP:CLEAR."""
        return any(corpus.name == name and basis in corpus.accept for corpus in self.corpora)


def policy_bytes() -> bytes:
    """Return the policy that a new workspace begins with."""
    return files("aleat.trust").joinpath("corpora.toml").read_bytes()


@lru_cache(8)
def parse_policy(data: bytes) -> CorpusPolicy:
    """Read a policy file; raises `TrustError` where it says something that isn't understood."""
    try:
        content = msgspec.convert(tomllib.loads(data.decode()), _PolicyFile)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise TrustError(f"The policy on public corpora can't be read: {error}.") from None
    if content.version != 1:
        raise TrustError("The policy on public corpora has a newer version than this Aleat knows.")
    return CorpusPolicy(content.version, content.corpus)


def sign_policy(data: bytes, key: SigningKey) -> str:
    """Return the detached signature of the workspace's `key` over a policy file that can be read."""
    parse_policy(data)
    return sign_detached(data, key, typ=_TYP)


def verify_policy(data: bytes, signature: str, keys: Iterable[PublicKey]) -> CorpusPolicy:
    """Return the policy in `data` that one of `keys` signed; raises `SignatureError` where none did."""
    verify_detached(signature, data, keys, typ=_TYP)
    return parse_policy(data)


def corpus_digest(digests: Iterable[str]) -> str:
    """Return the SHA-256 (hex) over the sorted distinct digests of a corpus' objects or rules, one a line."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(set(digests))).encode()).hexdigest()


def recognise_objects(objects: Sequence[StixObject], policy: CorpusPolicy) -> CorpusMatch | None:
    """Return the corpus that all of `objects` (one bundle) are part of, or None.

    By digest where they are exactly a known version; else by appearance, where every object has a type of the
    corpus, is by its identity (or by nobody), has no marking but the corpus' own, no granular one, and was
    changed by nobody else (`x_mitre_modified_by_ref`: ATT&CK's tools let others edit its objects in place).
    """
    if not objects:
        return None
    digest = corpus_digest(item.digest for item in objects)
    for corpus in policy.corpora:
        for version in corpus.versions:
            if version.digest == digest:
                return CorpusMatch(corpus.name, "digest", version.name)
    for corpus in policy.corpora:
        if corpus.identity and all(appears_in(item, corpus) for item in objects):
            by_them = sum(item.created_by_ref == corpus.identity for item in objects)
            if 2 * by_them > len(objects):
                return CorpusMatch(corpus.name, "appearance", _collection_version(objects))
    return None


def recognise_file(digest: str, policy: CorpusPolicy) -> CorpusMatch | None:
    """Return the corpus that a file with the SHA-256 `digest` (hex, of its bytes) is a known version of, or None."""
    for corpus in policy.corpora:
        for version in corpus.versions:
            if version.digest == digest:
                return CorpusMatch(corpus.name, "digest", version.name)
    return None


def recognise_rules(rules: Mapping[str, str], licences: Iterable[str], policy: CorpusPolicy) -> CorpusMatch | None:
    """Return the corpus that a collection of rule files is, or None.

    `rules` are the rule files: path below the collection's root (with ``/``) and SHA-256 (hex) of its bytes;
    `licences` the texts of the licence files at its root. The answer is about the files in the corpus' own
    folders only: see `in_corpus_folder`.
    """
    texts = [" ".join(text.split()) for text in licences]
    for corpus in policy.corpora:
        own = [digest for path, digest in rules.items() if in_corpus_folder(path, corpus)]
        if not own or not corpus.folders:
            continue
        digest = corpus_digest(own)
        for version in corpus.versions:
            if version.digest == digest:
                return CorpusMatch(corpus.name, "digest", version.name)
        if any(all(phrase in text for phrase in corpus.licence_phrases) for text in texts):
            return CorpusMatch(corpus.name, "appearance")
    return None


def in_corpus_folder(path: str, corpus: Corpus) -> bool:
    """Tell whether a path below a collection's root is in one of the corpus' folders (any, where it has none)."""
    return not corpus.folders or path.partition("/")[0] in corpus.folders


def appears_in(item: StixObject, corpus: Corpus) -> bool:
    """Tell whether an object may be one of the corpus' own, by its type, creator and markings."""
    return (
        item.type in corpus.types
        and item.created_by_ref in {corpus.identity, None}
        and set(item.object_marking_refs) <= set(corpus.markings)
        and not item.granular_markings
        and not _changed_by_others(item, corpus)
    )


def _changed_by_others(item: StixObject, corpus: Corpus) -> bool:
    if b'"x_mitre_modified_by_ref"' not in item.raw:
        return False
    return item.properties().get("x_mitre_modified_by_ref") != corpus.identity


def _collection_version(objects: Sequence[StixObject]) -> str:
    """What the bundle's own collection object, if it has one, calls its version: shown, not relied on."""
    for item in objects:
        if item.type == "x-mitre-collection":
            return str(item.properties().get("x_mitre_version", ""))[:40]
    return ""
