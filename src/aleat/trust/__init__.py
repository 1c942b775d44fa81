"""Who may see and do what: markings, agreements, allies, people and roles, keys, signatures, sealed files.

Facts and checks only. What may leave is decided in `aleat.release`, where it is recorded in `aleat.store`; no file,
database or clock is touched here.
"""

from __future__ import annotations

from aleat.trust.agreements import Agreement, AllyCard, Permission, export_card, fingerprint, read_agreement, read_card
from aleat.trust.chain import ChainFault, Entry, Head, check_chain
from aleat.trust.corpora import CorpusPolicy, parse_policy, policy_bytes, sign_policy, verify_policy
from aleat.trust.jws import sign_detached, verify_detached
from aleat.trust.keys import AgeKey, PublicKey, SigningKey
from aleat.trust.markings import EffectiveMarkings, Marking, effective_markings, marking_definition, marking_id
from aleat.trust.people import ROLES, require_role
from aleat.trust.seal import open_sealed, seal, sealed_name

__all__ = [
    "ROLES",
    "AgeKey",
    "Agreement",
    "AllyCard",
    "ChainFault",
    "CorpusPolicy",
    "EffectiveMarkings",
    "Entry",
    "Head",
    "Marking",
    "Permission",
    "PublicKey",
    "SigningKey",
    "check_chain",
    "effective_markings",
    "export_card",
    "fingerprint",
    "marking_definition",
    "marking_id",
    "open_sealed",
    "parse_policy",
    "policy_bytes",
    "read_agreement",
    "read_card",
    "require_role",
    "seal",
    "sealed_name",
    "sign_detached",
    "sign_policy",
    "verify_detached",
    "verify_policy",
]
