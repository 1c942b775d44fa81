"""Names that a package shows, whose modules are loaded when they are first asked for.

A command imports what it needs: a package's public face must not load all of the house behind it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["deferred"]


def deferred(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package that takes `modules`' names from those modules of it (PEP 562).

    Type checkers are told by imports under `TYPE_CHECKING`.
    """
    places = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def load(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
