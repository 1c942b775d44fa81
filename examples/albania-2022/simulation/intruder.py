"""What both waves of the attack have in common: the tools, the addresses, and what they do to a host."""

from __future__ import annotations

from collections.abc import Sequence

from .chance import invented_hash
from .facts import CMD, POWERSHELL, SERVICES, SYSTEM, W3WP, Account, Process, Teller, hashes, process_of, subject
from .moments import MINUTE, SECOND, spaced
from .world import Host, sid, table

C2 = "203.0.113.77"
DROP = "198.51.100.44"
RELAY = "192.0.2.153"
C2_NAME = "edge-sync-cdn.test"

_PROTECTION = "HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Real-Time Protection"

LSASS_TRACE = (
    "C:\\Windows\\SYSTEM32\\ntdll.dll+9fc44|C:\\Windows\\System32\\KERNELBASE.dll+20d5e|UNKNOWN(00000000004051A3)"
)


def tool_hash(name: str, kind: str = "sha256") -> str:
    """Return the hash of an invented tool, lower-case."""
    return invented_hash(table("tools")[name]["label"], kind).lower()


def run_tool(
    teller: Teller,
    host: Host,
    moment: int,
    path: str,
    arguments: str,
    parent: Process,
    account: Account,
    logon: str = "0x3e7",
) -> Process:
    """Record that an invented tool runs."""
    tool = table("tools")[path.rpartition("\\")[2]]
    command = f"{path} {arguments}".strip()
    directory = path.rpartition("\\")[0] + "\\"
    return teller.process(
        host,
        moment,
        path,
        command,
        parent,
        account,
        logon=logon,
        label=tool["label"],
        details=tuple(tool["details"]),
        directory=directory,
    )


