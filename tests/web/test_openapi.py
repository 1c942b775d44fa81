"""The server's OpenAPI document (docs/taxii.openapi.json) is true, and Schemathesis finds no fault by it.

Schemathesis (its command, in a process of its own) makes requests from the document, sound and damaged, and follows
what answers lead to. Held against: never a 5xx, only documented statuses, media types, headers and bodies, no answer
without an account, nothing there after it was deleted; and the workspace verifies afterwards.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aleat.exchange.taxii_messages import MEDIA_TYPE
from tests.exchange.malware import malware
from tests.exchange.teams import indicator
from tests.web.conftest import LIMITS, NORTH, Served
from tests.web.resources import RESOURCES

DOCUMENT = Path(__file__).parents[2] / "docs" / "taxii.openapi.json"
CONTENT: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
SEED = 7


def test_the_document_names_what_there_is(shared: Served) -> None:
    """Each path and method of it is answered, no other method is, and the resources are the standard's."""
    values = {
        "{collection}": shared.south.collection,
        "{object}": indicator(1, NORTH).id,
        "{status}": "00000000-0000-4000-8000-000000000000",
    }
    for path, methods in CONTENT["paths"].items():
        target = re.sub(r"\{[a-z]+\}", lambda match: values[match[0]], path).removeprefix("/taxii2/")
        allowed = {"GET", "HEAD"} | {method.upper() for method in methods}
        got = shared.ask(target, "TRACE")
        if "status" not in path:
            assert (got.status, set(got.headers["allow"].split(", "))) == (405, allowed)
        assert shared.ask(target).status == (404 if "status" in path else 200)
    schemas = CONTENT["components"]["schemas"]
    for name, properties in RESOURCES.items():
        ours = {key.removesuffix("!") for key in properties} - ({"next"} if name == "versions" else set())
        assert set(schemas[name]["properties"]) == ours
        assert set(schemas[name]["required"]) == {key[:-1] for key in properties if key.endswith("!")}


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis isn't installed")
def test_schemathesis_finds_nothing(served: Served, tmp_path: Path) -> None:
    """Forty seconds of it, from a fixed seed; what it found stands in the message."""
    served.push(*(malware(number) for number in range(5)))
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    document["components"]["parameters"]["collection"]["schema"] = {"enum": [served.south.collection]}
    known = [indicator(1, NORTH).id, malware(1).id, indicator(25, NORTH).id]
    document["components"]["parameters"]["object"]["schema"] = {
        "anyOf": [{"enum": known}, {"$ref": "#/components/schemas/stix-id"}]
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(path)]
    command += ["--url", served.url.removesuffix("/taxii2/"), "--seed", str(SEED), "--max-time", "40"]
    command += ["--header", f"Authorization: Bearer {served.tokens['south']}", "--header", f"Accept: {MEDIA_TYPE}"]
    command += ["--exclude-checks", "ignored_auth,positive_data_acceptance,negative_data_rejection"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-color", "--request-timeout", "20"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path, env={**os.environ, "CI": "1"}
    )
    assert done.returncode == 0, done.stdout[-6_000:]
    assert LIMITS.burst > 1_000  # it was the server that was asked, not its rate limit
    assert served.ask("").status == 200
    assert not served.ws.verify().faults
