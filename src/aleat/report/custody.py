"""The custody record: what is known of each source, for a court or an ally to sign; as text, HTML, or JSON.

The form holds facts only; its words are in the catalogues of `messages`, section ``custody``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from aleat.report.html import environment, style
from aleat.report.messages import Messages, load_messages
from aleat.text import visible
from aleat.times import calendar_time
from aleat.trust.chain import Head

__all__ = [
    "CustodyForm",
    "CustodyHash",
    "CustodyIssue",
    "CustodySource",
    "SignedHead",
    "render_custody_html",
    "render_custody_text",
]

MAX_ISSUES = 50
"""At most this many ranges of one source stand in text and page."""

_WIDTH = 100
_LABEL = 20

Row = tuple[str, str]


class CustodyHash(msgspec.Struct, frozen=True, kw_only=True):
    """A hash that the collector stated of the "source" or the "container" in the file `list`, and ours."""

    algorithm: str
    stated: str
    found: str
    of: str
    list: str
    agrees: bool


class CustodyIssue(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be read (`length` bytes at `offset`), or should be known (no length)."""

    code: str
    offset: int | None
    length: int | None
    records: int | None
    reason: str


class CustodySource(msgspec.Struct, frozen=True, kw_only=True):
    """One source; times are STIX timestamps, `first` and `last` microseconds since 1970.

    `state` is "copy", "reference" (and the file is there), "away" (by reference, and it isn't), "elsewhere" (by
    reference, at an address that is not looked at), "lost" (a copy that isn't there) or "forgotten".
    """

    number: int
    path: str
    sha256: str
    size: int | None
    container_sha256: str
    members: tuple[str, ...]
    collector: tuple[CustodyHash, ...]
    copied: bool
    file: str
    state: str
    same_as: str
    given_by: str
    origin: dict[str, str]
    """What the collection or the place that it came from tells: collector, host, original path, address …"""
    note: str
    acquired: str
    added: str
    added_by: str
    reader: str
    reader_version: int | str
    options: dict[str, str]
    """What was stated about reading it: code page, zone, host …"""
    records: int
    first: int | None
    last: int | None
    encodings: dict[str, int]
    issues: tuple[CustodyIssue, ...]
    forgotten: str = ""
    forgotten_by: str = ""
    forgotten_reason: str = ""


class SignedHead(msgspec.Struct, frozen=True, kw_only=True):
    """Heads that an ally countersigned."""

    organisation: str
    key: str
    time: str
    heads: tuple[Head, ...]


class CustodyForm(msgspec.Struct, frozen=True, kw_only=True):
    """All that the form tells; `key` is the id of the key that signs the ledgers, `lake` the Merkle root."""

    workspace: str
    organisation: str
    version: str
    made: datetime
    zone: str
    key: str
    fingerprint: str
    lake: str
    heads: tuple[Head, ...]
    countersigned: tuple[SignedHead, ...]
    sources: tuple[CustodySource, ...]
    forgotten: tuple[CustodySource, ...] = ()


def render_custody_text(form: CustodyForm, *, language: str = "en") -> str:
    """Return the form as plain text, at most 100 columns wide but for paths and hashes."""
    messages = load_messages(language)
    lines = [messages.say("custody", "title").upper(), "", *_folded(_made(form, messages), ""), ""]
    lines += _table(_head_rows(form, messages))
    for source in (*form.sources, *form.forgotten):
        title = messages.say("custody", "source", n=source.number, path=visible(source.path))
        lines += ["", title, "-" * min(len(title), _WIDTH), *_table(_source_rows(source, form, messages))]
    lines += ["", "=" * _WIDTH, "", messages.say("custody", "statement")]
    for side in ("handed_over", "taken_over"):
        lines += ["", messages.say("custody", side).upper()]
        for label in ("name", "place", "signature"):
            lines += ["", f"{messages.say('custody', label).ljust(_LABEL + 4)}{'_' * 60}"]
    return "\n".join(lines) + "\n"


def render_custody_html(form: CustodyForm, *, language: str = "en") -> bytes:
    """Return the form as one UTF-8 HTML page that loads nothing, made to be printed."""
    messages = load_messages(language)
    page = (
        environment()
        .get_template("custody.html.j2")
        .render(
            form=form,
            language=language,
            say=messages.say,
            made=_made(form, messages),
            head_rows=list(_head_rows(form, messages)),
            sources=[
                (source, list(_source_rows(source, form, messages))) for source in (*form.sources, *form.forgotten)
            ],
            style=style(),
        )
    )
    return page.encode("utf-8", errors="replace")


def _made(form: CustodyForm, messages: Messages) -> str:
    zone = messages.say("custody", "zone", zone=form.zone) if form.zone != "UTC" else ""
    made = form.made.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return messages.say("custody", "made", time=made, organisation=form.organisation, version=form.version, zone=zone)


