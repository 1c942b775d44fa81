"""What a workspace knows that decides about knowledge: what was withdrawn, and how it ages by agreement."""

from __future__ import annotations

from aleat.hunt.standing import KnowledgeTerms
from aleat.store.allies import read_agreements
from aleat.store.database import Connection
from aleat.store.withdrawn import withdrawn_copies
from aleat.trust.keys import PublicKey
from aleat.workspace.core import Session

__all__ = ["knowledge_terms"]


def knowledge_terms(session: Session, connection: Connection) -> KnowledgeTerms:
    """Return the terms; raises `IntegrityError` where an agreement was changed after it was signed."""
    key = PublicKey.from_text(session.config.signing_public)
    ageing = tuple(item for item in read_agreements(connection, key) if item.decay is not None)
    return KnowledgeTerms(withdrawn_copies(connection), ageing, session.names(connection))
