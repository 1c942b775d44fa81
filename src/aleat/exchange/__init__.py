"""Aid between two teams: what is asked for, offered, given, answered and closed, and the files it travels in.

The acts (`ask`, `inquire`, `ask_permission`, `offer`, `accept`, `deliver`, `answer` …) make sealed files, `receive`
opens them; both sides keep every message, and `asks` folds them to the same state on both. Objects leave only
through the gate (`aleat.release`). These don't send: a file is carried by whoever carries it.

Servers of other parties are polled through `open_source` (TAXII 2.1, MISP); `push_objects` puts objects into a TAXII
collection. What they may cost is in `RemoteLimits`.
"""

from aleat.exchange.access import Access, Credentials, RemoteLimits, Tls
from aleat.exchange.beside import FindingRow, findings_beside
from aleat.exchange.collect import Knowledge, collect_knowledge
from aleat.exchange.desk import Desk, terms_for, trusted_ally
from aleat.exchange.feeds import Feed, Page
from aleat.exchange.findings import Finding, NotLookedAt, findings_of_hunt, read_findings
from aleat.exchange.giving import answer, deliver, prepare_release
from aleat.exchange.inbox import Received, receive
from aleat.exchange.inquiries import inquire
from aleat.exchange.messages import (
    Acceptance,
    Affected,
    Closing,
    Delivery,
    Findings,
    Grant,
    Inquiry,
    Message,
    Offer,
    PermissionRequest,
    Receipt,
    Refusal,
    Request,
    Results,
    Retraction,
    Withdrawal,
)
from aleat.exchange.outbox import (
    accept,
    answer_in_words,
    ask,
    close_thread,
    deliver_help,
    offer,
    refuse,
    retract,
)
from aleat.exchange.overview import (
    asks,
    delivered_indicators,
    findings_received,
    open_answer,
    open_delivery,
    rule_ids,
)
from aleat.exchange.permissions import ask_permission, freeable, permit
from aleat.exchange.receipts import WithdrawalRow, withdrawals
from aleat.exchange.sending import Sent, acknowledge
from aleat.exchange.sources import SOURCES, Source, open_source
from aleat.exchange.steps import AskRow, Step, next_step
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import Pushed, PushFailure, push_objects
from aleat.exchange.threads import Thread, ThreadFault, fold_thread, fold_threads
from aleat.exchange.withdrawals import Withdrawn, withdraw, withdraw_objects

__all__ = [
    "SOURCES",
    "Acceptance",
    "Access",
    "Affected",
    "AskRow",
    "Closing",
    "Credentials",
    "Delivery",
    "Desk",
    "Feed",
    "Finding",
    "FindingRow",
    "Findings",
    "Grant",
    "Inquiry",
    "Knowledge",
    "Message",
    "NotLookedAt",
    "Offer",
    "Page",
    "PermissionRequest",
    "PushFailure",
    "Pushed",
    "Receipt",
    "Received",
    "Refusal",
    "RemoteLimits",
    "Request",
    "Results",
    "Retraction",
    "Sent",
    "Source",
    "Step",
    "TaxiiClient",
    "Thread",
    "ThreadFault",
    "Tls",
    "Withdrawal",
    "WithdrawalRow",
    "Withdrawn",
    "accept",
    "acknowledge",
    "answer",
    "answer_in_words",
    "ask",
    "ask_permission",
    "asks",
    "close_thread",
    "collect_knowledge",
    "deliver",
    "deliver_help",
    "delivered_indicators",
    "findings_beside",
    "findings_of_hunt",
    "findings_received",
    "fold_thread",
    "fold_threads",
    "freeable",
    "inquire",
    "next_step",
    "offer",
    "open_answer",
    "open_delivery",
    "open_source",
    "permit",
    "prepare_release",
    "push_objects",
    "read_findings",
    "receive",
    "refuse",
    "retract",
    "rule_ids",
    "terms_for",
    "trusted_ally",
    "withdraw",
    "withdraw_objects",
    "withdrawals",
]
