"""From sightings to a case: incidents, campaigns, outages with their causes, one timeline, what is still open.

Pure: no clock, no disk but the package's own data, no network; the same input in any order gives the same
case. It doesn't hunt (`aleat.hunt`), doesn't say who did it (`aleat.attribution`), and writes no prose for
people (`aleat.report` has templates for its codes). Public claims are carried beside the evidence and decide
nothing.
"""

from aleat.case.build import ClaimsLike, build_case
from aleat.case.context import indicator_tags
from aleat.case.log_findings import LogActivity
from aleat.case.requests import REQUESTS_SCHEMA, empty_requests, requests_table
from aleat.case.response_records import Response, ResponseGiver, ResponseReason
from aleat.case.responses import fit_responses, is_about_responses
from aleat.case.signal_rules import SIGNAL_SOURCE, is_signal, signals

__all__ = [
    "REQUESTS_SCHEMA",
    "SIGNAL_SOURCE",
    "ClaimsLike",
    "LogActivity",
    "Response",
    "ResponseGiver",
    "ResponseReason",
    "build_case",
    "empty_requests",
    "fit_responses",
    "indicator_tags",
    "is_about_responses",
    "is_signal",
    "requests_table",
    "signals",
]
