"""What the owners did: services shut down to protect them, hosts rebuilt, persistence removed, most accounts reset."""

from __future__ import annotations

from . import first_wave, second_wave
from .facts import CMD, EXPLORER, Account, Teller, logon_id, process_of, subject
from .moments import MINUTE, SECOND, at, spaced
from .routine import GENC, LUAN, MIRELA, PATCHING
from .world import Host, hosts

SECURITY_REASON = "Security issue"
SECURITY_CODE = "0x80050013"
W3SVC = "World Wide Web Publishing Service"

OFF = {
    "UJ-SHP01": ("2022-07-15 12:47:41", "2022-07-21 08:49:00"),
    "UJ-FS01": ("2022-07-15 13:05:41", "2022-07-20 07:38:00"),
    "UJ-WS014": ("2022-07-15 13:20:00", "2022-07-25 08:05:00"),
    "UJ-WEB01": ("2022-07-15 16:18:35", "2022-07-18 05:58:00"),
    "UJ-WEB02": ("2022-07-15 16:22:35", "2022-07-18 06:20:00"),
    "UJ-EXCH01": ("2022-07-15 17:25:20", "2022-07-19 14:09:00"),
    "POL-DB01": ("2022-09-09 20:43:58", "2022-09-12 03:44:00"),
    "POL-APP01": ("2022-09-09 20:57:50", "2022-09-12 04:55:00"),
}
"""When a host recorded nothing, because it was off or wiped: from, until it started again."""


def _maintain_portal(teller: Teller) -> None:
    """The portal's planned maintenance, announced, a week before the attack."""
    host = hosts()["UJ-WEB01"]
    teller.recorder.stage("owner:maintenance")
    teller.service_state(host, at("2022-07-08 21:02:01"), W3SVC, "stopped")
    comment = "Mirëmbajtje e planifikuar e portalit: përditësim i sistemit (njoftuar më 6 korrik)"
    teller.shutdown(host, at("2022-07-08 21:02:24"), LUAN, comment, PATCHING, "0x80020010", "restart")
    teller.started(host, at("2022-07-08 23:36:12"))
    teller.service_state(host, at("2022-07-08 23:40:55"), W3SVC, "running")
    teller.recorder.drop(host, at("2022-07-08 21:02:46"), at("2022-07-08 23:36:12"))


def _protect(teller: Teller) -> None:
    """Hours after the first files were encrypted, the owner takes what still runs off the net."""
    teller.recorder.stage("owner:protective-shutdown")
    comment = "Fikje mbrojtëse nga pronari: sulm kibernetik në rrjet, shërbimi mbyllet përkohësisht"
    for name, admin, stopped, down in (
        ("UJ-WEB01", LUAN, "2022-07-15 16:18:06", "2022-07-15 16:18:12"),
        ("UJ-WEB02", LUAN, "2022-07-15 16:22:01", "2022-07-15 16:22:12"),
        ("UJ-EXCH01", MIRELA, "2022-07-15 17:24:32", "2022-07-15 17:24:58"),
    ):
        host, moment = hosts()[name], at(down)
        logon = teller.logon(host, moment - 9 * MINUTE, admin, 10, hosts()["UJ-MGT01"].ip, special=True, minutes=8)
        if name == "UJ-EXCH01":
            for number, service in enumerate(("Microsoft Exchange Transport", "Microsoft Exchange Information Store")):
                teller.service_state(host, at("2022-07-15 17:21:08") + number * 25 * SECOND, service, "stopped")
        teller.service_state(host, at(stopped), W3SVC, "stopped")
        teller.process(
            host,
            moment - SECOND,
            "C:\\Windows\\System32\\shutdown.exe",
            f'shutdown /s /t 0 /d p:5:19 /c "{comment}"',
            process_of(host, moment - 5 * MINUTE, CMD),
            admin,
            logon=logon,
        )
        teller.shutdown(host, moment, admin, comment, SECURITY_REASON, SECURITY_CODE, "shutdown")


def _restart(teller: Teller) -> None:
    """Hosts come back, days later; those that were wiped say that their end was unexpected."""
    teller.recorder.stage("owner:restored")
    died = {"UJ-SHP01", "UJ-FS01", "POL-DB01", "POL-APP01"}
    for name, (down, up) in OFF.items():
        host = hosts()[name]
        teller.started(host, at(up), at(down) if name in died else None)
    for name, service, when in (
        ("UJ-WEB01", W3SVC, "2022-07-18 06:11:40"),
        ("UJ-EXCH01", "Microsoft Exchange Information Store", "2022-07-19 14:28:11"),
        ("UJ-EXCH01", W3SVC, "2022-07-19 14:32:30"),
        ("UJ-SHP01", W3SVC, "2022-07-21 09:25:48"),
        ("POL-APP01", "Apache Tomcat 9.0 Tomcat9", "2022-09-12 05:15:20"),
    ):
        teller.service_state(hosts()[name], at(when), service, "running")


