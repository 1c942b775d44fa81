"""A simulated attack in two waves, with a dwell of fourteen months before the first, in benign background."""

from __future__ import annotations

from aleat.hunt.indicator import Sighting
from tests.case.simulator import PUBLIC, cover, hit, noise, signal

GOVERNMENT = ("WEB01", "WEB02", "MAIL01", "DC01", "FS01", "WS11", "WS12")
POLICE = ("POL-WEB", "POL-DB", "POL-DC")
HOSTS = (*GOVERNMENT, *POLICE)
COVERAGE = cover(HOSTS, "2021-05-01", "2022-09-15")
FIRST_HOSTS = {"WEB01", "MAIL01", "DC01", "FS01"}
SECOND_HOSTS = {"POL-WEB", "POL-DB"}
C2 = "185.12.45.7"


def first_wave() -> list[Sighting]:
    """May 2021: a web shell; mail and credentials in between; 15 July 2022: encryption and wiping."""
    shell = {"cs_uri_stem": "/_layouts/15/pickers.aspx", "c_ip": C2}
    web = ("attack.persistence", "attack.t1505.003")
    return [
        hit("ally-shell", "WEB01", "2021-05-12 03:10", tags=web, format="iis", event_id="", **shell),
        hit(
            "webshell-file",
            "WEB01",
            "2021-05-12 03:05",
            source=PUBLIC,
            tags=web,
            event_id="11",
            TargetFilename="C:\\inetpub\\wwwroot\\pickers.aspx",
            User="IIS APPPOOL\\x",
        ),
        hit("ally-shell", "WEB01", "2022-02-01 02:00", tags=web, format="iis", event_id="", **shell),
        hit(
            "ally-mail",
            "MAIL01",
            "2022-06-10 01:00",
            tags=("attack.collection", "attack.t1114"),
            SubjectUserName="svc_mx",
        ),
        hit(
            "ally-dump",
            "MAIL01",
            "2022-06-10 01:30",
            level="critical",
            tags=("attack.credential-access", "attack.t1003"),
            SubjectUserName="svc_mx",
        ),
        hit(
            "ally-rdp",
            "WEB01",
            "2022-06-09 23:00",
            tags=("attack.lateral-movement", "attack.t1021"),
            SubjectUserName="svc_mx",
        ),
        hit(
            "ally-tunnel",
            "WEB01",
            "2022-07-14 22:00",
            tags=("attack.command-and-control",),
            DestinationIp=C2,
            SubjectUserName="svc_mx",
        ),
        hit(
            "ally-rdp",
            "DC01",
            "2022-07-15 01:00",
            tags=("attack.lateral-movement", "attack.t1021"),
            SubjectUserName="svc_mx",
        ),
        hit(
            "ally-dump",
            "DC01",
            "2022-07-15 01:20",
            level="critical",
            tags=("attack.credential-access", "attack.t1003"),
            SubjectUserName="svc_mx",
        ),
        *[
            hit(
                "ally-ransom",
                host,
                f"2022-07-15 12:5{number}",
                level="critical",
                tags=("attack.impact", "attack.t1486"),
                Hashes="SHA256=" + "a1" * 32,
                SubjectUserName="svc_mx",
            )
            for number, host in enumerate(("WEB01", "DC01", "FS01"))
        ],
        *[
            hit(
                "ally-wiper",
                host,
                f"2022-07-15 13:0{number}",
                level="critical",
                tags=("attack.impact", "attack.t1485"),
                Hashes="SHA256=" + "b2" * 32,
                SubjectUserName="svc_mx",
            )
            for number, host in enumerate(("WEB01", "DC01", "FS01"))
        ],
    ]


def second_wave() -> list[Sighting]:
    """9 September 2022: the police."""
    return [
        hit(
            "ally-tunnel",
            "POL-WEB",
            "2022-09-08 22:00",
            tags=("attack.command-and-control",),
            DestinationIp=C2,
            SubjectUserName="pol_svc",
        ),
        hit(
            "ally-dump",
            "POL-WEB",
            "2022-09-08 23:00",
            level="critical",
            tags=("attack.credential-access", "attack.t1003"),
            SubjectUserName="pol_svc",
        ),
        *[
            hit(
                "ally-wiper",
                host,
                "2022-09-09 14:00",
                level="critical",
                tags=("attack.impact", "attack.t1485"),
                Hashes="SHA256=" + "b2" * 32,
                SubjectUserName="pol_svc",
            )
            for host in ("POL-WEB", "POL-DB")
        ],
    ]


def background(seed: int = 1, count: int = 4000) -> list[Sighting]:
    """Benign hits of public rules on all hosts over the whole time, and one ally's indicator that is no good."""
    good_for_nothing = [
        hit("ally-cdn", host, f"2022-{month:02d}-{day:02d} 09:00", level="medium", DestinationIp="151.101.1.69")
        for month in range(1, 9)
        for day in range(1, 28, 3)
        for host in HOSTS
    ]
    return noise(seed, HOSTS, "2021-05-01", "2022-09-15", count) + good_for_nothing


def administration() -> list[Sighting]:
    """What the owners did: a reset, a created account of their own."""
    return [
        signal("password-reset", "DC01", "2022-07-20 09:00", TargetUserName="svc_mx", SubjectUserName="admin.kola"),
        signal("account-created", "DC01", "2022-03-01 09:00", TargetUserName="new.clerk", SubjectUserName="admin.kola"),
    ]
