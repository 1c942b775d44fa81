"""Rules of Snort and Suricata: the language, what is kept, what of them logs can tell."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aleat.errors import InputError, Issue
from aleat.hunt import compile_plan
from aleat.hunt.from_store import indicators_of_items
from aleat.hunt.stix_syntax import parse_pattern
from aleat.knowledge import Document, KnowledgeItem, Limits
from aleat.knowledge.network_rule_values import derive_patterns
from aleat.knowledge.network_rules import NetworkRule, parse_network_rule, split_network_rules
from aleat.knowledge.readers import network_rules
from aleat.stix.extensions import read_extension
from aleat.trust.markings import marking_id
from tests.stix.strict import strict_errors

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
C2 = (
    'alert dns $HOME_NET any -> any any (msg:"EX C2 name"; dns.query; dotprefix; content:".evil.example"; nocase; '
    "endswith; classtype:trojan-activity; sid:2900001; rev:2; metadata:created_at 2022_07_15, updated_at 2022_07_20, "
    "signature_severity Critical, mitre_technique_id T1071_004, malware_family Wiper; "
    "reference:url,example.org/report; reference:cve,2022-1234; reference:bugtraq,77;)"
)


def document(text: str | bytes, name: str = "own.rules", **beside: bytes) -> Document:
    data = text.encode() if isinstance(text, str) else text
    collected = {key.replace("_", "."): value for key, value in beside.items()}
    return Document(name, name, len(data), data[:8192], lambda: data, None, collected.get)


def read(text: str | bytes, limits: Limits | None = None, **beside: bytes) -> tuple[list[KnowledgeItem], list[Issue]]:
    items = list(network_rules.read(document(text, "own.rules", **beside), limits or Limits()))
    return [i for i in items if isinstance(i, KnowledgeItem)], [i for i in items if isinstance(i, Issue)]


def derived(options: str, header: str = "tcp $HOME_NET any -> $EXTERNAL_NET any") -> list[tuple[str, bool]]:
    rule = parse_network_rule(f'alert {header} (msg:"x"; {options} sid:2900009;)')
    return [(item.pattern, item.whole) for item in derive_patterns(rule)]


def test_a_rule_is_kept_whole_with_what_it_says_of_itself() -> None:
    """Text, message, number, references, dates, level, techniques; valid STIX."""
    (original, condition, relation), issues = read(C2 + "\n")
    assert issues == []
    found = original.object
    assert (found.pattern, found.pattern_type, found.name) == (C2, "suricata", "EX C2 name")
    assert (found.modified, found.valid_from) == ("2022-07-20T00:00:02.000Z", "2022-07-15T00:00:00.000Z")
    assert found.properties()["external_references"] == [
        {"source_name": "suricata", "external_id": "1:2900001"},
        {"source_name": "reference", "url": "http://example.org/report"},
        {"source_name": "cve", "external_id": "CVE-2022-1234"},
        {"source_name": "bugtraq", "external_id": "77"},
    ]
    assert found.labels == ("attack.t1071.004", "classtype:trojan-activity", "malware-family:Wiper")
    assert read_extension(found, "rule") == {
        "kind": "rule",
        "rule_id": "1:2900001",
        "level": "critical",
        "tags": ["attack.t1071.004"],
    }
    assert (
        condition.object.pattern == "[(domain-name:value = 'evil.example' OR domain-name:value LIKE '%.evil.example')]"
    )
    assert (relation.object.relationship_type, relation.object.source_ref, relation.object.target_ref) == (
        "derived-from",
        condition.object.id,
        original.object.id,
    )
    assert strict_errors(original.object) == [
        f"{found.id}: {{302}} External reference 'reference' has a URL but no hash."
    ]
    assert strict_errors(condition.object) + strict_errors(relation.object) == []


def test_a_label_in_the_first_comments_is_on_all_that_comes_of_the_file() -> None:
    """Rules, conditions, relationships."""
    items, _ = read(f"# TLP:GREEN\n{C2}\n")
    assert {item.markings for item in items} == {(marking_id("tlp:green"),)}


def test_lines_go_on_and_rules_are_switched_off() -> None:
    """A backslash, Snort 3's rules over several lines, comments, rules behind a mark, block comments."""
    text = (
        "# a comment\n// another\n/* one\nof several */\n"
        'alert tcp any any -> any any (msg:"one"; \\\n  content:"a;b)"; sid:2900001;)\n'
        '#alert tcp any any -> any any (msg:"two"; sid:2900002;)\n'
        '# alert the others (please)\n\nalert http (\n    msg:"three";\n    sid:2900003;\n)\n'
    )
    found = [rule for rule in split_network_rules(text, "x", Limits()) if isinstance(rule, NetworkRule)]
    assert [(rule.first("msg"), rule.line, rule.enabled, rule.protocol) for rule in found] == [
        ("one", 5, True, "tcp"),
        ("two", 7, False, "tcp"),
        ("three", 10, True, "http"),
    ]
    assert found[0].first("content") == "a;b)"
    items, issues = read(text)
    assert [item.object.labels for item in items if item.object.pattern_type != "stix"][1] == ("disabled",)
    assert [(issue.code, issue.records) for issue in issues] == [("rule-payload", 2)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('alert tcp any any -> any any (msg:"x"; sid:1;', "has no end"),
        ('alert tcp any any -> any any (msg:"x; sid:1;)', "has no end"),
        ('alert tcp any any any any (msg:"x"; sid:1;)', "header"),
        ('alert tcp any any ~> any any (msg:"x"; sid:1;)', "direction"),
        ('alert tcp any any -> any any (msg:"x";)', "no number"),
        ("alert tcp any any -> any any (sid:99999999999999999999;)", "no number"),
        ("alert tcp any any -> any any (:x; sid:1;)", "keyword"),
        ("alert tcp any any -> any any (" + "a;" * 2_500 + "sid:1;)", "more options"),
        ("alert tcp any any -> any any (" + "a" * 300_000 + ";sid:1;)", "rule_characters"),
    ],
)
def test_what_is_no_rule_is_named_and_the_next_is_read(line: str, reason: str) -> None:
    """Each costs only itself."""
    items, issues = read(f'{line}\nalert tcp any any -> any any (msg:"good"; sid:2900001;)\n')
    assert [item.object.name for item in items] == ["good"]
    assert any(reason in issue.reason and issue.place.line == 1 for issue in issues)


