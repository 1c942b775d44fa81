"""Transforms of `aleat.hunt.views` that only STIX object paths need (the formats' ``[[stix]]``)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["STIX_TRANSFORMS"]

_HIVES = {
    "hklm": ("HKEY_LOCAL_MACHINE",),
    "hkcu": ("HKEY_CURRENT_USER",),
    "hkcr": ("HKEY_CLASSES_ROOT",),
    "hkcc": ("HKEY_CURRENT_CONFIG",),
    "hku": ("HKEY_USERS",),
}


def _items(text: str, separator: str) -> tuple[str, ...]:
    """The parts between separators, without blanks around them."""
    return tuple(part for item in text.split(separator) if (part := item.strip()))


def _plus(text: str, _: str) -> tuple[str, ...]:
    """The text with blanks for plus signs, as IIS writes them in headers."""
    return (text.replace("+", " "),)


def _url_host(text: str, _: str) -> tuple[str, ...]:
    """The host of a URL, without user and port."""
    _, found, rest = text.partition("://")
    if not found:
        return ()
    authority = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
    host = authority.partition("]")[0].lstrip("[") if authority.startswith("[") else authority.partition(":")[0]
    return (host,) if host else ()


def _registry_key(text: str, _: str) -> tuple[str, ...]:
    """A registry path with its hive's full name, as STIX wants it (§6.17); a user's hive also as the current user's."""
    path = text
    lowered = text.lower()
    for native, hive in (("\\registry\\machine\\", "HKLM\\"), ("\\registry\\user\\", "HKU\\")):
        if lowered.startswith(native):
            path = hive + text[len(native) :]
    hive, slash, rest = path.partition("\\")
    hives = _HIVES.get(hive.lower(), (hive,))
    keys = [f"{name}{slash}{rest}" for name in hives]
    if hives in {("HKEY_USERS",), ("HKEY_CURRENT_USER",)} and rest.lower().startswith(("s-1-5-21-", ".default")):
        keys.append(f"HKEY_CURRENT_USER\\{rest.partition(chr(92))[2]}")
    return tuple(keys)


def _registry_parent(text: str, argument: str) -> tuple[str, ...]:
    """The key of a registry path that ends in a value's name."""
    parent, slash, _ = text.rpartition("\\")
    return _registry_key(parent, argument) if slash and parent else ()


STIX_TRANSFORMS: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "items": _items,
    "plus": _plus,
    "url_host": _url_host,
    "registry_key": _registry_key,
    "registry_parent": _registry_parent,
}
