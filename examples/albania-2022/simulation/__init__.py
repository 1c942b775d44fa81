"""The simulation behind the example: a victim's logs, an ally's pack, public statements, and the ground truth.

Nothing here imports `aleat`: the generator must not be tuned to the tool that reads its output. Every draw
comes from `random.Random.random()` with an integer seed, whose sequence Python promises to keep, and no
transcendental function is used, so that one seed gives the same bytes on every machine and Python version.
"""

from .build import build

__all__ = ["build"]
