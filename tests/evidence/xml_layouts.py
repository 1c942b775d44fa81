"""Windows events as XML in every layout in which tools write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evtx import PyEvtxParser

__all__ = ["LAYOUTS", "compact", "lay_out", "xml_of_evtx"]

_BETWEEN_TAGS = re.compile(r">[ ]*\n[ ]*<")
LAYOUTS = ("event viewer", "pretty", "lines", "utf-16 lines", "concatenated", "wevtutil")


def compact(xml: str) -> str:
    """Return an event without what a pretty-printer put between its tags, and without the XML declaration."""
    return _BETWEEN_TAGS.sub("><", xml[xml.index("<Event") :].strip())


def xml_of_evtx(path: str) -> list[str]:
    """Return the XML of each event of a sound EVTX file, as the wheel prints it."""
    return [record["data"] for record in PyEvtxParser(path).records() if record]


def lay_out(events: Sequence[str], layout: str) -> bytes:
    """Write events (pretty-printed XML) in one of the layouts."""
    if layout == "pretty":
        inner = "\n".join(event[event.index("<Event") :] for event in events)
        return f'<?xml version="1.0" encoding="utf-8"?>\n<Events>\n{inner}\n</Events>\n'.encode()
    short = [compact(event) for event in events]
    if layout == "event viewer":
        head = '\ufeff<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n'
        return f"{head}<Events>{''.join(short)}</Events>".encode()
    if layout == "wevtutil":
        rendering = "<RenderingInfo Culture='en-US'><Message>It happened.</Message><Level>Information</Level>"
        rendering += "<Keywords><Keyword>Audit Success</Keyword></Keywords></RenderingInfo></Event>"
        return "".join(event.removesuffix("</Event>") + rendering for event in short).encode()
    if layout == "concatenated":
        return "".join(short).encode()
    text = "\r\n".join(short) + "\r\n"
    return text.encode("utf-16") if layout.startswith("utf-16") else text.encode()
