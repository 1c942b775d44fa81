"""Benign administration that looks suspicious: patch nights, deployment, backup, PsExec once, encoded scripts."""

from __future__ import annotations

import base64

from .chance import Chance
from .facts import CMD, EXPLORER, POWERSHELL, SERVICES, SVCHOST, SYSTEM, Account, Teller, process_of, subject, target
from .moments import DAY, HOUR, MINUTE, SECOND, at, iso, spaced
from .world import Host, hosts, sid

LUAN: Account = ("QEVERIA", "adm.luan")
MIRELA: Account = ("QEVERIA", "adm.mirela")
GENC: Account = ("POLICIA", "adm.genc")

PATCHING = "Operating System: Service pack (Planned)"
PATCH_NIGHTS = [
    f"{month}-{day}"
    for month, day in (
        ("2021-05", 12),
        ("2021-06", 9),
        ("2021-07", 14),
        ("2021-08", 11),
        ("2021-09", 15),
        ("2021-10", 13),
        ("2021-11", 10),
        ("2021-12", 15),
        ("2022-01", 12),
        ("2022-02", 9),
        ("2022-03", 9),
        ("2022-04", 13),
        ("2022-05", 11),
        ("2022-06", 15),
        ("2022-08", 10),
    )
]
"""No patch night falls into the weeks whose web logs were kept: July's and September's were put off."""


def encoded(script: str) -> str:
    """Return a script as PowerShell's -EncodedCommand wants it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


def restart(teller: Teller, host: Host, moment: int, admin: Account, comment: str, minutes: int) -> None:
    """Restart a host as planned: it logs nothing while it is down."""
    teller.shutdown(host, moment, admin, comment, PATCHING, "0x80020010", "restart")
    teller.started(host, moment + minutes * MINUTE)
    teller.recorder.drop(host, moment + 22 * SECOND, moment + minutes * MINUTE)


def patch(teller: Teller, chance: Chance) -> None:
    """Restart every server once a month, with a comment."""
    for night in PATCH_NIGHTS:
        moment = at(night + " 20:00")
        for host in hosts().values():
            if not host.user:
                admin = GENC if host.domain == "POLICIA" else LUAN
                moment += chance.between(3, 11) * MINUTE
                restart(teller, host, moment, admin, "Përditësime mujore, dritare e planifikuar", chance.between(4, 12))


def deploy(teller: Teller, chance: Chance) -> None:
    """Install the inventory agent on all hosts: a service, a task, an msiexec."""
    for version, day in (("3.3.0", "2021-06-22"), ("3.4.1", "2022-03-29")):
        moment = at(day + " 08:30")
        for host in hosts().values():
            moment += chance.between(40, 400) * SECOND
            admin = GENC if host.domain == "POLICIA" else MIRELA
            logon = teller.logon(host, moment - SECOND, admin, 3, "10.20.0.50", special=True)
            teller.process(
                host,
                moment,
                "C:\\Windows\\System32\\msiexec.exe",
                f"msiexec.exe /i \\\\UJ-FS01\\Programe\\inventar-{version}.msi /qn /norestart",
                process_of(host, moment - MINUTE, "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe"),
                admin,
                logon=logon,
            )
            path = '"C:\\Program Files\\Agjenti i Inventarit\\inventar.exe" --sherbim'
            teller.service(host, moment + 9 * SECOND, "AgjentiInventarit", path, admin, logon)
            teller.task(
                host,
                moment + 12 * SECOND,
                "\\Inventari\\Raporti ditor",
                "C:\\Program Files\\Agjenti i Inventarit\\inventar.exe",
                "--raport ditor",
                admin,
                logon,
            )


def backup(teller: Teller, chance: Chance) -> None:
    """Back up every week; once a month the oldest shadow copies are deleted to make room."""
    host = hosts()["UJ-BKP01"]
    account = ("QEVERIA", "svc-backup")
    moment, week = at("2021-05-02 00:15"), 0
    while moment < at("2022-09-19 00:00"):
        start = moment + chance.below(20 * MINUTE)
        agent = teller.process(
            host,
            start,
            "C:\\Program Files\\Rezervim\\agent\\bkagent.exe",
            '"C:\\Program Files\\Rezervim\\agent\\bkagent.exe" --job i-plotë',
            process_of(host, start - HOUR, SERVICES),
            account,
        )
        for name in ("UJ-FS01", "UJ-DC01", "UJ-EXCH01"):
            other = hosts()[name]
            teller.logon(other, start + 30 * SECOND, account, 3, host.ip, special=True, minutes=90)
            teller.connection(host, start + 40 * SECOND, agent, account, other.ip, 445, other.fqdn)
        if week % 4 == 3:
            command = "vssadmin delete shadows /for=E: /oldest /quiet"
            teller.process(host, start + 5 * MINUTE, "C:\\Windows\\System32\\vssadmin.exe", command, agent, account)
        moment += 7 * DAY
        week += 1


def test_with_psexec(teller: Teller) -> None:
    """A security test, announced and done once, from the administrators' host against a spare web server."""
    host, other = hosts()["UJ-MGT01"], hosts()["UJ-WEB02"]
    moment = at("2022-02-08 10:05:12")
    logon = teller.logon(host, moment - 5 * MINUTE, MIRELA, 2, special=True, minutes=180)
    shell = teller.process(
        host,
        moment - MINUTE,
        CMD,
        '"C:\\Windows\\system32\\cmd.exe"',
        process_of(host, moment - HOUR, EXPLORER),
        MIRELA,
        logon=logon,
    )
    teller.process(
        host,
        moment,
        "C:\\Tools\\PsExec.exe",
        "PsExec.exe -accepteula \\\\UJ-WEB02 -s cmd.exe /c whoami",
        shell,
        MIRELA,
        logon=logon,
        directory="C:\\Tools\\",
    )
    remote = teller.logon(other, moment + SECOND, MIRELA, 3, host.ip, special=True)
    teller.service(
        other, moment + 2 * SECOND, "PSEXESVC", "%SystemRoot%\\PSEXESVC.exe", MIRELA, remote, start="demand start"
    )
    service = teller.process(
        other,
        moment + 3 * SECOND,
        "C:\\Windows\\PSEXESVC.exe",
        "C:\\Windows\\PSEXESVC.exe",
        process_of(other, moment - DAY, SERVICES),
        SYSTEM,
    )
    teller.process(other, moment + 4 * SECOND, "C:\\Windows\\System32\\whoami.exe", "whoami", service, SYSTEM)
    teller.process(
        other,
        moment + 9 * MINUTE,
        "C:\\Tools\\procdump64.exe",
        "procdump64.exe -ma w3wp.exe D:\\diag\\w3wp.dmp",
        process_of(other, moment, CMD),
        MIRELA,
        directory="C:\\Tools\\",
    )


