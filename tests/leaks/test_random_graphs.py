"""In random graphs of marked objects nothing of what must stay is in any byte that an ally gets."""

from __future__ import annotations

import pytest

from tests.leaks.graphs import make_graph
from tests.leaks.ground import Ground
from tests.leaks.harness import look_for_leaks
from tests.leaks.oracle import plain, secrets_of

TOGETHER = 50


def test_no_leak_in_random_graphs(ground: Ground) -> None:
    """Every endpoint, verb, recipient and export; things do leave, and every surface was looked at."""
    world = look_for_leaks(ground, range(TOGETHER))
    assert world.leaks == []
    assert world.left > 100
    assert world.surfaces >= {
        "objects",
        "manifest",
        "match[id]",
        "filters",
        "about",
        "absent",
        "sealed file",
        "misp events",
        "misp push",
    }
    assert world.surfaces >= {"findings", "push", "next page after a hold"}


@pytest.mark.long
def test_no_leak_in_a_thousand_random_graphs(ground: Ground) -> None:
    """A thousand graphs; a hundred thousand were run with benchmarks/leaks.py."""
    for number in range(20):
        first = 1_000 + number * TOGETHER
        assert look_for_leaks(ground, range(first, first + TOGETHER), number).leaks == []


def test_the_oracle_keeps_something_from_everybody() -> None:
    """Of most graphs something stays; a stranger gets nothing of any."""
    graphs = [make_graph(seed) for seed in range(50)]
    assert sum(bool(secrets_of(graph, "north").canaries) for graph in graphs) > 25
    assert all({one.inner for one in graph.things} <= secrets_of(graph, "stranger").canaries for graph in graphs)


def test_the_search_reads_what_is_spelled_otherwise() -> None:
    """Escapes, percent signs, base64 of UTF-8 and UTF-16, full width, letters that can't be seen."""
    spelled = (
        "\\u007aqword",
        "%7a%71word",
        "c2VlIHpxd29yZCB0aGVyZQ==",
        "egBxAHcAbwByAGQAIABzAA==",
        "\uff5aqword",
        "zq\u200bword",
    )
    assert all("zqword" in plain(text.encode()) for text in spelled)
