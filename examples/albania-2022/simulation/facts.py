"""Facts about a host told as the events that Windows would write: a logon, a process, a file, a service …"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .chance import invented_hash
from .moments import MINUTE, SECOND, iso, spaced
from .recorder import Recorder
from .world import Host, sid, table

SYSTEM = ("NT AUTHORITY", "SYSTEM")
CMD = "C:\\Windows\\System32\\cmd.exe"
POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
SERVICES = "C:\\Windows\\System32\\services.exe"
SVCHOST = "C:\\Windows\\System32\\svchost.exe"
W3WP = "C:\\Windows\\System32\\inetsrv\\w3wp.exe"
EXPLORER = "C:\\Windows\\explorer.exe"
LSASS = "C:\\Windows\\System32\\lsass.exe"

Account = tuple[str, str]
"""Domain and name."""


@dataclass(frozen=True)
class Process:
    """A process that events can speak of."""

    image: str
    pid: int
    guid: str


def process_of(host: Host, moment: int, image: str) -> Process:
    """Return the identity of a process on a host, made from its start (seconds) and image."""
    start = moment // SECOND
    pid = 600 + (start * 4 + len(image) * 36) % 11000 // 4 * 4
    high, low = start >> 16 & 0xFFFF, start & 0xFFFF
    guid = f"{host.machine}-{high:04X}-{low:04X}-{pid & 0xFFFF:04X}-{host.number:02X}0000{start % 0xFFFFFF:06X}"
    return Process(image, pid, guid)


def logon_id(host: Host, moment: int) -> str:
    """Return a logon id."""
    return f"0x{0x10000 + (moment // SECOND * 2654435761 + host.number) % 0xFFFFFFF:x}"


def subject(account: Account, logon: str = "0x3e7") -> dict[str, str]:
    """Return the Subject fields of a Security event."""
    domain, name = account
    return {
        "SubjectUserSid": sid(domain, name),
        "SubjectUserName": name,
        "SubjectDomainName": domain,
        "SubjectLogonId": logon,
    }


def target(account: Account) -> dict[str, str]:
    """Return the Target fields of an account-management event."""
    return {"TargetUserName": account[1], "TargetDomainName": account[0], "TargetSid": sid(*account)}


def hashes(image: str, label: str = "") -> str:
    """Return Sysmon's Hashes of an image: the same for the same file everywhere."""
    key = label or image.lower()
    return (
        f"SHA1={invented_hash(key, 'sha1')},MD5={invented_hash(key, 'md5')},"
        f"SHA256={invented_hash(key)},IMPHASH={invented_hash('imphash ' + key, 'md5')}"
    )


def machine_account(host: Host) -> Account:
    """Return the host's own account."""
    return host.domain, host.name + "$"


