"""What a news text claims: who accuses, denies, condemns, offers, severs, each with its exact quote.

`read_claims` reads English prose with a lexicon and plain linguistics (no model, nothing to download): data in
``lexicon.toml``, ``places.toml`` and ``collect.toml``, one function a frame in `frames_blame` and
`frames_stance`. It opens a case of *alleged* incidents: it never says that anything happened, never resolves a
date that the text doesn't settle, and leaves words as they are written where the text doesn't say who is meant.

Not here: claims as evidence (they aren't), other languages, advisories (see `aleat.knowledge.readers.prose`).
"""

from __future__ import annotations

from datetime import datetime

from aleat.case.claims.news import looks_like_news, news_score
from aleat.case.claims.notes import claim_notes
from aleat.case.claims.result import MAX_BYTES, MAX_CLAIMS, ClaimsResult, build_claims

__all__ = ["MAX_BYTES", "MAX_CLAIMS", "ClaimsResult", "claim_notes", "looks_like_news", "news_score", "read_claims"]


def read_claims(text: str, document: str, *, reference_time: datetime) -> ClaimsResult:
    """Read the claims of a news text.

    `text` is the document's text as decoded (offsets count its characters; byte offsets its UTF-8 form), at
    most `MAX_BYTES` long; `document` its name or path, for the records. `reference_time` (aware) is the time of
    reading; it is accepted so that every stage is called alike, and no date is ever resolved with it.

    Raises `LimitError` where the text is too long, `InputError` where it is no Unicode text.
    """
    if reference_time.tzinfo is None:
        raise ValueError("reference_time must be aware (UTC).")
    return build_claims(text, document)
