"""Run by another Python, in which `dissect.target` is installed: a disk image's files as a tar archive on stdout.

``python -I image_to_tar.py IMAGE`` reads patterns (see image_paths.toml) from its standard input, one a line. The
archive begins with ``aleat-image.json`` (host, system) and ends with ``aleat-end.json`` (what couldn't be read); its
members are named by their paths below the root, a drive's letter first (``C/Windows/…``). Nothing of this is ever
imported by Aleat: `dissect.target` has a licence (AGPL-3.0) of its own, and is a program of its own.
"""

# ruff: noqa: SIM115, PLC0415 - what comes in is kept open; dissect.target is there only where this is run
# mypy: ignore-errors
import fnmatch
import io
import json
import re
import stat
import sys
import tarfile

MOST_ERRORS = 1000


class Writer:
    """The archive on its way out; `errors` are (path, kind of error)."""

    def __init__(self, stream):
        self.tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)
        self.errors = []
        self.count = 0

    def text(self, name, content):
        """Add a small JSON file."""
        data = json.dumps(content).encode()
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def fault(self, path, error):
        """Note what can't be read."""
        self.count += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append([str(path), type(error).__name__])

    def file(self, path, name):
        """Add a file; a stream that ends early is filled up, and named."""
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                return
            stream = path.open("rb")
        except Exception as error:
            self.fault(path, error)
            return
        info = tarfile.TarInfo(name)
        info.size, info.mtime = found.st_size, max(found.st_mtime, 0)
        padded = Padded(stream, info.size)
        self.tar.addfile(info, padded)
        if padded.error is not None:
            self.fault(path, padded.error)


class Padded:
    """A stream that always has `size` bytes: what can't be read is zeros."""

    def __init__(self, stream, size):
        self.stream, self.left, self.error = stream, size, None

    def read(self, size):
        """Read on."""
        size = min(size, self.left)
        data = b""
        if self.error is None:
            try:
                data = self.stream.read(size)
            except Exception as error:
                self.error = error
        if len(data) < size and self.error is None:
            self.error = EOFError()
        self.left -= size
        return data + bytes(size - len(data))


def matching(folder, parts, writer):
    """Yield (path, names below the folder) of all files that the parts of a pattern fit, links not followed."""
    part, rest = parts[0], parts[1:]
    try:
        if part == "**" or "*" in part:
            entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
        else:
            entries = [folder / part] if (folder / part).exists() else []
        for entry in entries:
            if part != "**" and not fnmatch.fnmatchcase(entry.name.lower(), part.lower()):
                continue
            mode = entry.lstat().st_mode
            if stat.S_ISDIR(mode) and (rest or part == "**"):
                for path, names in matching(entry, rest or ["**"], writer):
                    yield path, [entry.name, *names]
            elif stat.S_ISREG(mode) and not rest:
                yield entry, [entry.name]
    except Exception as error:
        writer.fault(folder, error)


def main():
    """Write the archive."""
    from dissect.target import Target

    patterns = [line.strip().split("/") for line in sys.stdin if line.strip()]
    target = Target.open(sys.argv[1])
    writer = Writer(sys.stdout.buffer)
    facts = {}
    for name in ("hostname", "os", "version", "timezone"):
        try:
            facts[name] = str(getattr(target, name, None) or "")
        except Exception:
            facts[name] = ""
    writer.text("aleat-image.json", facts)
    drives = sorted(name for name in target.fs.mounts if re.fullmatch("[a-zA-Z]:", name))
    roots = [(f"{name}/", [name[0].upper()]) for name in drives] or [("/", [])]
    seen = set()
    for root, prefix in roots:
        for pattern in patterns:
            for path, names in matching(target.fs.path(root), pattern, writer):
                name = "/".join([*prefix, *names])
                if name not in seen:
                    seen.add(name)
                    writer.file(path, name)
    writer.text("aleat-end.json", {"errors": writer.errors, "count": writer.count, "files": len(seen)})
    writer.tar.close()


if __name__ == "__main__":
    main()
