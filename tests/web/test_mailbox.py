"""The collection of messages: sealed files wait there for their ally, and are opened when they are pushed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aleat.errors import RemoteError
from aleat.exchange.letters import letter_object, open_letter
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_push import push_objects
from aleat.store.post import read_payload, read_post
from tests.exchange.malware import malware
from tests.web.allies import Pair, make_pair, serving


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """North and south."""
    made = make_pair(tmp_path)
    yield made
    made.north.close()
    made.south.close()


def mailbox(client: TaxiiClient) -> str:
    """The URL of the collection of messages at a server."""
    root = client.url + "root/"
    found = [one for one in client.collections(root) if one.alias == "aleat-messages"]
    return f"{root}collections/{found[0].id}/"


def test_a_letter_waits_and_is_fetched(pair: Pair) -> None:
    """North asks; south finds one artifact whose content is a sealed file, and nothing else that tells anything."""
    pair.north.ask("south", None, title="Wiped", impact="Servers are down", needs=["rules"])
    with serving(pair.north) as url, TaxiiClient(pair.at(url, "south")) as client:
        where = mailbox(client)
        found = json.loads(client.objects(where, {}).body)["objects"]
        again = json.loads(client.objects(where, {"added_after": "2022-09-20T00:00:00Z"}).body)["objects"]
        versions = client.versions(where, found[0]["id"])
        record = client.manifest(where, {})[0]
    assert found == again
    assert set(found[0]) == {"type", "spec_version", "id", "mime_type", "payload_bin", "object_marking_refs"}
    assert (record.id, record.version, versions) == (found[0]["id"], record.date_added, (record.date_added,))
    (pair.north.folder / "letter").write_bytes(base64.b64decode(found[0]["payload_bin"]))
    assert pair.south.receive(pair.north.folder / "letter").sender.name == "north"
    with pair.north.read() as connection:
        assert [row.how for row in read_post(connection)] == ["fetched"]


def test_a_pushed_letter_is_opened_at_once_and_once(pair: Pair) -> None:
    """South's server opens what north pushes; again it counts as taken, and changes nothing."""
    pair.north.ask("south", None, title="Wiped", impact="Servers are down", needs=["rules"])
    letter = letters(pair)[0]
    with serving(pair.south) as url, TaxiiClient(pair.at(url, "north")) as client:
        where = mailbox(client)
        for _ in range(2):
            done = push_objects(client, where, [letter])
            assert (len(done.accepted), done.failed) == (1, ())
    assert [thread.state for thread in pair.south.asks()] == ["asked"]


def letters(pair: Pair) -> list[Any]:
    """What waits in north's post box, as artifacts."""
    with pair.north.read() as connection:
        return [letter_object(row.letter, read_payload(connection, row.letter) or b"") for row in read_post(connection)]


def test_hostile_artifacts_fail_alone(pair: Pair) -> None:
    """No artifact, another type, no base64, no sealed file, one for somebody else: each fails with its reason."""
    pair.north.ask("south", None, title="Wiped", impact="Servers are down", needs=["rules"])
    good = letters(pair)[0]
    content = json.loads(good.raw)
    sealed = bytearray(open_letter(good.raw)[1])
    sealed[-1] ^= 1
    wrong: list[dict[str, Any]] = [
        json.loads(malware(1).raw),
        content | {"mime_type": "text/plain"},
        content | {"payload_bin": "????"},
        content | {"payload_bin": base64.b64encode(b"MZ").decode()},
        json.loads(letter_object(good.id.replace("-4", "-5", 1), bytes(sealed)).raw),
    ]
    with serving(pair.south) as url, TaxiiClient(pair.at(url, "north")) as client:
        where = mailbox(client)
        status = client.add_objects(where, json.dumps({"objects": wrong}).encode())
        assert (status.failure_count, status.success_count) == (5, 0)
        assert all(detail.message for detail in status.failures)
        assert push_objects(client, where, [good]).failed == ()
        for body in (b"{}", b"[", b'{"objects":3}', b'{"objects":[' + b"{}," * 200 + b"{}]}"):
            with pytest.raises(RemoteError, match="422"):
                client.add_objects(where, body)
    assert len(pair.south.asks()) == 1