def _head_rows(form: CustodyForm, messages: Messages) -> Iterator[Row]:
    """Yield (label, value) of what is true of all sources."""

    def row(code: str, value: str) -> Row:
        return messages.say("custody", code), value

    yield row("workspace", form.workspace)
    yield row("key", form.key)
    yield row("fingerprint", form.fingerprint)
    yield row("lake", form.lake)
    for head in form.heads:
        value = messages.say("custody", "head_value", entries=head.entries, hash=head.hash)
        yield messages.say("custody", "head", ledger=head.ledger), value
    for one in form.countersigned:
        heads = ", ".join(f"{head.ledger} {head.entries}" for head in one.heads)
        time = _stamp(one.time, form)
        value = messages.say("custody", "countersigned_value", organisation=one.organisation, time=time, heads=heads)
        yield row("countersigned", value)
    if not form.countersigned:
        yield row("countersigned", messages.say("custody", "countersigned_none"))
    if form.forgotten:
        yield row("forgotten_count", messages.say("custody", "forgotten_count_value", n=len(form.forgotten)))


def _source_rows(source: CustodySource, form: CustodyForm, messages: Messages) -> Iterator[Row]:
    """Yield (label, value) of one source."""

    def say(code: str, **parameters: object) -> str:
        return messages.say("custody", code, **parameters)

    yield say("sha256"), source.sha256 or say("unfinished")
    if source.size is not None:
        yield say("size"), say("bytes", n=source.size)
    if source.members:
        yield say("container"), say("container_value", sha256=source.container_sha256)
    yield from _collector_rows(source, messages)
    if source.forgotten:
        time = _stamp(source.forgotten, form)
        value = say("forgotten_value", time=time, actor=source.forgotten_by, reason=source.forgotten_reason)
        yield say("forgotten"), value
    else:
        yield say("kept"), say(_KEPT[source.state], file=source.file)
    if source.same_as:
        yield say("same_as"), source.same_as
    yield say("given_by"), source.given_by
    for name, text in sorted(source.origin.items()):
        yield say("origin"), say("origin_value", name=name.replace("_", " "), text=text)
    if source.note:
        yield say("note"), source.note
    if source.acquired:
        yield say("acquired"), _stamp(source.acquired, form)
    yield say("added"), say("added_value", time=_stamp(source.added, form), actor=source.added_by)
    yield say("reader"), say("reader_value", reader=source.reader, version=source.reader_version)
    for name, text in sorted(source.options.items()):
        yield say("options"), say("origin_value", name=name.replace("_", " "), text=text)
    if not source.forgotten:
        yield from _content_rows(source, form, messages)


_KEPT = {
    "copy": "kept_copy",
    "reference": "kept_reference",
    "away": "kept_away",
    "elsewhere": "kept_elsewhere",
    "lost": "kept_lost",
}


def _collector_rows(source: CustodySource, messages: Messages) -> Iterator[Row]:
    label = messages.say("custody", "collector")
    for one in source.collector:
        code = "collector_agrees" if one.agrees else "collector_differs"
        of = messages.say("custody", f"of_{one.of}")
        told = {"algorithm": one.algorithm, "stated": one.stated, "found": one.found, "list": one.list, "of": of}
        yield label, messages.say("custody", code, **told)
    if not source.collector:
        yield label, messages.say("custody", "collector_none")


def _content_rows(source: CustodySource, form: CustodyForm, messages: Messages) -> Iterator[Row]:
    def say(code: str, **parameters: object) -> str:
        return messages.say("custody", code, **parameters)

    yield say("records"), str(source.records)
    if source.first is not None and source.last is not None:
        first, last = (_shown(calendar_time(time), form) for time in (source.first, source.last))
        yield say("span"), say("span_value", first=first, last=last)
    else:
        yield say("span"), say("span_none")
    for name, lines in sorted(source.encodings.items()):
        yield say("encodings"), say("encodings_value", lines=lines, name=name)
    unread = [issue for issue in source.issues if issue.length]
    if not unread:
        yield say("unread"), say("unread_none")
    for issue in unread[:MAX_ISSUES]:
        yield say("unread"), say("unread_value", length=issue.length, offset=issue.offset, reason=issue.reason)
    if len(unread) > MAX_ISSUES:
        yield say("unread"), say("more", n=len(unread) - MAX_ISSUES)
    remarks = [issue for issue in source.issues if not issue.length]
    for issue in remarks[:MAX_ISSUES]:
        code = "remark_value" if issue.offset is None else "remark_at"
        yield say("remark"), say(code, offset=issue.offset, reason=issue.reason)
    if len(remarks) > MAX_ISSUES:
        yield say("remark"), say("more", n=len(remarks) - MAX_ISSUES)


def _stamp(text: str, form: CustodyForm) -> str:
    """Return a timestamp as the form shows times."""
    return _shown(datetime.fromisoformat(text), form)


def _shown(time: datetime | None, form: CustodyForm) -> str:
    if time is None:
        return "—"
    shown = time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return shown if form.zone == "UTC" else f"{shown} ({time.astimezone(ZoneInfo(form.zone)):%H:%M %z})"


def _table(rows: Iterator[Row]) -> list[str]:
    """Return rows as aligned lines, values folded."""
    made: list[str] = []
    before = ""
    for label, value in rows:
        folded = _folded(visible(value), " " * (_LABEL + 4))
        made.append(f"  {(label if label != before else '').ljust(_LABEL + 2)}{folded[0].lstrip()}")
        made += folded[1:]
        before = label
        if len(label) > _LABEL + 1:
            made[-len(folded) :] = [f"  {label}", *folded]
    return made


def _folded(text: str, indent: str) -> list[str]:
    """Return text as lines; what has no space (a path, a hash) is not cut."""
    wrapper = textwrap.TextWrapper(_WIDTH, initial_indent=indent, subsequent_indent=indent)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.wrap(text) or [indent]