def maintain(teller: Teller, chance: Chance) -> None:
    """Encoded scripts, an exclusion in Defender, a cleared log after a migration, accounts of colleagues."""
    developer, management, web = (hosts()[name] for name in ("UJ-WS031", "UJ-MGT01", "UJ-WEB02"))
    build = encoded("Get-ChildItem D:\\kodi\\portali\\bin -Recurse | Unblock-File")
    stock = encoded("Get-CimInstance Win32_LogicalDisk | Export-Csv C:\\Raporte\\disqet.csv")
    moment = at("2021-05-10 07:40")
    while moment < at("2022-09-19 00:00"):
        when = moment + chance.below(3 * HOUR)
        teller.process(
            developer,
            when,
            POWERSHELL,
            f"powershell.exe -NoProfile -ExecutionPolicy Bypass -EncodedCommand {build}",
            process_of(developer, when - HOUR, CMD),
            ("QEVERIA", "ardit.përmeti"),
        )
        when += chance.between(20, 200) * MINUTE
        teller.process(
            management,
            when,
            POWERSHELL,
            f"powershell.exe -NonInteractive -enc {stock}",
            process_of(management, when - HOUR, SVCHOST),
            MIRELA,
        )
        moment += 9 * DAY
    backup_host = hosts()["UJ-BKP01"]
    exclusion = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths\\E:\\Rezervim = 0x0"
    teller.event(backup_host, at("2021-08-17 09:12:44"), "Defender/5007", **{"New Value": exclusion})
    teller.recorder.add(
        web,
        at("2021-11-24 14:31:07"),
        "System/104",
        {"SubjectUserName": "adm.luan", "SubjectDomainName": "QEVERIA", "Channel": "Application"},
        "",
    )
    _staff(teller)
    _check_defender(teller)
    _debug(teller)