class Teller:
    """Tells facts to a recorder; every method's moment is in microseconds UTC."""

    def __init__(self, recorder: Recorder) -> None:
        """Tell to this recorder."""
        self.recorder = recorder

    def event(self, host: Host, moment: int, event: str, **fields: Any) -> None:
        """Record one event as it is."""
        self.recorder.add(host, moment, event, fields)

    def logon(
        self,
        host: Host,
        moment: int,
        account: Account,
        kind: int = 3,
        ip: str = "-",
        workstation: str = "-",
        minutes: int = 20,
        special: bool = False,
    ) -> str:
        """Record a logon, its special privileges where it has them, and its end; return the logon id."""
        domain, name = account
        logon = logon_id(host, moment)
        remote = kind in (3, 10)
        ntlm = kind == 3 and name == "Administrator"
        package = "NTLM" if ntlm else "Negotiate" if kind in (2, 5, 10) else "Kerberos"
        self.event(
            host,
            moment,
            "Security/4624",
            **(subject(machine_account(host)) if kind in (2, 4, 5, 10) else {}),
            TargetUserSid=sid(domain, name),
            TargetUserName=name,
            TargetDomainName=domain,
            TargetLogonId=logon,
            LogonType=kind,
            LogonProcessName="NtLmSsp "
            if ntlm
            else "Advapi  "
            if kind in (4, 5)
            else "User32 "
            if kind in (2, 10)
            else "Kerberos",
            AuthenticationPackageName=package,
            LmPackageName="NTLM V2" if ntlm else "-",
            KeyLength=128 if ntlm else 0,
            WorkstationName=workstation if ntlm else host.name if kind in (2, 10) else "-",
            ProcessId="0x0" if kind == 3 else "0x2a4",
            ProcessName="-" if kind == 3 else SERVICES if kind == 5 else SVCHOST,
            IpAddress=ip if remote else "127.0.0.1" if kind == 2 else "-",
            IpPort=str(49152 + moment // SECOND % 16000)
            if kind == 3 and ip != "-"
            else "0"
            if kind in (2, 10)
            else "-",
            ElevatedToken="%%1842" if special else "%%1843",
        )
        if special:
            self.event(host, moment + 1000, "Security/4672", **subject(account, logon))
        self.event(
            host,
            moment + minutes * MINUTE + 417_000,
            "Security/4634",
            TargetUserSid=sid(domain, name),
            TargetUserName=name,
            TargetDomainName=domain,
            TargetLogonId=logon,
            LogonType=kind,
        )
        return logon

    def process(
        self,
        host: Host,
        moment: int,
        image: str,
        command: str,
        parent: Process,
        account: Account = SYSTEM,
        *,
        parent_command: str = "",
        logon: str = "0x3e7",
        label: str = "",
        details: tuple[str, ...] = (),
        directory: str = "C:\\Windows\\system32\\",
        sysmon: bool = True,
        audit: bool = True,
    ) -> Process:
        """Record a process by Sysmon and by the audit policy; return it. `label` names an invented file's hash."""
        made = process_of(host, moment, image)
        domain, name = account
        user = f"{domain}\\{name}"
        details = details or tuple(table("images").get(image, ("-",) * 5))
        high = name in ("SYSTEM", "Administrator") or name.startswith(("svc", "adm."))
        if sysmon:
            self.event(
                host,
                moment,
                "Sysmon/1",
                UtcTime=spaced(moment),
                ProcessGuid=made.guid,
                ProcessId=made.pid,
                Image=image,
                FileVersion=details[0],
                Description=details[1],
                Product=details[2],
                Company=details[3],
                OriginalFileName=details[4],
                CommandLine=command,
                CurrentDirectory=directory,
                User=user,
                LogonGuid=f"{host.machine}-{int(logon, 16) & 0xFFFF:04X}-0000-0000-{int(logon, 16):012X}",
                LogonId=logon,
                TerminalSessionId=0 if account == SYSTEM or name.startswith("svc") else 2,
                IntegrityLevel="System" if account == SYSTEM else "High" if high else "Medium",
                Hashes=hashes(image, label),
                ParentProcessGuid=parent.guid,
                ParentProcessId=parent.pid,
                ParentImage=parent.image,
                ParentCommandLine=parent_command or f'"{parent.image}"',
                ParentUser=user if parent.image in (EXPLORER, CMD, POWERSHELL, W3WP) else "NT AUTHORITY\\SYSTEM",
            )
        if audit:
            self.event(
                host,
                moment + 700,
                "Security/4688",
                **subject(machine_account(host) if account == SYSTEM else account, logon),
                NewProcessId=hex(made.pid),
                NewProcessName=image,
                TokenElevationType="%%1936" if high else "%%1938",
                ProcessId=hex(parent.pid),
                CommandLine=command,
                ParentProcessName=parent.image,
                MandatoryLabel="S-1-16-16384" if account == SYSTEM else "S-1-16-12288" if high else "S-1-16-8192",
            )
        return made

    def connection(
        self, host: Host, moment: int, process: Process, account: Account, ip: str, port: int, name: str = "-"
    ) -> None:
        """Record an outgoing connection."""
        known = {443: "https", 80: "http", 445: "microsoft-ds", 3389: "ms-wbt-server", 21: "ftp", 389: "ldap"}
        self.event(
            host,
            moment,
            "Sysmon/3",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            Image=process.image,
            User="\\".join(account),
            SourceIp=host.ip,
            SourceHostname=host.fqdn,
            SourcePort=49152 + moment // 1000 % 16000,
            DestinationIp=ip,
            DestinationHostname=name,
            DestinationPort=port,
            DestinationPortName=known.get(port, "-"),
        )

    def served(self, host: Host, moment: int, client: str, port: int = 443) -> None:
        """Record an incoming connection to the web server."""
        process = Process("System", 4, process_of(host, 0, "System").guid)
        self.event(
            host,
            moment,
            "Sysmon/3",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=4,
            Image="System",
            User="NT AUTHORITY\\SYSTEM",
            Initiated=False,
            SourceIp=client,
            SourcePort=49152 + moment // 1000 % 16000,
            DestinationIp=host.ip,
            DestinationHostname=host.fqdn,
            DestinationPort=port,
            DestinationPortName="https" if port == 443 else "-",
        )

    def query(self, host: Host, moment: int, process: Process, account: Account, name: str, answer: str) -> None:
        """Record a DNS query."""
        self.event(
            host,
            moment,
            "Sysmon/22",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            QueryName=name,
            QueryResults=f"::ffff:{answer};" if answer else "-",
            QueryStatus="0" if answer else "9003",
            Image=process.image,
            User="\\".join(account),
        )

    def file(self, host: Host, moment: int, process: Process, account: Account, path: str) -> None:
        """Record that a file was made."""
        self.event(
            host,
            moment,
            "Sysmon/11",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            Image=process.image,
            TargetFilename=path,
            CreationUtcTime=spaced(moment),
            User="\\".join(account),
        )

    def deleted(self, host: Host, moment: int, process: Process, account: Account, path: str, label: str) -> None:
        """Record that a file was deleted (and archived by Sysmon)."""
        self.event(
            host,
            moment,
            "Sysmon/23",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            User="\\".join(account),
            Image=process.image,
            TargetFilename=path,
            Hashes=hashes(path, label),
            IsExecutable=path.endswith((".exe", ".dll", ".sys")),
        )

    def registry(self, host: Host, moment: int, process: Process, key: str, value: str) -> None:
        """Record that a registry value was set."""
        self.event(
            host,
            moment,
            "Sysmon/13",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            Image=process.image,
            TargetObject=key,
            Details=value,
        )

    def access(self, host: Host, moment: int, source: Process, account: Account, granted: str, trace: str = "") -> None:
        """Record that a process opened LSASS."""
        lsass = process_of(host, 0, LSASS)
        self.event(
            host,
            moment,
            "Sysmon/10",
            UtcTime=spaced(moment),
            SourceProcessGUID=source.guid,
            SourceProcessId=source.pid,
            SourceThreadId=source.pid + 40,
            SourceImage=source.image,
            TargetProcessGUID=lsass.guid,
            TargetProcessId=lsass.pid,
            TargetImage=LSASS,
            GrantedAccess=granted,
            SourceUser="\\".join(account),
            **({"CallTrace": trace} if trace else {}),
        )

    def service(
        self,
        host: Host,
        moment: int,
        name: str,
        path: str,
        account: Account,
        logon: str = "0x3e7",
        kind: str = "user mode service",
        start: str = "auto start",
    ) -> None:
        """Record that a service was installed (System and Security logs)."""
        driver = kind == "kernel mode driver"
        self.recorder.add(
            host,
            moment,
            "System/7045",
            {
                "ServiceName": name,
                "ImagePath": path,
                "ServiceType": kind,
                "StartType": start,
                "AccountName": "" if driver else "LocalSystem",
            },
            sid(*account),
        )
        self.event(
            host,
            moment + 2000,
            "Security/4697",
            **subject(account, logon),
            ServiceName=name,
            ServiceFileName=path,
            ServiceType="0x1" if driver else "0x10",
            ServiceStartType=2 if start == "auto start" else 3,
        )
        key = f"HKLM\\System\\CurrentControlSet\\Services\\{name}\\ImagePath"
        self.registry(host, moment - 1000, process_of(host, 0, SERVICES), key, path)

    def service_state(self, host: Host, moment: int, name: str, state: str) -> None:
        """Record that a service entered a state."""
        self.event(host, moment, "System/7036", param1=name, param2=state)

    def task(
        self, host: Host, moment: int, name: str, command: str, arguments: str, account: Account, logon: str = "0x3e7"
    ) -> None:
        """Record that a scheduled task was registered."""
        content = (
            '<?xml version="1.0" encoding="UTF-16"?>\r\n'
            '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\r\n'
            f"  <RegistrationInfo>\r\n    <Date>{iso(moment, 0)[:-1]}</Date>\r\n"
            f"    <Author>{account[0]}\\{account[1]}</Author>\r\n"
            f"    <URI>{name}</URI>\r\n  </RegistrationInfo>\r\n"
            "  <Triggers>\r\n    <CalendarTrigger>\r\n      <StartBoundary>2021-01-01T03:10:00</StartBoundary>\r\n"
            "      <ScheduleByDay>\r\n        <DaysInterval>1</DaysInterval>\r\n      </ScheduleByDay>\r\n"
            "    </CalendarTrigger>\r\n  </Triggers>\r\n"
            '  <Principals>\r\n    <Principal id="Author">\r\n      <UserId>S-1-5-18</UserId>\r\n'
            "      <RunLevel>HighestAvailable</RunLevel>\r\n    </Principal>\r\n  </Principals>\r\n"
            f'  <Actions Context="Author">\r\n    <Exec>\r\n      <Command>{command}</Command>\r\n'
            f"      <Arguments>{arguments}</Arguments>\r\n    </Exec>\r\n  </Actions>\r\n</Task>"
        )
        self.event(host, moment, "Security/4698", **subject(account, logon), TaskName=name, TaskContent=content)

    def script(self, host: Host, moment: int, text: str, account: Account, path: str = "") -> None:
        """Record a PowerShell script block."""
        block = invented_hash(f"{text}{moment}", "md5").lower()
        number = f"{block[:8]}-{block[8:12]}-{block[12:16]}-{block[16:20]}-{block[20:]}"
        self.recorder.add(
            host,
            moment,
            "PowerShell/4104",
            {"ScriptBlockText": text, "ScriptBlockId": number, "Path": path},
            sid(*account),
        )

    def shutdown(
        self,
        host: Host,
        moment: int,
        account: Account,
        comment: str,
        reason: str,
        code: str,
        action: str,
        tool: str = "C:\\Windows\\system32\\shutdown.exe",
    ) -> None:
        """Record that somebody shut the host down or restarted it, with a reason and a comment; the log then stops."""
        self.recorder.add(
            host,
            moment,
            "System/1074",
            {
                "param1": f"{tool} ({host.name})",
                "param2": host.name,
                "param3": reason,
                "param4": code,
                "param5": action,
                "param6": comment,
                "param7": "\\".join(account),
            },
            sid(*account),
        )
        self.event(host, moment + 21 * SECOND, "System/6006")

    def started(self, host: Host, moment: int, unexpected_since: int | None = None) -> None:
        """Record a start of the host; after an unexpected end, Windows says so."""
        if unexpected_since is not None:
            local = spaced(unexpected_since + 2 * 3600 * SECOND)
            year, month, day = local[:10].split("-")
            self.event(
                host, moment + 300_000, "System/6008", param1=local[11:19], param2=f"{int(month)}/{int(day)}/{year}"
            )
            self.event(host, moment + 100_000, "System/41")
        self.event(host, moment + 200_000, "System/6009")
        self.event(host, moment + 250_000, "System/6005")

    def reset(self, host: Host, moment: int, admin: Account, account: Account) -> None:
        """Record that an administrator reset an account's password."""
        logon = logon_id(host, moment)
        self.event(host, moment, "Security/4724", **target(account), **subject(admin, logon))
        when = f"{iso(moment, 0)[:10]} {iso(moment, 0)[11:19]}"
        self.event(
            host, moment + 900, "Security/4738", **target(account), **subject(admin, logon), PasswordLastSet=when
        )
