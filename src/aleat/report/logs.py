"""What logs show of themselves, in words: one sentence a finding."""

from __future__ import annotations

from aleat.case.records import LogFinding
from aleat.report.messages import Messages

__all__ = ["log_text"]


def log_text(finding: LogFinding, messages: Messages) -> str:
    """Return a finding's sentence, and after the last one of a kind how many more there were."""
    told = finding.parameters
    logs = told.get("logs") or finding.channel or finding.format
    if "more_logs" in told:
        logs = messages.say("log", "and_more", logs=logs, count=told["more_logs"])
    ends = finding.last is None
    hours = "" if finding.last is None else f"{(finding.last - finding.first).total_seconds() / 3600:.0f}"
    code = finding.kind
    if ends and code in ("log-silent", "host-silent"):
        code = f"{code}-to-the-end"
    elif "by" in told:
        code = f"{code}-by"
    values = {**told, "logs": logs, "count": finding.count, "hours": hours}
    text = messages.say("log", code, **{**values, "bits": f"{finding.bits:.0f}"})
    return f"{text} {messages.say('log', 'more', count=told['more'])}" if "more" in told else text
