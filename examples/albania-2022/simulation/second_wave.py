"""The second wave: the police, 7 to 9 September 2022, same tools and servers; another network, other accounts."""

from __future__ import annotations

from .facts import CMD, EXPLORER, SERVICES, SYSTEM, Account, Teller, process_of
from .intruder import C2, dump_lsass, encrypt, phone_home, receive_tool, run_tool, switch_off_defender, wipe
from .moments import DAY, HOUR, MINUTE, SECOND, at
from .world import hosts, table

OPERATOR: Account = ("POLICIA", "e.dervishi")
ADMINISTRATOR: Account = ("POLICIA", "Administrator")
TASK = "\\Microsoft\\Windows\\Servicing\\StoreSyncCore"
SERVICE = "TLSPolicyHelper"
BACKDOOR = "C:\\Windows\\System32\\tlsvc.exe"


def second_wave(teller: Teller) -> None:
    """Tell the second wave, from the first logon to wiping."""
    app, database, controller = (hosts()[name] for name in ("POL-APP01", "POL-DB01", "POL-DC01"))
    teller.recorder.stage("wave2:access")
    moment = at("2022-09-07 19:41:38")
    logon = teller.logon(app, moment, OPERATOR, 10, C2, special=True, minutes=96)
    desktop = process_of(app, moment, EXPLORER)
    shell = teller.process(
        app, moment + 3 * MINUTE, CMD, '"C:\\Windows\\system32\\cmd.exe"', desktop, OPERATOR, logon=logon
    )
    teller.recorder.stage("wave2:discovery")
    for number, (image, command) in enumerate(
        (
            ("C:\\Windows\\System32\\whoami.exe", "whoami /all"),
            ("C:\\Windows\\System32\\net.exe", 'net group "domain admins" /domain'),
            ("C:\\Windows\\System32\\nltest.exe", "nltest /dclist:policia.example"),
        )
    ):
        teller.process(app, moment + (4 + number) * MINUTE, image, command, shell, OPERATOR, logon=logon)
    run_tool(
        teller,
        app,
        moment + 12 * MINUTE,
        "C:\\Windows\\Temp\\aps.exe",
        "/r:10.60.0.1-10.60.4.254",
        shell,
        OPERATOR,
        logon,
    )
    teller.recorder.stage("wave2:credentials")
    dump_lsass(teller, app, moment + 25 * MINUTE, OPERATOR, shell, logon)
    teller.recorder.stage("wave2:lateral")
    moment = at("2022-09-08 20:15:04")
    logon = teller.logon(controller, moment, ADMINISTRATOR, 10, app.ip, special=True, minutes=70)
    shell = teller.process(
        controller,
        moment + MINUTE,
        CMD,
        '"C:\\Windows\\system32\\cmd.exe"',
        process_of(controller, moment, EXPLORER),
        ADMINISTRATOR,
        logon=logon,
    )
    teller.recorder.stage("wave2:persistence")
    teller.file(controller, moment + 4 * MINUTE, process_of(controller, moment, EXPLORER), ADMINISTRATOR, BACKDOOR)
    command = f'sc create {SERVICE} binPath= "{BACKDOOR} -k netsvcs" start= auto DisplayName= "TLS Policy Helper"'
    teller.process(
        controller, moment + 5 * MINUTE, "C:\\Windows\\System32\\sc.exe", command, shell, ADMINISTRATOR, logon=logon
    )
    teller.service(controller, moment + 5 * MINUTE + SECOND, SERVICE, f"{BACKDOOR} -k netsvcs", ADMINISTRATOR, logon)
    service = run_tool(
        teller,
        controller,
        moment + 6 * MINUTE,
        BACKDOOR,
        "-k netsvcs",
        process_of(controller, moment - DAY, SERVICES),
        SYSTEM,
    )
    teller.recorder.stage("wave2:command-and-control")
    for beat in (7 * MINUTE, 3 * HOUR, 9 * HOUR, 16 * HOUR, 22 * HOUR):
        phone_home(teller, controller, moment + beat, service, SYSTEM)
    teller.recorder.stage("wave2:persistence")
    moment = at("2022-09-08 21:02:47")
    logon = teller.logon(database, moment, ADMINISTRATOR, 3, controller.ip, controller.name, special=True)
    arguments = "-NoP -W Hidden -File C:\\ProgramData\\Microsoft\\Network\\sync.ps1"
    command = f'schtasks /create /tn {TASK} /sc daily /st 03:10 /ru SYSTEM /tr "powershell.exe {arguments}"'
    teller.process(
        database,
        moment + SECOND,
        "C:\\Windows\\System32\\schtasks.exe",
        command,
        process_of(database, moment, CMD),
        ADMINISTRATOR,
        logon=logon,
    )
    teller.task(database, moment + 2 * SECOND, TASK, "powershell.exe", arguments, ADMINISTRATOR, logon)
    _strike(teller)
    teller.recorder.stage("")


def _strike(teller: Teller) -> None:
    """9 September 2022, in the evening: Defender off, the spreader, the database first, then the application."""
    app, database, controller = (hosts()[name] for name in ("POL-APP01", "POL-DB01", "POL-DC01"))
    teller.recorder.stage("wave2:defence-evasion")
    start = at("2022-09-09 19:55:00")
    logons = {}
    for number, host in enumerate((database, app)):
        moment = start + number * 3 * MINUTE
        logons[host.name] = teller.logon(
            host, moment, ADMINISTRATOR, 3, controller.ip, controller.name, special=True, minutes=50
        )
        switch_off_defender(teller, host, moment + 5 * SECOND, ADMINISTRATOR, logons[host.name])
    teller.recorder.stage("wave2:spread")
    moment = start + 9 * MINUTE
    spreader = run_tool(
        teller,
        controller,
        moment,
        "C:\\ProgramData\\Mellona.exe",
        "C:\\ProgramData\\hosts.txt",
        process_of(controller, moment - MINUTE, CMD),
        ADMINISTRATOR,
    )
    for number, host in enumerate((database, app)):
        when = moment + (number + 1) * 40 * SECOND
        teller.connection(controller, when, spreader, ADMINISTRATOR, host.ip, 445, host.fqdn)
        receive_tool(teller, host, when + SECOND, "GoXML.exe", controller.ip, ADMINISTRATOR, "C:\\ProgramData")
        receive_tool(teller, host, when + 2 * SECOND, "cl.exe", controller.ip, ADMINISTRATOR, "C:\\Windows\\Temp")
    teller.recorder.stage("wave2:encryption")
    documents = [f"tims_{number:02d}.bak" for number in range(12)]
    folders = ["E:\\SQL\\Backup", "E:\\SQL\\Data"]
    encrypt(teller, database, start + 31 * MINUTE, ADMINISTRATOR, logons["POL-DB01"], folders, documents)
    folders = [f"D:\\tims\\{name}" for name in ("raporte", "kufiri", "çështje")]
    encrypt(teller, app, start + 36 * MINUTE, ADMINISTRATOR, logons["POL-APP01"], folders, table("world")["documents"])
    teller.recorder.stage("wave2:wiping")
    wipe(teller, database, at("2022-09-09 20:43:20"), ADMINISTRATOR, logons["POL-DB01"])
    wipe(teller, app, at("2022-09-09 20:57:10"), ADMINISTRATOR, logons["POL-APP01"])
