"""Rules of Snort and Suricata over our own sensors' alerts: an ally's rule is seen where an alert names its number.

What a rule looks for stands in packets, which no log keeps; but a sensor that had the rule, and raised it, wrote down
the rule's generator and number (EVE's ``alert.gid`` and ``alert.signature_id``, ``[1:2100498:7]`` in fast alerts). A
number from 1,000,000 to 1,999,999 is anybody's own (Snort Users Manual §3.4.4): there the message has to be the same
too. An alert without a generator is of generator 1.
"""

from __future__ import annotations

from aleat.errors import InputError, RuleError
from aleat.hunt.expression import Atom, Exists, Expression, Fact, Field, Text, all_of, any_of, negate
from aleat.hunt.indicator import Indicator
from aleat.knowledge.network_rules import NetworkRule, parse_network_rule

__all__ = ["FORMAT", "PATTERN_TYPES", "alert_expression"]

PATTERN_TYPES = frozenset({"snort", "suricata"})
FORMAT = "suricata"
"""The format of evidence that both tools' alerts are read as."""

_OWN_NUMBERS = range(1_000_000, 2_000_000)
_GENERATORS = ("alert.gid", "generator_id")
_MESSAGES = ("alert.signature", "signature")
_MOST_CHARACTERS = 1024**2


def alert_expression(indicator: Indicator) -> Expression:
    """Return what holds of the alerts that a rule raised; raises `RuleError` where the pattern is no rule."""
    if len(indicator.pattern) > _MOST_CHARACTERS:
        raise RuleError(f"the rule is longer than {_MOST_CHARACTERS} characters", indicator.place)
    try:
        rule = parse_network_rule(" ".join(indicator.pattern.splitlines()))
    except InputError as error:
        raise RuleError(error.reason, indicator.place, advice=error.advice) from None
    generator = str(rule.number("gid", 1))
    named: list[Expression] = [Atom(Field(name), Text("equals", generator)) for name in _GENERATORS]
    if generator == "1":
        named.append(negate(any_of([Atom(Field(name), Exists()) for name in _GENERATORS])))
    parts: list[Expression] = [
        Atom(Fact("format"), Text("equals", FORMAT)),
        Atom(Fact("channel"), Text("equals", "alert")),
        Atom(Fact("event_id"), Text("equals", str(rule.number("sid")))),
        any_of(named),
    ]
    return all_of([*parts, *_message(rule)])


def _message(rule: NetworkRule) -> list[Expression]:
    if rule.number("sid") not in _OWN_NUMBERS:
        return []
    return [any_of([Atom(Field(name), Text("equals", rule.first("msg"))) for name in _MESSAGES])]