def test_settings_are_counted_once() -> None:
    """Variables and includes of a configuration are one note."""
    _, issues = read('var HOME_NET any\ninclude x.rules\nalert ip any any -> any any (msg:"a"; sid:5;)\n')
    assert (issues[0].code, issues[0].records) == ("not-a-rule", 2)


@pytest.mark.parametrize(
    ("options", "language"),
    [
        ('http.uri; content:"/a";', "suricata"),
        ('content:"a"; http_user_agent;', "suricata"),
        ('content:"a"; bsize:1;', "suricata"),
        ('content:"a"; service:http;', "snort"),
        ('content:"a"; nocase;', ""),
    ],
)
def test_a_rules_words_tell_its_language(options: str, language: str) -> None:
    """Where they don't, the file's other rules do; else it is Snort's."""
    text = f'alert tcp any any -> any any (msg:"x"; {options} sid:2900001;)'
    assert network_rules.rule_language(parse_network_rule(text)) == language
    assert read(text)[0][0].object.pattern_type == (language or "snort")


def test_the_files_other_rules_tell_the_language() -> None:
    """A rule of no telling words among Suricata's is Suricata's."""
    items, _ = read(f'{C2}\nalert tcp any any -> any any (msg:"x"; content:"a"; sid:2900002;)\n')
    assert {item.object.pattern_type for item in items if item.object.type == "indicator"} == {"suricata", "stix"}


@pytest.mark.parametrize(
    ("options", "pattern", "whole"),
    [
        ('dns.query; content:"evil.example"; bsize:12;', "[domain-name:value = 'evil.example']", True),
        ('dns_query; content:"Evil.example"; nocase; depth:12; isdataat:!1,relative;',
         "[domain-name:value = 'evil.example']", True),
        ('dns.query; content:"evil.example"; endswith;', "[domain-name:value LIKE '%evil.example']", True),
        ('tls.sni; content:"evil"; startswith;', "[domain-name:value LIKE 'evil%']", True),
        ('http.host; content:"evil.example"; bsize:12; pcre:"/x/";', "[domain-name:value = 'evil.example']", False),
        ('content:"evil.example"; http_host; content:"POST"; http_method;', None, True),
        ('content:"|04|evil|07|example|00|";',
         "[domain-name:value = 'evil.example' OR domain-name:value LIKE '%.evil.example']", False),
        ('ja3.hash; content:"d41d8cd98f00b204e9800998ecf8427e";', f"[network-traffic:x_ja3_hash = '{MD5}']", True),
        ('tls.cert_subject; content:"CN=evil.example, O=x"; bsize:20;',
         "[x509-certificate:subject = 'CN=evil.example, O=x']", True),
        ('http_uri; content:"/gate/x.php", bufferlen 11;', None, True),
    ],
)  # fmt: skip
def test_conditions_on_fields_that_logs_keep(options: str, pattern: str | None, whole: bool) -> None:
    """Whole values, ends and beginnings; a part of a rule is marked so."""
    found = derived(options)
    assert [item[1] for item in found] == [whole]
    if pattern is not None:
        assert found[0][0] == pattern
    parse_pattern(found[0][0])


