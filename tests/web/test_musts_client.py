"""What TAXII 2.1 says a client MUST do: what ours sends, and what it reads."""

from __future__ import annotations

import json

from aleat.exchange.access import Access, Credentials
from aleat.exchange.taxii_client import TaxiiClient
from aleat.exchange.taxii_messages import MEDIA_TYPE
from aleat.exchange.taxii_push import push_objects
from tests.exchange.http_double import Reply, Request, serving, taxii
from tests.exchange.malware import malware
from tests.web.resources import RESOURCES, check

ID = "c0ffee00-0000-4000-8000-000000000001"
DETAIL = {"id": malware(1).id, "version": malware(1).version, "message": "kept"}
ANSWERS = {
    "/taxii2/": {"title": "T", "description": "d", "contact": "c", "default": "/root/", "api_roots": ["/root/"]},
    "/root/": {"title": "R", "description": "d", "versions": [MEDIA_TYPE], "max_content_length": 10_000},
    "/root/collections/": {
        "collections": [
            {
                "id": ID,
                "title": "C",
                "description": "d",
                "alias": "a",
                "can_read": True,
                "can_write": True,
                "media_types": ["application/stix+json;version=2.1"],
            }
        ]
    },
    f"/root/collections/{ID}/objects/": {
        "id": ID,
        "status": "complete",
        "request_timestamp": "2022-07-15T08:00:00.000000Z",
        "total_count": 1,
        "success_count": 1,
        "failure_count": 0,
        "pending_count": 0,
        "successes": [DETAIL],
    },
    f"/root/collections/{ID}/manifest/": {
        "more": False,
        "objects": [{"id": DETAIL["id"], "date_added": "2022-07-15T08:00:00.000000Z", "version": DETAIL["version"]}],
    },
}


def answer(request: Request) -> Reply:
    """What a sound server says."""
    return taxii(json.dumps(ANSWERS[request.path.partition("?")[0]]).encode())


def test_our_client_says_what_it_accepts_and_sends() -> None:
    """Each request accepts TAXII 2.1 and says who asks; a POST names its type; each path ends in a slash (§3.1)."""
    with serving(answer) as server:
        access = Access(f"{server.url}taxii2/", Credentials(user="south", password="a word"), sleep=lambda _: None)
        with TaxiiClient(access) as client:
            client.discovery()
            root = f"{server.url}root/"
            list(client.collections(root))
            client.manifest(f"{root}collections/{ID}/", {})
            push_objects(client, f"{root}collections/{ID}/", [malware(1)])
    assert {request.method for request in server.requests} == {"GET", "POST"}
    for request in server.requests:
        assert request.path.partition("?")[0].endswith("/")
        assert MEDIA_TYPE in request.headers["accept"]
        assert request.headers["user-agent"].startswith("aleat")
        assert request.headers["authorization"].startswith("Basic ")
        if request.method == "POST":
            assert request.headers["content-type"] == MEDIA_TYPE
            assert set(json.loads(request.body)) == {"objects"}


def test_our_client_reads_all_properties() -> None:
    """Every property of the resources of sections 4 and 5, where it is there (§8.4.2)."""
    for content, name in zip(ANSWERS.values(), ("discovery", "api-root", "collections", "status"), strict=False):
        assert check(name, content) is None
    with serving(answer) as server, TaxiiClient(Access(f"{server.url}taxii2/", sleep=lambda _: None)) as client:
        found = client.discovery()
        root = client.api_root(f"{server.url}root/")
        (collection,) = client.collections(f"{server.url}root/")
        pushed = push_objects(client, f"{server.url}root/collections/{ID}/", [malware(1)])
    for resource, name in ((found, "discovery"), (root, "api-root"), (collection, "collection")):
        for key in (one.removesuffix("!") for one in RESOURCES[name]):
            assert getattr(resource, key) or key in {"can_read", "can_write"}
    assert pushed.accepted == ((DETAIL["id"], DETAIL["version"]),)
