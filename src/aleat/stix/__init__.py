"""The vocabulary that all stages speak: STIX 2.1 objects, ids, times, canonical JSON, extensions of our own.

Pure: bytes and records in, bytes and records out. What an object's pattern means is for `aleat.hunt`, what
its markings mean for `aleat.trust`, where it is kept for `aleat.store`.
"""

from aleat.stix.bundle import ParsedBundle, make_bundle, parse_bundle
from aleat.stix.canonical import canonical_json, canonical_json_text
from aleat.stix.ids import content_id, observable_id, random_id
from aleat.stix.limits import ObjectLimits
from aleat.stix.objects import GranularMarking, StixObject, make_object, parse_object
from aleat.stix.times import format_timestamp, is_timestamp, parse_timestamp

__all__ = [
    "GranularMarking",
    "ObjectLimits",
    "ParsedBundle",
    "StixObject",
    "canonical_json",
    "canonical_json_text",
    "content_id",
    "format_timestamp",
    "is_timestamp",
    "make_bundle",
    "make_object",
    "observable_id",
    "parse_bundle",
    "parse_object",
    "parse_timestamp",
    "random_id",
]
