"""The house keeps its shape: imports point one way, and only the doors touch the world."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "aleat"

ROOMS = (
    "errors",
    "text",
    "times",
    "processes",
    "deferred",
    "formats",
    "stix",
    "trust",
    "store",
    "opening",
    "knowledge",
    "evidence",
    "hunt",
    "case",
    "attribution",
    "release",
    "exchange",
    "report",
    "workspace",
    "web",
    "cli",
    "__main__",
)
"""In the order of DESIGN's list: a room imports from itself and from rooms above it."""

TOUCHES_DISK = (
    "store/",
    "opening/",
    "workspace",
    "evidence/opener.py",
    "evidence/opening/",
    "knowledge/opener.py",
    "knowledge/archives.py",
    "cli/",
)
TOUCHES_NETWORK = ("exchange/", "web/", "opening/places.py", "opening/addresses.py")
KNOWS_THE_TIME = ("workspace", "web/", "cli/")

DISK_MODULES = {"os", "shutil", "tempfile", "sqlite3", "sqlalchemy", "fsspec", "glob", "fcntl", "mmap"}
NETWORK_MODULES = {"socket", "ssl", "http", "urllib.request", "httpx", "httpx2", "requests", "starlette", "uvicorn"}
DISK_CALLS = {
    "open",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "mkdir",
    "unlink",
    "iterdir",
    "rglob",
    "is_file",
    "is_dir",
    "exists",
}
PACKAGE_DATA_CALLS = {"read_bytes", "read_text", "iterdir", "is_file"}
"""What a module that reads the package's own data through `importlib.resources` may call."""

MODULES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's path in the package, with forward slashes."""
    return path.relative_to(SOURCE).as_posix()


def room_of(name: str) -> str:
    """The room of a module's path."""
    return name.partition("/")[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, absolute module) that a file imports, relative imports resolved, names included."""
    package = ("aleat", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def called(path: Path) -> Iterator[tuple[int, str]]:
    """Every (line, name) of a function or method that a file calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield node.lineno, function.attr
            elif isinstance(function, ast.Name):
                yield node.lineno, function.id


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_up_the_list(path: Path) -> None:
    """A room imports only from itself and from rooms above it; nothing imports a skin."""
    name = name_of(path)
    if name == "__init__.py":
        return
    allowed = set(ROOMS[: ROOMS.index(room_of(name)) + 1])
    wrong = [
        f"{name}:{line} imports {module}"
        for line, module in imported(path)
        if module.startswith("aleat.") and module.split(".", 2)[1] not in {*allowed, "__version__"}
    ]
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_doors_touch_the_world(path: Path) -> None:
    """Disk, databases, networks and clocks stand behind the modules that DESIGN names; all else is pure."""
    name = name_of(path)
    wrong: list[str] = []

    def forbid(modules: set[str], doors: tuple[str, ...]) -> None:
        if not name.startswith(doors):
            wrong.extend(
                f"{name}:{line} imports {module}"
                for line, module in imported(path)
                if any(module == bad or module.startswith(f"{bad}.") for bad in modules)
            )

    forbid(DISK_MODULES, TOUCHES_DISK)
    forbid(NETWORK_MODULES, TOUCHES_NETWORK)
    if not name.startswith(TOUCHES_DISK):
        own_data = any(module.startswith("importlib.resources") for _, module in imported(path))
        calls = DISK_CALLS - PACKAGE_DATA_CALLS if own_data else DISK_CALLS
        wrong.extend(f"{name}:{line} calls {call}" for line, call in called(path) if call in calls)
    if not name.startswith(KNOWS_THE_TIME):
        clocks = {"now", "utcnow", "today"}
        wrong.extend(f"{name}:{line} asks the clock" for line, call in called(path) if call in clocks)
    assert not wrong


def test_every_room_shows_its_public_face() -> None:
    """Each room's `__init__` has a docstring and an explicit `__all__`."""
    for room in ROOMS:
        init = SOURCE / room / "__init__.py"
        if init.is_file():
            tree = ast.parse(init.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), room
            names = {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets}  # type: ignore[attr-defined]
            names |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}  # type: ignore[union-attr]
            assert "__all__" in names, room
