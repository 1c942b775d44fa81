"""The benign background on the Windows hosts: logons, processes, names, shares, services, at each role's rhythm."""

from __future__ import annotations

from collections.abc import Callable

from .chance import Chance, Weighted
from .facts import LSASS, SVCHOST, SYSTEM, Account, Process, Teller, machine_account, process_of, subject
from .moments import DAY, HOUR, MINUTE, SECOND, at, local_hour, spaced, weekday
from .world import Host, hosts, sid, table

FIRST = at("2021-05-01 00:00")
LAST = at("2022-09-20 22:00")

DENSE = ((at("2022-07-04 22:00"), at("2022-07-25 22:00")), (at("2022-08-29 22:00"), at("2022-09-19 22:00")))
"""Three weeks around each wave: these logs were kept whole; of the months before, only a selection."""

_DENSE_RATE = 5
_ALWAYS_ASKED = ("web", "exchange", "sharepoint", "application")
"""Roles that serve people at night too."""
_DAILY = (3, 2, 2, 2, 3, 5, 9, 20, 26, 28, 27, 26, 24, 25, 26, 24, 18, 10, 7, 6, 6, 5, 4, 3)


class Background:
    """One host's benign life."""

    def __init__(self, teller: Teller, host: Host, chance: Chance) -> None:
        """Prepare the tables of the host's role."""
        data, world = table("background"), table("world")
        self.teller, self.host, self.chance, self.data = teller, host, chance, data
        self.activities = Weighted(data["activities"][host.role])
        processes = data["processes"]["all"] + data["processes"].get(host.role, [])
        processes += data["processes"]["workstation"] if host.role == "developer" else []
        self.processes = Weighted(processes)
        people = world["accounts"][host.domain]
        self.people = [name for name in people if not name.startswith("adm.")]
        self.admins = [name for name in people if name.startswith("adm.")]
        self.services = world["services"][host.domain]
        self.peers = [other for other in hosts().values() if other.domain == host.domain and other.name != host.name]
        self.tell: dict[str, Callable[[int], None]] = {
            "kerberos": self.kerberos,
            "logon": self.logon,
            "failed": self.failed,
            "process": self.process,
            "dns": self.dns,
            "registry": self.registry,
            "state": self.state,
            "access": self.access,
            "defender": self.defender,
            "share": self.share,
            "object": self.object,
            "script": self.script,
            "load": self.load,
            "connection": self.connection,
            "served": self.served,
            "file": self.file,
            "explicit": self.explicit,
        }

    def run(self, scale: float) -> None:
        """Tell the host's life from first to last, at `scale` times the usual rate."""
        per_day = max(0.05, self.host.rate * scale)
        moment = FIRST
        while True:
            dense = any(start <= moment < end for start, end in DENSE)
            rate = per_day * (_DENSE_RATE if dense else 0.62)
            weight = _DAILY[local_hour(moment)] * (10 if weekday(moment) < 5 else 4)
            floor = 110 if self.host.role in _ALWAYS_ASKED else 30
            mean = int(DAY * 115 / (rate * max(weight, floor)))
            moment += self.chance.gap(min(mean, 6 * HOUR if scale >= 1 else 40 * DAY)) + self.chance.below(SECOND)
            if moment >= LAST:
                return
            self.tell[self.chance.weighted(self.activities)](moment)

    def account(self, kind: str) -> Account:
        """Return an account for a kind of work: SYSTEM, user, admin, or a service's own name."""
        if kind == "SYSTEM":
            return SYSTEM
        if kind == "user":
            return self.host.domain, self.host.user or self.chance.pick(self.people)
        if kind == "admin":
            return self.host.domain, self.chance.pick(self.admins)
        return self.host.domain, kind

    def fill(self, text: str) -> str:
        """Fill a text's blanks with names of the world."""
        if "{" not in text:
            return text
        world = table("world")
        return text.format(
            user=self.host.user or self.chance.pick(self.people),
            department=self.chance.pick(world["departments"]),
            document=self.chance.pick(world["documents"]),
            number=f"{self.chance.below(1 << 24):06X}",
        )

    def visitor(self) -> tuple[str, str]:
        """Return a peer's address and name."""
        if self.chance.below(3):
            return f"10.{20 if self.host.domain == 'QEVERIA' else 60}.4.{self.chance.between(10, 120)}", "-"
        peer = self.chance.pick(self.peers)
        return peer.ip, peer.name

    def logon(self, moment: int) -> None:
        """Somebody, or some service, logs on."""
        roll = self.chance.below(10)
        if roll < 2:
            self.teller.logon(self.host, moment, SYSTEM, 5, special=True, minutes=1)
        elif roll < 3:
            account = self.host.domain, self.chance.pick(self.services)
            self.teller.logon(self.host, moment, account, 4, special=True, minutes=self.chance.between(1, 9))
        elif self.host.user and roll < 7:
            self.teller.logon(self.host, moment, self.account("user"), 2, minutes=self.chance.between(5, 400))
        elif roll < 4:
            ip = f"10.20.0.{50 if self.host.domain == 'QEVERIA' else 51}"
            self.teller.logon(self.host, moment, self.account("admin"), 10, ip, special=True, minutes=40)
        else:
            ip, _ = self.visitor()
            account = self.host.domain, self.chance.pick(self.people)
            self.teller.logon(self.host, moment, account, 3, ip, minutes=self.chance.between(1, 30))

    def failed(self, moment: int) -> None:
        """Somebody mistypes a password."""
        ip, name = self.visitor()
        account = self.host.domain, self.chance.pick(self.people)
        self.teller.event(
            self.host,
            moment,
            "Security/4625",
            TargetUserName=account[1],
            TargetDomainName=account[0],
            WorkstationName=name,
            IpAddress=ip,
            IpPort=str(49152 + moment // SECOND % 16000),
        )

    def kerberos(self, moment: int) -> None:
        """Somebody gets tickets."""
        ip, _ = self.visitor()
        name = self.chance.pick(self.people)
        realm = self.host.dns.upper()
        port = str(49152 + moment // SECOND % 16000)
        self.teller.event(
            self.host,
            moment,
            "Security/4768",
            TargetUserName=name,
            TargetDomainName=realm,
            TargetSid=sid(self.host.domain, name),
            ServiceSid=sid(self.host.domain, "krbtgt"),
            IpAddress="::ffff:" + ip,
            IpPort=port,
        )
        peer = self.chance.pick(self.peers)
        self.teller.event(
            self.host,
            moment + 30_000,
            "Security/4769",
            TargetUserName=f"{name}@{realm}",
            TargetDomainName=realm,
            ServiceName=peer.name + "$",
            ServiceSid=sid(self.host.domain, peer.name + "$"),
            IpAddress="::ffff:" + ip,
            IpPort=port,
        )

    def process(self, moment: int) -> None:
        """A program starts."""
        parent, image, command, kind = self.chance.weighted(self.processes)
        start = process_of(self.host, moment - 3 * HOUR, self.data["parents"][parent])
        self.teller.process(self.host, moment, image, self.fill(command), start, self.account(kind))

    def dns(self, moment: int) -> None:
        """A name is looked up."""
        name, answer = self.chance.pick(self.data["names"])
        process = process_of(self.host, moment - HOUR, SVCHOST)
        self.teller.query(self.host, moment, process, ("NT AUTHORITY", "NETWORK SERVICE"), name, answer)

    def registry(self, moment: int) -> None:
        """A value in the registry is set."""
        key, value = self.chance.pick(self.data["registry"])
        self.teller.registry(self.host, moment, process_of(self.host, moment - HOUR, SVCHOST), key, value)

    def state(self, moment: int) -> None:
        """A service runs for a while."""
        if not self.chance.below(6):
            kinds = ("auto start", "demand start") if self.chance.below(2) else ("demand start", "auto start")
            name = "Background Intelligent Transfer Service"
            fields = {"param1": name, "param2": kinds[0], "param3": kinds[1], "param4": "BITS"}
            self.teller.event(self.host, moment, "System/7040", **fields)
            return
        name = self.chance.pick(self.data["service_names"])
        self.teller.service_state(self.host, moment, name, "running")
        self.teller.service_state(self.host, moment + self.chance.between(2, 15) * MINUTE, name, "stopped")

    def access(self, moment: int) -> None:
        """The virus scanner, or WMI, looks at LSASS, as they do."""
        images = [name for name in table("images") if name.endswith(("MsMpEng.exe", "WmiPrvSE.exe"))]
        source = process_of(self.host, moment - 5 * HOUR, self.chance.pick(images))
        self.teller.access(self.host, moment, source, SYSTEM, self.chance.pick(("0x1000", "0x1400", "0x101000")))

    def defender(self, moment: int) -> None:
        """Defender gets new signatures."""
        version = (moment - FIRST) // DAY + 1
        texts = [f"1.{339 + number // 18}.{number % 18 * 90}.0" for number in (version, version - 1)]
        self.teller.event(
            self.host,
            moment,
            "Defender/2000",
            **{"Current security intelligence Version": texts[0], "Previous security intelligence Version": texts[1]},
        )

    def share(self, moment: int) -> None:
        """A share is opened over the network."""
        ip, _ = self.visitor()
        account = self.host.domain, self.chance.pick(self.people)
        share = "SYSVOL" if self.host.role == "domain-controller" else "Dokumente"
        path = "\\??\\C:\\Windows\\SYSVOL\\sysvol" if share == "SYSVOL" else "\\??\\D:\\Dokumente"
        self.teller.event(
            self.host,
            moment,
            "Security/5140",
            **subject(account, hex(0x10000 + self.chance.below(1 << 28))),
            IpAddress=ip,
            IpPort=str(49152 + moment // SECOND % 16000),
            ShareName="\\\\*\\" + share,
            ShareLocalPath=path,
        )

    def object(self, moment: int) -> None:
        """A document is read or written."""
        account = self.host.domain, self.chance.pick(self.people)
        written = not self.chance.below(3)
        self.teller.event(
            self.host,
            moment,
            "Security/4663",
            **subject(account, hex(0x10000 + self.chance.below(1 << 28))),
            ObjectName=self.fill("D:\\Dokumente\\{department}\\{document}"),
            HandleId=hex(0x200 + self.chance.below(0x900) * 4),
            AccessList="%%4417\r\n\t\t\t\t" if written else "%%4416\r\n\t\t\t\t",
            AccessMask="0x2" if written else "0x1",
        )

    def script(self, moment: int) -> None:
        """An administrator's script runs."""
        text, path = self.chance.pick(self.data["scripts"])
        self.teller.script(self.host, moment, text, self.account("admin"), path)

    def load(self, moment: int) -> None:
        """A library is loaded."""
        library = self.chance.pick(self.data["libraries"])
        process = process_of(self.host, moment - MINUTE, self.chance.pick(list(table("images"))[:8]))
        self.teller.event(
            self.host,
            moment,
            "Sysmon/7",
            UtcTime=spaced(moment),
            ProcessGuid=process.guid,
            ProcessId=process.pid,
            Image=process.image,
            ImageLoaded=library,
            FileVersion="10.0.17763.1 (WinBuild.160101.0800)",
            Description=library.rpartition("\\")[2],
            Product="Microsoft® Windows® Operating System",
            Company="Microsoft Corporation",
            OriginalFileName=library.rpartition("\\")[2].upper(),
            User="NT AUTHORITY\\SYSTEM",
        )

    def connection(self, moment: int) -> None:
        """Something connects to the domain, or out."""
        if self.host.user and self.chance.below(2):
            browser = process_of(self.host, moment - HOUR, list(table("images"))[30])
            name, answer = self.chance.pick([row for row in self.data["names"] if row[1].startswith("192.0.2.")])
            self.teller.connection(self.host, moment, browser, self.account("user"), answer, 443, name)
            return
        peer = self.chance.pick(self.peers)
        port = self.chance.pick((389, 445, 88))
        image = {389: SVCHOST, 445: "System", 88: LSASS}[port]
        process = process_of(self.host, moment - HOUR, image)
        self.teller.connection(self.host, moment, process, machine_account(self.host), peer.ip, port, peer.fqdn)

    def served(self, moment: int) -> None:
        """A client connects to the web server."""
        inside = f"10.{20 if self.host.domain == 'QEVERIA' else 60}.4.{self.chance.between(10, 120)}"
        self.teller.served(self.host, moment, inside, 8443 if self.host.role == "application" else 443)

    def file(self, moment: int) -> None:
        """A program writes one of its files."""
        image = self.data["file_images"][self.host.role]
        process: Process = process_of(self.host, moment - 2 * HOUR, image)
        path = self.fill(self.data["files"][self.host.role])
        self.teller.file(self.host, moment, process, self.account("user" if self.host.user else "SYSTEM"), path)

    def explicit(self, moment: int) -> None:
        """An administrator uses other credentials."""
        admin = self.account("admin")
        peer = self.chance.pick(self.peers)
        self.teller.event(
            self.host,
            moment,
            "Security/4648",
            **subject(admin, hex(0x10000 + self.chance.below(1 << 28))),
            TargetUserName=admin[1],
            TargetDomainName=admin[0],
            TargetServerName=peer.fqdn,
            TargetInfo=peer.fqdn,
            ProcessId="0x1a30",
            ProcessName="C:\\Windows\\System32\\mstsc.exe",
        )


def live(teller: Teller, seed: int, scale: float) -> None:
    """Tell the benign life of all hosts."""
    for host in hosts().values():
        Background(teller, host, Chance(seed, f"background {host.name}")).run(scale)