def _remove(teller: Teller, host: Host, moment: str, admin: Account, path: str, label: str) -> None:
    teller.deleted(host, at(moment), process_of(host, at(moment) - 9 * MINUTE, EXPLORER), admin, path, label)


def _clean(teller: Teller) -> None:
    """Web shells, a service and tasks are removed; the file server's task comes back with its backup and stays."""
    exch, shp, controller = (hosts()[name] for name in ("UJ-EXCH01", "UJ-SHP01", "UJ-DC01"))
    teller.recorder.stage("owner:cleaning")
    _remove(teller, exch, "2022-07-19 14:15:09", MIRELA, f"{first_wave.OWA_AUTH}\\error4.aspx", "error4.aspx")
    teller.event(
        exch,
        at("2022-07-19 14:18:44"),
        "Security/4699",
        **subject(MIRELA, logon_id(exch, at("2022-07-19 14:18:44"))),
        TaskName=first_wave.EXCHANGE_TASK,
    )
    _remove(teller, shp, "2022-07-21 09:02:13", LUAN, f"{first_wave.LAYOUTS}\\pickers.aspx", "pickers.aspx")
    _remove(teller, shp, "2022-07-21 09:03:37", LUAN, f"{first_wave.LAYOUTS}\\ClientBin.aspx", "ClientBin.aspx")
    _remove_service(teller, controller, "2022-07-20 10:11:30", LUAN)
    _remove_service(teller, hosts()["POL-DC01"], "2022-09-11 09:40:12", GENC)
    database = hosts()["POL-DB01"]
    moment = at("2022-09-12 03:58:21")
    teller.event(
        database, moment, "Security/4699", **subject(GENC, logon_id(database, moment)), TaskName=second_wave.TASK
    )


def _remove_service(teller: Teller, host: Host, when: str, admin: Account) -> None:
    moment = at(when)
    shell = process_of(host, moment - MINUTE, CMD)
    sc = "C:\\Windows\\System32\\sc.exe"
    teller.process(host, moment, sc, f"sc stop {first_wave.SERVICE}", shell, admin)
    teller.service_state(host, moment + SECOND, "TLS Policy Helper", "stopped")
    teller.process(host, moment + 20 * SECOND, sc, f"sc delete {first_wave.SERVICE}", shell, admin)
    services = process_of(host, 0, "C:\\Windows\\System32\\services.exe")
    teller.event(
        host,
        moment + 20 * SECOND + 30_000,
        "Sysmon/12",
        UtcTime=spaced(moment + 20 * SECOND),
        ProcessGuid=services.guid,
        ProcessId=services.pid,
        Image=services.image,
        TargetObject=f"HKLM\\System\\CurrentControlSet\\Services\\{first_wave.SERVICE}",
    )
    _remove(teller, host, spaced(moment + MINUTE)[:19], admin, first_wave.BACKDOOR, "tlsvc.exe backdoor")


def _reset(teller: Teller) -> None:
    """Passwords are reset, but not of the account that the intruders had made."""
    teller.recorder.stage("owner:resets")
    controller, police = hosts()["UJ-DC01"], hosts()["POL-DC01"]
    for moment, account in (
        ("2022-07-16 09:12:05", first_wave.ADMINISTRATOR),
        ("2022-07-20 10:31:18", first_wave.POOL),
        ("2022-07-21 08:03:44", first_wave.EXCHANGE_ADMIN),
        ("2022-07-22 11:47:02", first_wave.CLERK),
    ):
        teller.reset(controller, at(moment), LUAN, account)
    for moment, account in (
        ("2022-09-10 07:20:41", second_wave.ADMINISTRATOR),
        ("2022-09-11 08:55:12", second_wave.OPERATOR),
    ):
        teller.reset(police, at(moment), GENC, account)


def recovery(teller: Teller) -> None:
    """Tell what the owners did; then forget what hosts that were off can't have recorded."""
    _maintain_portal(teller)
    _protect(teller)
    _restart(teller)
    _clean(teller)
    _reset(teller)
    teller.recorder.stage("owner:log-lost")
    teller.event(hosts()["UJ-WEB01"], at("2022-09-02 20:09:30"), "System/2013")
    teller.recorder.stage("")
    for name, (down, up) in OFF.items():
        teller.recorder.drop(hosts()[name], at(down), at(up))
