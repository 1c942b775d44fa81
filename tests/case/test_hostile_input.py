"""Whatever a hunt hands over, a case is built: no time, no host, odd cells, long values, odd tags."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aleat.attribution import assess, profiles
from aleat.case import build_case
from aleat.hunt.indicator import Sighting
from tests.case.simulator import at, cover, utc

_TEXT = st.text(max_size=12)
_CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=True),
    _TEXT,
    st.just("x" * 20_000),
    st.just("\\" * 5000),
    st.just("SHA256=" + "a" * 5000),
    st.lists(_TEXT, max_size=2),
    st.sampled_from(["::1", "203.0.113.9", "fe80::1%eth0", "999.1.1.1", "GOV\\a", "a@b@c", "S-1-5-18", "0xzz", "-"]),
)
_FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "User",
            "SubjectUserName",
            "TargetUserName",
            "IpAddress",
            "DestinationIp",
            "c-ip",
            "Hashes",
            "TargetFilename",
            "TaskName",
            "ServiceName",
            "cs-host",
            "QueryName",
            "param4",
            "param7",
            "CommandLine",
            "WorkstationName",
            "cs-uri-stem",
            "StartType",
            "TargetObject",
            "Initiated",
            "SourceIp",
        ]
    ),
    _CELL,
    max_size=6,
)
_SIGHTING = st.builds(
    Sighting,
    indicator=st.sampled_from(["a", "b", "c", ""]),
    title=_TEXT,
    level=st.sampled_from(["high", "critical", "low", "odd", ""]),
    author=st.none(),
    evidence=_TEXT,
    record=st.integers(0, 5),
    offset=st.integers(0, 5),
    event=st.sampled_from(["", "e1", "e2", "e3", "e4"]),
    time=st.one_of(
        st.none(), st.integers(at("2022-07-01 00:00"), at("2022-07-09 00:00")), st.sampled_from([0, -(10**15)])
    ),
    host=st.sampled_from(["", "H1", "h1", "h1.x", "H2.x", ".", "10.0.0.1"]),
    fields=_FIELDS,
    source=st.sampled_from(["Ally", "aleat", "SigmaHQ", ""]),
    format=st.sampled_from(["windows", "iis", "access", ""]),
    event_id=st.sampled_from(["", "1", "1074", "4724", "7045"]),
    tags=st.lists(
        st.sampled_from(
            [
                "attack.t1486",
                "attack.impact",
                "attack.g0049",
                "aleat.shutdown-planned",
                "aleat.removed-file",
                "aleat.persistence-service",
                "aleat.password-reset",
                "aleat.account-created",
                "ATTACK.T1505.003",
                "x",
            ]
        ),
        max_size=3,
    ).map(tuple),
    matched=st.lists(st.tuples(_TEXT, st.sampled_from(["203.0.113.9", "b" * 32, "q"])), max_size=2).map(tuple),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(_SIGHTING, max_size=12), st.booleans())
def test_any_sightings_give_a_case_in_any_order(sightings: list[Sighting], backwards: bool) -> None:
    coverage = cover(("H1", "H2.x"), "2022-07-01", "2022-07-10") if backwards else ()
    case = build_case(name="t", reference_time=utc("2022-10-01"), sightings=sightings, coverage=coverage)
    assert assess(case, profiles([])) is not None
    for incident in case.incidents:
        assert incident.first <= incident.last
        assert all(0 <= position < len(case.sightings) for position in incident.sightings)
