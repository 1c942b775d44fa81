"""The judge of what we create: stix2-validator in strict mode, its check 103 (UUIDv4) off."""

from __future__ import annotations

from stix2validator import ValidationOptions, validate_instance

from aleat.stix import StixObject

_OPTIONS = ValidationOptions(strict=True, disabled="103", version="2.1")


def strict_errors(item: StixObject) -> list[str]:
    """What the validator has against an object; nothing, for one of ours."""
    return [str(error) for error in validate_instance(item.properties(), _OPTIONS).errors]