def test_several_fields_of_one_request_are_asked_together() -> None:
    """Method, URI, host and agent of one request; case where the rule tells it, and not where it says nocase."""
    request = "network-traffic:extensions.'http-request-ext'."
    assert derived(
        'http.method; content:"POST"; http.uri; content:"/Gate.php?"; startswith; content:!"safe"; '
        'http.host; content:"evil.example"; bsize:12; http.user_agent; content:"Bad (1%)"; nocase;'
    ) == [
        (
            f"[{request}request_method LIKE '%POST%' AND {request}request_value LIKE '/Gate.php?%' AND "
            f"{request}request_value NOT LIKE '%safe%' AND {request}request_header.Host = 'evil.example' AND "
            f"{request}request_header.'User-Agent' MATCHES '(?i)Bad\\\\ \\\\(1%\\\\)']",
            True,
        )
    ]


@pytest.mark.parametrize(
    ("header", "patterns"),
    [
        ("ip 192.0.2.7 any -> $HOME_NET any", ["[ipv4-addr:value = '192.0.2.7']"]),
        ("ip [192.0.2.7, 198.51.100.0/24,2001:db8::1] any -> any any",
         ["[ipv4-addr:value = '192.0.2.7' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']",
          "[ipv6-addr:value = '2001:db8::1']"]),
        ("tcp any any -> [192.0.2.7,192.0.2.8] 8443",
         ["[(network-traffic:dst_ref.value IN ('192.0.2.7', '192.0.2.8')) AND network-traffic:dst_port = 8443]"]),
        ("tcp 192.0.2.7 80 <> any any", ["[ipv4-addr:value = '192.0.2.7']"]),
        ("tcp [192.0.2.0/24,!192.0.2.7] any -> any any", []),
        ("tcp $HOME_NET any -> any 4444", []),
        ("ip 0.0.0.0/0 any -> any any", []),
    ],
)  # fmt: skip
def test_addresses_that_a_header_fixes(header: str, patterns: list[str]) -> None:
    """With their port where that is fixed; not those of a list with exceptions, nor ports alone."""
    assert [pattern for pattern, _ in derived("", header)] == patterns
    for pattern in patterns:
        parse_pattern(pattern)


@pytest.mark.parametrize(
    "options",
    [
        'content:"evil.example";', 'pcre:"/evil/";', 'http.uri; content:"|ff fe|"; bsize:2;', "flowbits:isset,x;",
        'dns.query; content:!"good.example";', 'http.method; content:"POST";',
        'content:"abc"; http_uri; byte_test:1,>,2,3;',
        'http.uri; content:"/a"; distance:3;',
    ],
)  # fmt: skip
def test_what_no_log_keeps_gives_nothing(options: str) -> None:
    """Payload, expressions, state, negations alone: the rule is kept, and found by its alerts."""
    assert derived(options) == []


def test_lists_beside_the_rules() -> None:
    """Hashes, names in base64, addresses; what isn't there is named."""
    name = base64.b64encode(b"Evil.example")
    items, issues = read(
        'alert http any any -> any any (msg:"a"; filemd5:bad.txt; sid:2900001;)\n'
        'alert dns any any -> any any (msg:"b"; dns.query; dataset:isset,x,type string,load names.lst; sid:2900002;)\n'
        'alert ip any any -> any any (msg:"c"; ip.src; dataset:isset,y,type ip,load ips.lst; sid:2900003;)\n'
        'alert http any any -> any any (msg:"d"; filesha256:!good.txt; filesha1:absent.txt; sid:2900004;)\n',
        bad_txt=f"# bad\n{MD5}  x.exe\n{MD5.upper()}\nnot a hash\n".encode(),
        names_lst=name + b"\n!!!\n",
        ips_lst=b"192.0.2.7\n2001:db8::1\n",
    )
    lists = {
        item.object.name: item.entries.select(["type", "value", "count"]).to_pylist() for item in items if item.entries
    }
    assert lists == {
        "bad.txt": [{"type": "file:hashes", "value": MD5, "count": 2}],
        "names.lst": [{"type": "domain-name", "value": "evil.example", "count": 1}],
        "ips.lst": [
            {"type": "ipv4-addr", "value": "192.0.2.7", "count": 1},
            {"type": "ipv6-addr", "value": "2001:db8::1", "count": 1},
        ],
    }
    assert sorted(issue.code for issue in issues) == ["list-value", "list-value", "rule-list", "rule-payload"]
    assert sum(item.object.relationship_type == "derived-from" for item in items) == 3


