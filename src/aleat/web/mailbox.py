"""The collection of messages beside an ally's feed: how a TAXII client sees it (TAXII 2.1 §5.1).

It holds sealed files as STIX artifacts (`aleat.exchange.letters`); what they are and who may have them is for
`aleat.workspace.mailbox`.
"""

from __future__ import annotations

from aleat.exchange.letters import MESSAGES_ALIAS
from aleat.exchange.taxii_messages import Collection
from aleat.workspace.accounts import Account

__all__ = ["messages_collection"]


def messages_collection(id_: str, organisation: str, account: Account, media_type: str) -> Collection:
    """Return the resource of an ally's collection of messages (§5.2)."""
    return Collection(
        id=id_,
        title=f"{organisation}, messages to you",
        description="Sealed files between our two teams: Aleat opens them." + ("" if account.push else " Read only."),
        alias=MESSAGES_ALIAS,
        can_read=True,
        can_write=account.push,
        media_types=(media_type,),
    )
