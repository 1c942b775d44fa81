"""The options by which a poll says which of a MISP server's events it wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from aleat.exchange.misp_server import MispFilters

__all__ = ["MispEvents"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MispEvents:
    """Which of a MISP server's events are asked for; each choice has a bookmark of its own.

    Args:
        tag: MISP: only events with this tag (!NAME: without it); may be repeated.
        org: MISP: only events of this organisation, by its name or UUID (!NAME: not of it); may be repeated.
        unpublished: MISP: events that aren't published too.
        to_ids: MISP: only events that have something fit for detection.
        event: MISP: just this event, by its UUID or the server's number; may be repeated.
    """

    tag: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    org: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    unpublished: Annotated[bool, Parameter(negative="")] = False
    to_ids: Annotated[bool, Parameter(negative="")] = False
    event: Annotated[tuple[str, ...], Parameter(negative="")] = ()

    def filters(self) -> MispFilters | None:
        """Return what is asked for, or None where nothing was said."""
        from aleat.exchange.misp_server import MispFilters  # noqa: PLC0415

        chosen = MispFilters(self.tag, self.org, None if self.unpublished else True, self.to_ids, self.event)
        return chosen if chosen.words else None
