"""What CACAO 2.0 demands beyond a schema: that what is referred to is there, and the workflow leads somewhere.

One rule is one function over the playbook that yields faults. All take any JSON: a wrong type is the schema's to
name, and passed over here. Each is linear in the playbook.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aleat.knowledge.playbooks.check import Fault, pointer, vocabulary
from aleat.knowledge.playbooks.flow import find_loops, flows_of, mapping_of, reachable_steps, workflow_of
from aleat.knowledge.playbooks.markings import published_label
from aleat.stix.times import is_timestamp, parse_timestamp

__all__ = ["broken_rules"]

_VARIABLE = re.compile(r"(__[a-zA-Z][a-zA-Z0-9_-]{0,245}?__):value")
_MILLISECOND = re.compile(r"\.[0-9]{3}Z$")
_DICTIONARIES = (
    "workflow",
    "agent_definitions",
    "target_definitions",
    "extension_definitions",
    "data_marking_definitions",
    "authentication_info_definitions",
)
_EXTENDED = ("playbook_extensions", "step_extensions", "agent_target_extensions", "marking_extensions")
_WALKED = 1_000_000  # strings and objects that are looked through


def broken_rules(content: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what a playbook breaks of the rules that no schema can hold."""
    for rule in _RULES:
        yield from rule(content)


