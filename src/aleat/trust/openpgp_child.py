"""Opens one OpenPGP message in a process of its own; run by `aleat.trust.openpgp`, never imported.

On standard input: the length of the private key in decimal and a newline, the key, the message. On standard output:
what was in it. OpenPGP messages can be compressed, and the library unpacks them without a limit: so memory is limited
here, and what is longer than the message itself is refused (sealed files are not compressed). Exit codes: 0 opened,
3 not for this key or damaged, 4 more than the message can hold.
"""

import sys

_ROOM = 512 * 1024 * 1024


def main() -> int:
    """Return the exit code."""
    length = int(sys.stdin.buffer.readline(16))
    key = sys.stdin.buffer.read(length)
    message = sys.stdin.buffer.read()
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 (not on Windows)

        room = _ROOM + 6 * len(message)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pysequoia  # noqa: PLC0415 (within the limit)

    try:
        plain = pysequoia.decrypt(message, decryptor=pysequoia.Tsk.from_bytes(key).decryptor()).bytes
    except (RuntimeError, OSError, ValueError):
        return 3
    except MemoryError:
        return 4
    if plain is None or len(plain) > len(message):
        return 4
    sys.stdout.buffer.write(plain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
