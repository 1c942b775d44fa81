"""How files from strangers are opened, for knowledge and evidence alike: archives, compressed streams, URLs.

Containers (zip, tar, 7z) are read forward by code of our own, one module each behind one seam (`container`); what
is packed in them is undone by libraries, within `Limits` that have names. `places` fetches what stands at a URL.
Nothing is unpacked to its name, nothing is run, and nothing is fetched that was not asked for; what can't be had is
an `InputError` or a `Note`. What the bytes mean is for the rooms that ask for them.
"""

from aleat.opening.container import Archive, Container, Member, Note, Opening, Secrets, container_of, open_archive
from aleat.opening.limits import Budget, Limits, change_limits, limit_advice
from aleat.opening.places import Fetched, fetch, is_url, location, shown_url

__all__ = [
    "Archive",
    "Budget",
    "Container",
    "Fetched",
    "Limits",
    "Member",
    "Note",
    "Opening",
    "Secrets",
    "change_limits",
    "container_of",
    "fetch",
    "is_url",
    "limit_advice",
    "location",
    "open_archive",
    "shown_url",
]