def _staff(teller: Teller) -> None:
    """A colleague comes and gets an account with a first password; another leaves."""
    controller = hosts()["UJ-DC01"]
    moment = at("2021-10-18 07:55:10")
    new: Account = ("QEVERIA", "klea.çarçani")
    admin = subject(MIRELA, "0x3f21ab")
    teller.event(
        controller,
        moment,
        "Security/4720",
        **target(new),
        **admin,
        SamAccountName=new[1],
        DisplayName="Klea Çarçani",
        UserPrincipalName=f"{new[1]}@qeveria.example",
    )
    teller.event(controller, moment + SECOND, "Security/4724", **target(new), **admin)
    teller.event(controller, moment + 2 * SECOND, "Security/4722", **target(new), **admin)
    group: Account = ("QEVERIA", "Zyra ligjore")
    teller.event(
        controller,
        moment + 40 * SECOND,
        "Security/4728",
        **target(group),
        **admin,
        MemberName="CN=Klea Çarçani,OU=Punonjës,DC=qeveria,DC=example",
        MemberSid=sid(*new),
    )
    desk, moment = hosts()["UJ-WS031"], at("2021-11-02 09:31:15")
    teller.event(
        desk,
        moment,
        "Security/4732",
        **subject(LUAN, "0x2b9d40"),
        MemberSid=sid("QEVERIA", "ardit.përmeti"),
        TargetUserName="Administrators",
        TargetDomainName="Builtin",
        TargetSid="S-1-5-32-544",
    )
    gone: Account = ("QEVERIA", "fatmir.dëshira")
    teller.event(controller, at("2022-01-31 14:05:09"), "Security/4725", **target(gone), **subject(MIRELA, "0x51c02e"))
    teller.event(controller, at("2022-04-29 08:12:50"), "Security/4726", **target(gone), **subject(MIRELA, "0x77aa1c"))


def _check_defender(teller: Teller) -> None:
    """An administrator puts the harmless test file of virus scanners on a desk, and Defender finds it."""
    host, moment = hosts()["UJ-WS022"], at("2021-12-03 09:20:31")
    teller.event(
        host,
        moment,
        "Defender/1116",
        **{
            "Detection ID": "{0F5A7B1C-38A5-4E0B-9D1B-7B8B2C6A4D11}",
            "Detection Time": iso(moment, 3),
            "Threat ID": "2147519003",
            "Threat Name": "Virus:DOS/EICAR_Test_File",
            "Severity ID": "5",
            "Severity Name": "Severe",
            "Category ID": "42",
            "Category Name": "Virus",
            "FWLink": "https://go.microsoft.com/fwlink/?linkid=37020&name=Virus:DOS/EICAR_Test_File",
            "Process Name": EXPLORER,
            "Detection User": "QEVERIA\\adm.luan",
            "Path": "file:_C:\\Users\\adm.luan\\Desktop\\eicar.com",
        },
    )


def _debug(teller: Teller) -> None:
    """The developer's debugger starts threads in the program that it looks at."""
    host = hosts()["UJ-WS031"]
    debugger = "C:\\Program Files\\Microsoft Visual Studio\\2022\\Community\\Common7\\IDE\\devenv.exe"
    moment = at("2022-02-14 08:10:22")
    for _ in range(24):
        source, other = (
            process_of(host, moment - HOUR, debugger),
            process_of(host, moment, "D:\\kodi\\portali\\bin\\portali.exe"),
        )
        teller.event(
            host,
            moment,
            "Sysmon/8",
            UtcTime=spaced(moment),
            SourceProcessGuid=source.guid,
            SourceProcessId=source.pid,
            SourceImage=source.image,
            TargetProcessGuid=other.guid,
            TargetProcessId=other.pid,
            TargetImage=other.image,
            NewThreadId=other.pid + 16,
            StartModule="C:\\Windows\\System32\\ntdll.dll",
            StartFunction="DbgUiRemoteBreakin",
            SourceUser="QEVERIA\\ardit.përmeti",
            TargetUser="QEVERIA\\ardit.përmeti",
        )
        moment += 8 * DAY + 47 * MINUTE


def routine(teller: Teller, seed: int) -> None:
    """Tell all benign administration."""
    chance = Chance(seed, "routine")
    patch(teller, chance)
    deploy(teller, chance)
    backup(teller, chance)
    test_with_psexec(teller)
    maintain(teller, chance)