def _times(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§3.1: real times, to the millisecond; `modified` isn't before `created`, `valid_until` after `valid_from`."""
    read = {}
    for name in ("created", "modified", "valid_from", "valid_until"):
        text = content.get(name)
        if not isinstance(text, str):
            continue
        if not is_timestamp(text):
            yield Fault(pointer([name]), "time", "It is no time.", "10.17")
            continue
        read[name] = parse_timestamp(text)
        if name in {"created", "modified"} and not _MILLISECOND.search(text):
            yield Fault(pointer([name]), "time-precision", "It must be given to the millisecond.", "3.1")
    if "created" in read and read.get("modified", read["created"]) < read["created"]:
        yield Fault("/modified", "time-order", "It is earlier than created.", "3.1")
    if "valid_from" in read and "valid_until" in read and read["valid_until"] <= read["valid_from"]:
        yield Fault("/valid_until", "time-order", "It is not later than valid_from.", "3.1")


def _types_of_ids(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§10.10: an id begins with the type of what it names, and no UUID is used for two types."""
    owner: dict[str, str] = {}
    for name in _DICTIONARIES:
        for key, value in mapping_of(content, name).items():
            kind, _, uuid = key.rpartition("--")
            if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] != kind:
                yield Fault(pointer([name, key]), "id-type", "Its id does not begin with its type.", "10.10")
            if owner.setdefault(uuid.lower(), kind) != kind:
                yield Fault(pointer([name, key]), "id-twice", "Another type uses the UUID of its id too.", "10.10")


def _workflow(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§3.1: the workflow has a start, an action and an end, and begins where `workflow_start` says."""
    steps = workflow_of(content)
    start = content.get("workflow_start")
    if isinstance(start, str):
        if start not in steps:
            yield Fault("/workflow_start", "step-missing", "The workflow has no such step.", "3.1")
        elif steps[start].get("type") != "start":
            yield Fault("/workflow_start", "start-type", "It names a step that is no start step.", "3.1")
    exception = content.get("workflow_exception")
    if isinstance(exception, str) and exception not in steps:
        yield Fault("/workflow_exception", "step-missing", "The workflow has no such step.", "3.1")
    kinds = {str(step.get("type")) for step in steps.values()}
    for needed, word in (({"start"}, "start"), ({"action", "playbook-action"}, "action"), ({"end"}, "end")):
        if steps and not kinds & needed:
            yield Fault("/workflow", f"no-{word}", f"The workflow has no {word} step.", "3.1")


def _flows(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§4.1: what a step leads to is there; one way of going on excludes the other; a branch ends in an end step."""
    steps = workflow_of(content)
    for key, step in steps.items():
        flows = list(flows_of(step))
        for path, target in flows:
            if target not in steps:
                where = pointer(["workflow", key, *path])
                yield Fault(where, "step-missing", "The workflow has no such step.", "4.1")
        if "on_completion" in step and ("on_success" in step or "on_failure" in step):
            where = pointer(["workflow", key, "on_completion"])
            yield Fault(where, "flow-both", "It stands beside on_success or on_failure.", "4.1")
        onward = any(path[0] in {"on_completion", "on_success"} for path, _ in flows)
        if not onward and step.get("type") != "end":
            yield Fault(pointer(["workflow", key]), "no-end", "The step leads to no next step, and is no end.", "4.1")


def _reach(content: Mapping[str, Any]) -> Iterator[Fault]:
    """Worth knowing: steps that nothing leads to, and loops outside of a while step."""
    steps = workflow_of(content)
    reached = reachable_steps(content)
    for key in steps:
        if key not in reached:
            where = pointer(["workflow", key])
            yield Fault(where, "step-unreachable", "Nothing leads to the step.", "4", must=False)
    for key, path in find_loops(steps):
        where = pointer(["workflow", key, *path])
        yield Fault(where, "loop", "It leads back to a step before it: a loop without a condition.", "4", must=False)


def _definitions(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§3.1: agents, targets and authentication that steps use are defined in the playbook."""
    agents, targets = mapping_of(content, "agent_definitions"), mapping_of(content, "target_definitions")
    for key, step in workflow_of(content).items():
        agent = step.get("agent")
        if isinstance(agent, str) and agent not in agents:
            yield Fault(pointer(["workflow", key, "agent"]), "agent-missing", "No such agent is defined.", "4.5")
        wanted = step.get("targets")
        for place, target in enumerate(wanted if isinstance(wanted, list) else ()):
            if isinstance(target, str) and target not in targets:
                where = pointer(["workflow", key, "targets", place])
                yield Fault(where, "target-missing", "No such target is defined.", "4.5")
    known = mapping_of(content, "authentication_info_definitions")
    for name in ("agent_definitions", "target_definitions"):
        for key, value in mapping_of(content, name).items():
            wanted = value.get("authentication_info") if isinstance(value, dict) else None
            if isinstance(wanted, str) and wanted not in known:
                where = pointer([name, key, "authentication_info"])
                yield Fault(where, "authentication-missing", "No such authentication is defined.", "7")


def _markings(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§9: markings that the playbook bears are defined in it."""
    known = mapping_of(content, "data_marking_definitions")
    listed = content.get("markings")
    for place, marking in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(marking, str) or marking not in known:
            where = pointer(["markings", place])
            if isinstance(marking, str) and published_label(marking) is not None:
                says = "The data marking is not defined in the playbook; its id says which it is."
            else:
                says = "No such data marking is defined; the playbook stays here."
            yield Fault(where, "marking-missing", says, "9")


def _variables(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§10.18: variables that steps take, return or name are declared, in the step or the playbook."""
    declared = set(mapping_of(content, "playbook_variables"))
    for key, step in workflow_of(content).items():
        known = declared | set(mapping_of(step, "step_variables"))
        for name in ("in_args", "out_args"):
            listed = step.get(name)
            for place, variable in enumerate(listed if isinstance(listed, list) else ()):
                if isinstance(variable, str) and variable.removesuffix(":value") not in known:
                    where = pointer(["workflow", key, name, place])
                    yield Fault(where, "variable-missing", "No such variable is declared.", "10.18")
        for path, text in _strings(step):
            for match in _VARIABLE.finditer(text):
                if match[1] not in known:
                    where = pointer(["workflow", key, *path])
                    yield Fault(where, "variable-missing", "It uses a variable that is not declared.", "10.18")
                    break


def _extensions(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§8: extensions in use are defined in the playbook."""
    known = mapping_of(content, "extension_definitions")
    holders: list[tuple[tuple[str, ...], Any]] = [((), content)]
    for name in ("workflow", "agent_definitions", "target_definitions", "data_marking_definitions"):
        holders += [((name, key), value) for key, value in mapping_of(content, name).items()]
    for path, holder in holders:
        for name in _EXTENDED:
            for key in mapping_of(holder, name) if isinstance(holder, dict) else ():
                if key not in known:
                    where = pointer([*path, name, key])
                    yield Fault(where, "extension-missing", "No such extension is defined.", "8")


def _metadata(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§3.1: types of the vocabulary need activities; a sector that an agent bears is listed."""
    types, activities = content.get("playbook_types"), content.get("playbook_activities")
    known = set(vocabulary("playbook-type-ov"))
    if isinstance(types, list) and any(kind in known for kind in types if isinstance(kind, str)) and not activities:
        where = "/playbook_activities"
        yield Fault(where, "no-activity", "Playbook types are given, but no activity.", "3.1")
    sectors = content.get("industry_sectors")
    for name in ("agent_definitions", "target_definitions"):
        for key, value in mapping_of(content, name).items():
            sector = value.get("sector") if isinstance(value, dict) else None
            if isinstance(sector, str) and sector not in (sectors if isinstance(sectors, list) else ()):
                where = pointer([name, key, "sector"])
                yield Fault(where, "sector-missing", "industry_sectors does not list it.", "3.1")


def _commands(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§5: what is said to be base64 is; what it holds is looked at by nobody here."""
    for key, step in workflow_of(content).items():
        commands = step.get("commands")
        for place, command in enumerate(commands if isinstance(commands, list) else ()):
            for name in ("command_b64", "content_b64"):
                text = command.get(name) if isinstance(command, dict) else None
                if isinstance(text, str) and not _is_base64(text):
                    where = pointer(["workflow", key, "commands", place, name])
                    yield Fault(where, "base64", "It is no base64.", "5")


def _signatures(content: Mapping[str, Any]) -> Iterator[Fault]:
    """§10.15: a signature names the playbook and the version in which it stands."""
    listed = content.get("signatures")
    for place, signature in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(signature, dict):
            continue
        for name, other in (("related_to", "id"), ("related_version", "modified")):
            if name in signature and signature[name] != content.get(other):
                where = pointer(["signatures", place, name])
                yield Fault(where, "signature-other", f"It is not the playbook's {other}.", "10.15")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _strings(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield (path, text) of every text in a JSON value that could name a variable."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    seen = 0
    while stack and seen < _WALKED:
        path, item = stack.pop()
        seen += 1
        if isinstance(item, str):
            if "__:value" in item:
                yield path, item
        elif isinstance(item, dict):
            stack.extend(((*path, str(key)), inner) for key, inner in reversed(list(item.items())))
        elif isinstance(item, list):
            stack.extend(((*path, place), inner) for place, inner in reversed(list(enumerate(item))))


_RULES: tuple[Callable[[Mapping[str, Any]], Iterator[Fault]], ...] = (
    _times,
    _types_of_ids,
    _workflow,
    _flows,
    _reach,
    _definitions,
    _markings,
    _variables,
    _extensions,
    _metadata,
    _commands,
    _signatures,
)
