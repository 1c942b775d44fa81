"""Where private keys lie: outside every workspace, one file a key, readable by its owner alone.

The folder is `$ALEAT_KEYS`, else ``aleat/keys`` in the user's configuration folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from aleat.errors import TrustError
from aleat.trust.keys import SigningKey

__all__ = ["default_key_folder", "load_private_text", "load_signing_key", "save_private_text", "save_signing_key"]

_MAX_KEY_FILE = 64 * 1024


def default_key_folder() -> Path:
    """Return `$ALEAT_KEYS`, or ``aleat/keys`` in the user's configuration folder."""
    if folder := os.environ.get("ALEAT_KEYS"):
        return Path(folder)
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "aleat" / "keys"
    return Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "aleat" / "keys"


def save_private_text(folder: Path, name: str, text: str) -> Path:
    """Write a private key's text to ``folder/name``, readable by the owner alone; never over another."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path


def load_private_text(folder: Path, name: str) -> str:
    """Return what `save_private_text` wrote; raises `TrustError` where it isn't there."""
    try:
        with (folder / name).open("rb") as file:
            return file.read(_MAX_KEY_FILE).decode("ascii")
    except FileNotFoundError:
        raise TrustError(
            f"The private key {name} is not in {folder}. "
            "Set ALEAT_KEYS to the folder that has it, or bring it from where the workspace was made."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TrustError(f"The private key {name} in {folder} can't be read.") from error


def save_signing_key(folder: Path, key: SigningKey) -> Path:
    """Write a signing key to ``folder/<its id>.pem``."""
    return save_private_text(folder, f"{key.key_id}.pem", key.to_pem().decode())


def load_signing_key(folder: Path, key_id: str) -> SigningKey:
    """Return the signing key `key_id` from `folder`; raises `TrustError` where it isn't there."""
    return SigningKey.from_pem(load_private_text(folder, f"{key_id}.pem").encode())