def through_shell(teller: Teller, host: Host, moment: int, account: Account, command: str, image: str = "") -> Process:
    """Record a command through the web shell: the worker process starts cmd.exe, which may start a program."""
    worker = process_of(host, moment - 40 * MINUTE, W3WP)
    shell = teller.process(
        host, moment, CMD, f'"cmd.exe" /c {command}', worker, account, directory="c:\\windows\\system32\\inetsrv\\"
    )
    if image:
        teller.process(host, moment + SECOND // 2, image, command, shell, account)
    return shell


def switch_off_defender(teller: Teller, host: Host, moment: int, account: Account, logon: str) -> None:
    """Record that Defender is switched off, by a tool, by WMI and by its own cmdlet."""
    shell = process_of(host, moment - MINUTE, CMD)
    run_tool(
        teller, host, moment, "C:\\ProgramData\\Microsoft\\Crypto\\disable_defender.exe", "", shell, account, logon
    )
    teller.process(
        host,
        moment + 8 * SECOND,
        "C:\\Windows\\System32\\wbem\\WMIC.exe",
        "wmic /namespace:\\\\root\\Microsoft\\Windows\\Defender path MSFT_MpPreference "
        "call Set DisableRealtimeMonitoring=True",
        shell,
        account,
        logon=logon,
    )
    command = "Set-MpPreference -DisableRealtimeMonitoring $true -DisableIOAVProtection $true"
    teller.process(
        host, moment + 15 * SECOND, POWERSHELL, f'powershell -nop -w hidden -c "{command}"', shell, account, logon=logon
    )
    teller.script(host, moment + 16 * SECOND, command, account)
    teller.event(
        host,
        moment + 17 * SECOND,
        "Defender/5007",
        **{"New Value": f"{_PROTECTION}\\DisableRealtimeMonitoring = 0x1"},
    )
    teller.event(host, moment + 18 * SECOND, "Defender/5001")


def dump_lsass(
    teller: Teller, host: Host, moment: int, account: Account, parent: Process, logon: str = "0x3e7"
) -> None:
    """Record that LSASS's memory is dumped with a library of Windows itself."""
    rundll = "C:\\Windows\\System32\\rundll32.exe"
    command = "rundll32.exe C:\\windows\\System32\\comsvcs.dll, MiniDump 652 C:\\Windows\\Temp\\err.dmp full"
    process = teller.process(host, moment, rundll, command, parent, account, logon=logon)
    teller.access(host, moment + SECOND, process, account, "0x1fffff", LSASS_TRACE)
    teller.file(host, moment + 2 * SECOND, process, account, "C:\\Windows\\Temp\\err.dmp")


def receive_tool(teller: Teller, host: Host, moment: int, name: str, giver: str, account: Account, folder: str) -> None:
    """Record that a tool is copied to a host over its administrative share."""
    drive, _, rest = folder.partition(":\\")
    logon = f"0x{0x70000 + moment // SECOND % 0xFFFFF:x}"
    common = {**subject(account, logon), "IpAddress": giver, "IpPort": str(49152 + moment // SECOND % 16000)}
    local = f"\\??\\{drive}:\\"
    teller.event(host, moment, "Security/5140", **common, ShareName=f"\\\\*\\{drive}$", ShareLocalPath=local)
    teller.event(
        host,
        moment + 20_000,
        "Security/5145",
        **common,
        ShareName=f"\\\\*\\{drive}$",
        ShareLocalPath=local,
        RelativeTargetName=f"{rest}\\{name}",
    )
    teller.file(
        host, moment + 40_000, Process("System", 4, process_of(host, 0, "System").guid), SYSTEM, f"{folder}\\{name}"
    )


def encrypt(
    teller: Teller,
    host: Host,
    moment: int,
    account: Account,
    logon: str,
    folders: Sequence[str],
    documents: Sequence[str],
) -> int:
    """Record that the encryptor runs over folders: renamed files, a note in each; return when it ends."""
    shell = teller.process(
        host,
        moment,
        CMD,
        "cmd.exe /c C:\\ProgramData\\win.bat",
        process_of(host, moment - MINUTE, SERVICES),
        account,
        logon=logon,
    )
    tool = run_tool(teller, host, moment + 2 * SECOND, "C:\\ProgramData\\GoXML.exe", "", shell, account, logon)
    teller.process(
        host,
        moment + 5 * SECOND,
        "C:\\Windows\\System32\\vssadmin.exe",
        "vssadmin.exe delete shadows /all /quiet",
        tool,
        account,
        logon=logon,
    )
    when = moment + 8 * SECOND
    for folder in folders:
        for document in documents:
            teller.file(host, when, tool, account, f"{folder}\\{document}.lck")
            when += SECOND + len(document) * 20_000
        teller.file(host, when, tool, account, f"{folder}\\How_To_Unlock_MyFiles.txt")
        when += SECOND
    return when


def wipe(teller: Teller, host: Host, moment: int, account: Account, logon: str) -> None:
    """Record that the raw disk driver is installed, the logs are cleared, and the wiper runs; then nothing."""
    folder = "C:\\Windows\\Temp"
    shell = process_of(host, moment - 2 * MINUTE, CMD)
    wevtutil = "C:\\Windows\\System32\\wevtutil.exe"
    for number, log in enumerate(("Security", "System")):
        teller.process(host, moment + number * SECOND, wevtutil, f"wevtutil cl {log}", shell, account, logon=logon)
    teller.event(
        host,
        moment + 400_000,
        "Security/1102",
        SubjectUserSid=sid(*account),
        SubjectUserName=account[1],
        SubjectDomainName=account[0],
        SubjectLogonId=logon,
    )
    teller.event(
        host,
        moment + SECOND + 400_000,
        "System/104",
        SubjectUserName=account[1],
        SubjectDomainName=account[0],
    )
    loader = run_tool(teller, host, moment + 20 * SECOND, f"{folder}\\cl.exe", "in", shell, account, logon)
    teller.file(host, moment + 21 * SECOND, loader, account, f"{folder}\\rwdsk.sys")
    teller.service(
        host,
        moment + 22 * SECOND,
        "RawDisk3",
        f"\\??\\{folder}\\rwdsk.sys",
        account,
        logon,
        "kernel mode driver",
        "demand start",
    )
    teller.event(
        host,
        moment + 23 * SECOND,
        "Sysmon/6",
        UtcTime=spaced(moment + 23 * SECOND),
        ImageLoaded=f"{folder}\\rwdsk.sys",
        Hashes=hashes("", "rwdsk.sys"),
        Signed="true",
        Signature="EldoS Corporation",
        SignatureStatus="Expired",
    )
    run_tool(teller, host, moment + 31 * SECOND, f"{folder}\\cl.exe", "wp \\\\.\\PhysicalDrive0", shell, account, logon)


def phone_home(
    teller: Teller, host: Host, moment: int, process: Process, account: Account, ip: str = C2, name: str = C2_NAME
) -> None:
    """Record a look-up and a connection to the attackers' server."""
    if name != "-":
        teller.query(host, moment, process, account, name, ip)
    teller.connection(host, moment + 90_000, process, account, ip, 443, name)
