"""The front door as its users type it. `mypy --strict` checks this file; a test runs it on a small sample."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aleat import Workspace


def investigate(folder: Path, pack: Path, logs: Path) -> str:
    """What DESIGN promises under "The front door", step by step."""
    with Workspace.open_or_init(folder) as ws:
        knowledge = ws.add_knowledge(pack, giver="north")
        evidence = ws.add_evidence(logs)
        print(f"{knowledge.new} objects, {evidence.events} events")
        for issue in (*knowledge.issues, *evidence.issues):
            print(f"{issue.place}: {issue.reason} {issue.advice}")

        hunt = ws.hunt()
        seen: list[tuple[str, str | None, str, int]] = [
            (sighting.title, sighting.host, sighting.evidence, sighting.record) for sighting in hunt.sightings
        ]
        for title, host, evidence_path, record in seen:
            print(f"{host}: {title} ({evidence_path} #{record})")
        for row in hunt.not_evaluated:
            print(f"not evaluated: {row.title}: {row.reason}")

        built = ws.build_case("Spring")
        for incident in built.case.incidents:
            print(f"incident {incident.number} on {', '.join(incident.hosts)}")
        for assessment in built.attribution:
            print(f"{assessment.kind}: {assessment.verdict}")
        print(ws.report(built=built).html)

        verified = ws.verify()
        assert not verified.faults
        return built.answer().paragraph


def main(arguments: Sequence[str]) -> None:
    """Run it on a workspace's folder, a pack and logs."""
    folder, pack, logs = map(Path, arguments)
    print(investigate(folder, pack, logs))


if __name__ == "__main__":
    main(sys.argv[1:])
