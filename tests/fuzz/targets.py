"""Which targets there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz import (
    ally_forms,
    bundles,
    catalogues,
    containers,
    events,
    formats,
    letters,
    lists,
    mappings,
    messages,
    misp,
    misp_server,
    objects,
    patterns,
    playbooks,
    rules,
    taxii,
    times,
    windows,
)
from tests.fuzz.runner import Target
from tests.fuzz.world import Folder, folder

__all__ = ["TARGETS", "make_target"]


def _rules(place: Folder, data: Path | None) -> Target:
    return rules.RulesTarget(place, rules.seeds_of(data) if data else ())


def _patterns(place: Folder, data: Path | None) -> Target:
    return patterns.PatternsTarget(place, patterns.seeds_of(data) if data else ())


def _events(place: Folder, data: Path | None) -> Target:
    return events.EventsTarget(place, events.seeds_of(data) if data else ())


def _windows(name: str) -> Callable[[Folder, Path | None], Target]:
    return lambda _, data: windows.ReaderTarget(name, windows.seeds_of(data, name) if data else ())


def _formats(name: str) -> Callable[[Folder, Path | None], Target]:
    return lambda _place, _data: formats.FormatsTarget(name)


def _ally_forms(name: str) -> Callable[[Folder, Path | None], Target]:
    return lambda _place, _data: ally_forms.AllyFormTarget(name)


TARGETS: dict[str, Callable[[Folder, Path | None], Target]] = {
    "rules": _rules,
    "patterns": _patterns,
    "events": _events,
    "bundles": lambda _place, _data: bundles.BundlesTarget(),
    "containers": lambda place, _: containers.ContainersTarget(place),
    **{name: _formats(name) for name in formats.FORMAT_TARGETS},
    "json": lambda _place, _data: objects.ObjectsTarget(),
    "letters": lambda _place, _data: letters.LettersTarget(),
    "lists": lambda place, _: lists.ListsTarget(place),
    **{name: _ally_forms(name) for name in ally_forms.ALLY_FORMS},
    "mappings": lambda _place, _data: mappings.MappingsTarget(),
    "messages": lambda _place, _data: messages.MessagesTarget(),
    "misp": lambda _place, _data: misp.MispTarget(),
    "misp-server": lambda _place, _data: misp_server.MispServerTarget(),
    "cacao": lambda _place, _data: playbooks.PlaybooksTarget(),
    "catalogues": lambda _place, _data: catalogues.CataloguesTarget(),
    "taxii": lambda _place, _data: taxii.TaxiiTarget(),
    "times": lambda _place, _data: times.TimesTarget(),
    **{name: _windows(name) for name in windows.WINDOWS_TARGETS},
}


@contextmanager
def make_target(name: str, data: Path | None = None) -> Iterator[Target]:
    """Make a target ready; `data` is the folder of real samples, where they are to be mutated too."""
    with folder() as place:
        yield TARGETS[name](place, data)
