#!/bin/sh
# Make the lock anew: hash-pinned, for every platform, without index addresses. Needs uv on PATH.
set -eu
cd "$(dirname "$0")/.."
common="--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header"
uv pip compile $common pyproject.toml requirements/build.in -o requirements/run.txt "$@"
uv pip compile $common pyproject.toml requirements/build.in --group dev -o requirements/dev.txt "$@"
