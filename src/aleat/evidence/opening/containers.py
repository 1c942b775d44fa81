"""The kinds of archives that evidence comes in: those of `aleat.opening`, and disk images."""

from __future__ import annotations

from aleat.evidence.opening.disk_image import DiskImage
from aleat.opening.container import Container
from aleat.opening.container import container_of as archive_of

__all__ = ["container_of"]

_IMAGE = DiskImage()


def container_of(head: bytes) -> Container | None:
    """Return the kind of archive or image that begins so, or None."""
    return archive_of(head) or (_IMAGE if _IMAGE.detect(head) else None)
