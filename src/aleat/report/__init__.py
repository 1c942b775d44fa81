"""Report: a case as one offline HTML file, as a STIX 2.1 bundle, and as a paragraph.

Everything here is made from a case's typed records; nothing is decided here, and nothing is read or written.
Words for people are in the catalogues of `messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aleat.deferred import deferred

if TYPE_CHECKING:
    from aleat.report.answer import Answer, first_things, make_answer
    from aleat.report.bundle import case_bundle, case_objects
    from aleat.report.custody import CustodyForm, CustodySource, render_custody_html, render_custody_text
    from aleat.report.html import entry_text, render_html
    from aleat.report.logs import log_text
    from aleat.report.messages import LANGUAGES, Messages, load_messages
    from aleat.report.records import Assumption, ReportInput
    from aleat.report.responses import FIRST_RESPONSES, giver_text, playbook_facts, reasons_text, step_text

__all__ = [
    "FIRST_RESPONSES",
    "LANGUAGES",
    "Answer",
    "Assumption",
    "CustodyForm",
    "CustodySource",
    "Messages",
    "ReportInput",
    "case_bundle",
    "case_objects",
    "entry_text",
    "first_things",
    "giver_text",
    "load_messages",
    "log_text",
    "make_answer",
    "playbook_facts",
    "reasons_text",
    "render_custody_html",
    "render_custody_text",
    "render_html",
    "step_text",
]

if not TYPE_CHECKING:
    __getattr__ = deferred(
        __name__,
        {
            "answer": ("Answer", "first_things", "make_answer"),
            "bundle": ("case_bundle", "case_objects"),
            "custody": ("CustodyForm", "CustodySource", "render_custody_html", "render_custody_text"),
            "html": ("entry_text", "render_html"),
            "logs": ("log_text",),
            "messages": ("LANGUAGES", "Messages", "load_messages"),
            "records": ("Assumption", "ReportInput"),
            "responses": ("FIRST_RESPONSES", "giver_text", "playbook_facts", "reasons_text", "step_text"),
        },
    )