def test_revisions_are_versions_of_one_object() -> None:
    """Of a public number; a number that is anybody's own has its text in its id."""
    first, second = read(C2)[0][0].object, read(C2.replace("rev:2", "rev:3"))[0][0].object
    assert first.id == second.id
    assert str(first.modified) < str(second.modified)
    own = C2.replace("2900001", "1000001")
    assert read(own)[0][0].object.id != read(own.replace("EX C2", "XE C2"))[0][0].object.id
    _, issues = read(f"{C2}\n{C2.replace('EX', 'XE')}\n")
    assert [issue.code for issue in issues] == ["rule-twice"]


def test_an_allys_rule_is_found_in_our_sensors_alerts(tmp_path: Path) -> None:
    """By generator and number, in EVE and in fast alerts; numbers of anybody's own by their message too."""
    from aleat.hunt import hunt_paths  # noqa: PLC0415

    alert = {"action": "allowed", "gid": 1, "signature_id": 2900003, "rev": 1, "signature": "EX payload", "severity": 1}
    event = {"timestamp": "2022-07-15T08:00:00.000000+0000", "flow_id": 1, "event_type": "alert", "src_ip": "10.0.0.5"}
    ours = {**alert, "signature_id": 1000007, "signature": "our own rule"}
    events = [{**event, "alert": alert}, {**event, "alert": ours}, {**event, "alert": {**alert, "gid": 3}}]
    (tmp_path / "eve.json").write_text("\n".join(map(json.dumps, events)) + "\n")
    (tmp_path / "fast.log").write_text(
        "07/15/2022-08:00:09.000000  [**] [1:2900003:1] EX payload [**] [Priority: 1] {TCP} "
        "10.0.0.5:50 -> 203.0.113.9:80\n"
    )
    items, _ = read(
        'alert tcp any any -> any any (msg:"EX payload"; content:"|de ad be ef|"; sid:2900003; rev:1;)\n'
        'alert tcp any any -> any any (msg:"their own rule"; content:"|de ad|"; sid:1000007; rev:1;)\n'
    )
    plan = compile_plan(list(indicators_of_items(items, "ally")))
    found = [one for one in hunt_paths([tmp_path], plan).sightings if one.source == "ally"]
    assert sorted((one.indicator, one.title) for one in found) == [("1:2900003", "EX payload")] * 2


def test_rules_are_told_from_other_text() -> None:
    """By a line of theirs; rules of auditd, which are called .rules too, are none."""
    assert network_rules.detect(document("# long\n" * 3000 + C2 + "\n"))
    assert network_rules.detect(document("#" + C2, "local.txt"))
    assert not network_rules.detect(document("-w /etc/passwd -p wa -k identity\n", "audit.rules"))
    assert not network_rules.detect(document("alert tcp any any -> any any (x)", "a.md"))
    assert not network_rules.detect(document("The alert to the public (of July) was late.\n", "news.txt"))


def test_nothing_is_read_twice() -> None:
    """Rules that never end, escapes and brackets without number: linear."""
    limits = replace(Limits(), rule_characters=4_000)
    begin = time.process_time()
    for text in (
        'alert tcp any any -> any any (msg:"x; \\\n' * 20_000,
        "alert tcp any any -> any any (" + "\\;" * 60_000 + ")",
        "alert tcp " + "[" * 60_000 + " any -> any any (sid:1;)",
        'alert tcp any any -> any any (sid:1; content:"' + "|" * 60_000 + '";)',
        "alert ip [" + "192.0.2.1," * 20_000 + "] any -> any any (sid:1;)",
    ):
        read(text, limits)
        read(text)
    assert time.process_time() - begin < 20


@given(st.text(alphabet=st.sampled_from('alert tcp any->([]);:"\\|!,.$#0f\n '), max_size=120))
def test_any_text_is_rules_or_issues(text: str) -> None:
    """Whatever stands in a rule; what is derived can be parsed."""
    for body in (text, f"alert tcp any any -> any any ({text} sid:2900001;)"):
        items, _ = read(body)
        for item in items:
            if item.object.pattern_type == "stix" and item.entries is None:
                parse_pattern(str(item.object.pattern))
    with suppress(InputError):
        parse_network_rule(text)
