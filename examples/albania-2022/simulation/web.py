"""Access logs of the sites: IIS (W3C, UTC), nginx and Tomcat (combined, local time), with their outages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .chance import Chance, Weighted
from .moments import DAY, HOUR, MINUTE, SECOND, access_time, at, clock_text, date_text, local_hour, weekday
from .world import table

_HOURLY = (70, 66, 64, 62, 62, 64, 72, 92, 118, 134, 140, 138, 130, 126, 130, 128, 118, 110, 106, 108, 110, 106, 94, 80)
"""Percent of the mean rate, by local hour: the nights stay above 60."""

_HEADER = (
    "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: {date}\r\n"
    "#Fields: date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
    "cs-version cs(User-Agent) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes "
    "time-taken\r\n"
)


@dataclass(slots=True)
class Request:
    """One request, before a log's format is chosen."""

    moment: int
    ip: str
    user: str
    method: str
    path: str
    query: str
    status: int
    agent: str
    size: int
    taken: int


@dataclass
class Served:
    """What a service's log shows: per outage its edges, and how many requests there are in all."""

    service: str
    requests: int = 0
    intruder: int = 0
    outages: list[dict[str, Any]] = field(default_factory=list)


class Site:
    """One site and its visitors."""

    def __init__(self, row: dict[str, Any], seed: int, scale: float) -> None:
        """Prepare the site's tables."""
        data = table("sites")
        self.row, self.data = row, data
        self.chance = Chance(seed, f"site {row['service']}")
        self.pages = Weighted(row["pages"])
        self.agents = Weighted(data["desk_agents" if row["users"] == "police" else "agents"])
        self.scale = scale
        self.outages = [
            {
                **outage,
                "start": at(outage["from"]),
                "dark": at(outage.get("dark", outage["from"])),
                "end": at(outage["to"]),
            }
            for outage in data["outages"]
            if outage["service"] == row["service"]
        ]
        reserved = set(data["reserved"])
        nets = ("198.51.100.", "203.0.113.", "192.0.2.")
        outside = [net + str(last) for net in nets for last in range(1, 255) if net + str(last) not in reserved]
        inside = [f"10.{60 if row['users'] == 'police' else 20}.4.{last}" for last in range(10, 130)]
        self.clients = (
            inside if row["users"] == "police" else outside + inside[:40] if row["users"] == "all" else outside
        )
        domain = "POLICIA" if row["users"] == "police" else "QEVERIA"
        names = [name for name in table("world")["accounts"][domain] if not name.startswith("adm.")]
        self.users = [name if domain == "POLICIA" else f"{domain}\\{name}" for name in names]

    def requests(self) -> list[Request]:
        """Return all requests that the log holds, in order of time."""
        requests = [
            request
            for start, end in self.row["windows"]
            for request in self._visits(at(start), at(end))
            if not any(outage["dark"] <= request.moment < outage["end"] for outage in self.outages)
        ]
        for outage in self.outages:
            for request in requests:
                if outage["start"] <= request.moment < outage["dark"]:
                    request.status, request.size = (503 if self.row["kind"] == "iis" else 500), 328
        requests += self._intruder()
        requests += self._scanner()
        return sorted(requests, key=lambda request: request.moment)

    def _visits(self, start: int, end: int) -> Iterator[Request]:
        chance, row = self.chance, self.row
        per_visit = row["requests_per_visit_milli"]
        rate = max(20, int(row["rate_milli"] * self.scale))
        moment = start
        while True:
            percent = _HOURLY[local_hour(moment)] * (100 if weekday(moment) < 5 else 84)
            moment += chance.gap(MINUTE * per_visit * 10_000 // (rate * percent)) + chance.below(1000)
            if moment >= end:
                return
            ip, agent = chance.pick(self.clients), chance.weighted(self.agents)
            user = self._user()
            yield self._page(moment, ip, user, agent)
            when = moment
            for _ in range(chance.below(2 * (per_visit - 1000) // 1000 + 1)):
                when += chance.between(40, 4000) * 1000
                if when < end:
                    yield self._asset(when, ip, user, agent)

    def _user(self) -> str:
        kind = self.row["users"]
        if kind == "none" or (kind == "some" and self.chance.below(12)):
            return "-"
        return str(self.chance.pick(self.users))

    def _page(self, moment: int, ip: str, user: str, agent: str) -> Request:
        chance = self.chance
        method, path, query, status = chance.weighted(self.pages)
        if "{" in query:
            query = query.format(
                number=f"{100000 + chance.below(900000)}",
                pair=f"{chance.below(256):02x}",
                crossing=chance.pick(self.data["crossings"]),
                user=quote(user),
            )
        if not chance.below(250):
            status = chance.pick((400, 404, 500, 500))
        return Request(
            moment, ip, user, method, path, query, status, agent, chance.between(700, 64000), chance.between(8, 900)
        )

    def _asset(self, moment: int, ip: str, user: str, agent: str) -> Request:
        chance = self.chance
        status = 200 if chance.below(3) else 304
        size = chance.between(2000, 180000) if status == 200 else 141
        path = chance.pick(self.row["assets"])
        return Request(moment, ip, user, "GET", path, self._none(), status, agent, size, chance.between(1, 60))

    def _none(self) -> str:
        return "-" if self.row["kind"] == "iis" else ""

    def _intruder(self) -> Iterator[Request]:
        agent = self.data["tool_agents"]["intruder"]
        for service, moment, ip, method, path, query, status in self.data["intruder_requests"]:
            if service == self.row["service"]:
                size = 48_211_034 if path.endswith(".pst") else self.chance.between(900, 9000)
                yield Request(
                    at(moment), ip, "-", method, path, query, status, agent, size, self.chance.between(30, 2000)
                )

    def _scanner(self) -> Iterator[Request]:
        scanner = self.data["scanner"]
        if self.row["service"] not in scanner["services"]:
            return
        for start, end in self.row["windows"]:
            moment = at(start) + 5 * HOUR
            while moment < at(end):
                if not any(outage["start"] <= moment < outage["end"] for outage in self.outages):
                    for number, path in enumerate(scanner["paths"]):
                        yield Request(
                            moment + number * SECOND,
                            scanner["ip"],
                            "-",
                            "GET",
                            path,
                            self._none(),
                            404,
                            self.data["tool_agents"]["scanner"],
                            1245,
                            3,
                        )
                moment += scanner["every_hours"] * HOUR

    def line(self, request: Request) -> str:
        """Return the request as its log writes it."""
        row = self.row
        if row["kind"] == "iis":
            return (
                f"{date_text(request.moment // DAY)} {clock_text(request.moment)} "
                f"{row['site']} {row['host']} {row['ip']} "
                f"{request.method} {request.path} {request.query} 443 {request.user} {request.ip} HTTP/1.1 "
                f"{request.agent.replace(' ', '+')} - {row['service']} {request.status} 0 0 "
                f"{request.size} {310 + len(request.path)} {request.taken}\r\n"
            )
        target = f"{request.path}?{request.query}" if request.query else request.path
        user, end = request.user, "\n" if row["kind"] == "nginx" else "\r\n"
        return (
            f'{request.ip} - {user} [{access_time(request.moment)}] "{request.method} {target} HTTP/1.1" '
            f'{request.status} {request.size} "-" "{request.agent}"{end}'
        )

    def write(self, evidence: Path) -> Served:
        """Write the site's log files; return what they show."""
        requests = self.requests()
        folder = evidence / self.row["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, list[str]] = {}
        restarts = [outage["end"] for outage in self.outages if outage["cause"] != "log-lost"]
        previous = 0
        for request in requests:
            lines = files.setdefault(self._file(request.moment), [])
            if self.row["kind"] == "iis" and (not lines or any(previous < up <= request.moment for up in restarts)):
                lines.append(_HEADER.format(date=f"{date_text(request.moment // DAY)} {clock_text(request.moment)}"))
            lines.append(self.line(request))
            previous = request.moment
        for name, lines in files.items():
            (folder / name).write_bytes("".join(lines).encode(self.row["encoding"]))
        return self._served(requests)

    def _file(self, moment: int) -> str:
        if self.row["kind"] == "iis":
            return f"{self.row['prefix']}{date_text(moment // DAY)[2:].replace('-', '')}.log"
        return str(self.row["file"]).replace("{date}", date_text((moment + 2 * HOUR) // DAY))

    def _served(self, requests: list[Request]) -> Served:
        intruders = {row[2] for row in self.data["intruder_requests"]}
        served = Served(self.row["service"], len(requests), sum(request.ip in intruders for request in requests))
        for outage in self.outages:
            middle = outage["start"]
            answered = [request.moment // SECOND * SECOND for request in requests if request.status < 500]
            last = max(moment for moment in answered if moment < middle)
            first = min(moment for moment in answered if moment >= outage["end"] // SECOND * SECOND)
            failed = sum(last < request.moment < first and request.status >= 500 for request in requests)
            served.outages.append(
                {
                    "service": self.row["service"],
                    "host": self.row["host"],
                    "last_served": last,
                    "first_served": first,
                    "cause": outage["cause"],
                    "incident": outage.get("incident"),
                    "failed_requests": failed,
                }
            )
        return served


def serve(evidence: Path, seed: int, scale: float) -> list[Served]:
    """Write the logs of all sites; return what they show."""
    return [Site(row, seed, scale).write(evidence) for row in table("sites")["sites"]]
