"""What pySigma's pipelines for Sysmon and the Windows audit log make of a log source and a field name.

The pipelines (`pysigma-pipeline-sysmon`, `pysigma-pipeline-windows`) hold which event ids and channels a log
source means, and how the audit log renames Sysmon's fields. They rewrite rules; a rule set of thousands would be
rewritten twice. Here they rewrite one *probe* rule for each log source and for each field in it, and the answers
are read off: the conditions that they added, and what became of the field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sigma.conditions import ConditionOR
from sigma.exceptions import SigmaError
from sigma.pipelines.sysmon.sysmon import sysmon_pipeline
from sigma.pipelines.windows.windows import windows_audit_pipeline, windows_logsource_pipeline
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule

from aleat.errors import RuleError
from aleat.hunt.expression import Atom, Expression, Fact, Field, Number, Text, all_of, any_of
from aleat.hunt.plan import LogSource

__all__ = ["ProbedVariant", "WindowsPipelines"]

_PROBE = "probe"
_FACTS = {"Channel": "channel", "EventID": "event_id", "Provider_Name": "provider"}

Rename = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class ProbedVariant:
    """A pipeline's answer for a log source.

    `rename` maps a field name, and raises `RuleError` where the pipeline says that there is none; `by_service`:
    the conditions come from the log source's service alone.
    """

    name: str
    gate: Expression
    rename: Rename
    by_service: bool


class WindowsPipelines:
    """Asks the pipelines, and remembers the answers."""

    def __init__(self) -> None:
        self._plain = sysmon_pipeline() + windows_logsource_pipeline()
        self._audit = windows_audit_pipeline() + windows_logsource_pipeline()
        self._services = windows_logsource_pipeline()
        self._names: dict[tuple[str, LogSource, str], tuple[str, ...] | RuleError] = {}

    def variants(self, logsource: LogSource) -> list[ProbedVariant]:
        """Return the variants in which the pipelines know the log source (a rule without a product: Windows)."""
        asked = LogSource(logsource.category, "windows", logsource.service)
        found = []
        gate = self._gate(self._plain, asked)
        if gate is not None:
            name = "windows-sysmon" if _names_sysmon(gate) else "windows"
            found.append(ProbedVariant(name, gate, self._rename(name, self._plain, asked), asked.category is None))
        if asked.category is not None:
            audit = self._gate(self._audit, asked)
            if audit is not None and audit != gate and audit != self._gate(self._services, asked):
                rename = self._rename("windows-audit", self._audit, asked)
                found.append(ProbedVariant("windows-audit", audit, rename, False))
        return found

    def _gate(self, pipeline: ProcessingPipeline, logsource: LogSource) -> Expression | None:
        """Return the conditions that the pipeline adds, or None where it doesn't know the log source."""
        rule = _apply(pipeline, logsource, "Probe")
        added = [_detection(detection) for name, detection in rule.detection.detections.items() if name != _PROBE]
        gate = all_of(added)
        return gate if any(_is_channel(child) for child in added) else None

    def _rename(self, name: str, pipeline: ProcessingPipeline, logsource: LogSource) -> Rename:
        def rename(field: str) -> tuple[str, ...]:
            key = (name, logsource, field)
            if key not in self._names:
                self._names[key] = self._ask(pipeline, logsource, field)
            answer = self._names[key]
            if isinstance(answer, RuleError):
                raise answer
            return answer

        return rename

    @staticmethod
    def _ask(pipeline: ProcessingPipeline, logsource: LogSource, field: str) -> tuple[str, ...] | RuleError:
        try:
            rule = _apply(pipeline, logsource, field)
        except SigmaError as error:
            return RuleError(str(error).splitlines()[0])
        names: list[str] = []
        waiting: list[SigmaDetection | SigmaDetectionItem] = [rule.detection.detections[_PROBE]]
        while waiting:
            item = waiting.pop(0)
            if isinstance(item, SigmaDetection):
                waiting += item.detection_items
            elif item.field is not None:
                names.append(item.field)
        return tuple(names) or (field,)


def _apply(pipeline: ProcessingPipeline, logsource: LogSource, field: str) -> SigmaRule:
    given = {"category": logsource.category, "product": logsource.product, "service": logsource.service}
    rule = SigmaRule.from_dict(
        {
            "title": "Probe",
            "logsource": {name: value for name, value in given.items() if value is not None},
            "detection": {_PROBE: {field: "x"}, "condition": _PROBE},
        }
    )
    pipeline.apply(rule)
    return rule


def _detection(detection: SigmaDetection) -> Expression:
    children = [
        _detection(item) if isinstance(item, SigmaDetection) else _item(item) for item in detection.detection_items
    ]
    return any_of(children) if detection.item_linking is ConditionOR else all_of(children)


def _item(item: SigmaDetectionItem) -> Expression:
    atoms: list[Expression] = []
    for value in item.value:
        text = str(value)
        fact = _FACTS.get(item.field or "")
        if fact is not None:
            atoms.append(Atom(Fact(fact), Text("equals", text)))  # type: ignore[arg-type]
        else:
            test = Number("eq", int(text)) if text.isdigit() else Text("equals", text)
            atoms.append(Atom(Field(item.field or ""), test))
    return any_of(atoms)


def _is_channel(expression: Expression) -> bool:
    if isinstance(expression, Atom):
        return isinstance(expression.subject, Fact) and expression.subject.name == "channel"
    children = getattr(expression, "children", ())
    return any(_is_channel(child) for child in children)


def _names_sysmon(gate: Expression) -> bool:
    return "Microsoft-Windows-Sysmon" in repr(gate)
