"""Fields of sightings by Sigma's names, for what looks at events after the hunt: groups and values of correlations."""

from __future__ import annotations

from contextlib import suppress

from aleat.errors import RuleError
from aleat.formats import formats_of_texts, stated_formats
from aleat.hunt.event_digest import cell_text
from aleat.hunt.expression import Fact, Field, Joined, Subject, View, normalise_name
from aleat.hunt.indicator import Sighting
from aleat.hunt.plan import FACT_FIELDS, Plan
from aleat.hunt.taxonomy import load_taxonomy
from aleat.hunt.views import view

__all__ = ["FieldFinder"]


class FieldFinder:
    """Finds a field of a sighting by Sigma's name, with the taxonomy's mapping for the rule's log source."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._subjects: dict[tuple[int, str, str], tuple[Subject, ...]] = {}
        self._names: dict[tuple[str, ...], dict[str, list[str]]] = {}  # by the fields' names

    def text(self, rule: int, sighting: Sighting, name: str) -> str | None:
        """Return the text of the sighting's field, or None where it is absent or null."""
        for subject in self._mapped(rule, sighting.format, name):
            text = self._subject_text(sighting, subject)
            if text is not None:
                return text
        return None

    def _mapped(self, rule: int, format_: str, name: str) -> tuple[Subject, ...]:
        key = (rule, format_, name)
        subjects = self._subjects.get(key)
        if subjects is None:
            found: dict[Subject, None] = {Field(name): None}
            if rule >= 0:
                with stated_formats(formats_of_texts(self.plan.formats)):
                    variants = load_taxonomy().variants(self.plan.rules[rule].logsource)
                for variant in variants:
                    if variant.format == format_:
                        with suppress(RuleError):  # this kind of evidence can't have such a field
                            found.update(dict.fromkeys(variant.subjects(name)))
            subjects = self._subjects[key] = tuple(found)
        return subjects

    def _subject_text(self, sighting: Sighting, subject: Subject) -> str | None:
        if isinstance(subject, Field):
            return self._cell(sighting, subject.name)
        if isinstance(subject, View):
            text = self._cell(sighting, subject.name)
            parts = () if text is None else view(subject.transform, text, subject.argument)
            return parts[0] if parts else None
        if isinstance(subject, Joined):
            texts = [self._cell(sighting, name) for name in subject.names]
            kept = [text for text in texts if text not in (None, "", "-")]
            return subject.separator.join(text for text in kept if text) if kept else None
        return _fact(sighting, subject.name) if isinstance(subject, Fact) else None

    def _cell(self, sighting: Sighting, name: str) -> str | None:
        shape = tuple(sighting.fields)
        names = self._names.get(shape)
        if names is None:
            names = self._names[shape] = {}
            for key in shape:
                names.setdefault(normalise_name(key), []).append(key)
        wanted = normalise_name(name)
        for key in names.get(wanted, ()):
            value = sighting.fields[key]
            if value is not None:
                return cell_text(value)
        return _fact(sighting, FACT_FIELDS.get(wanted, ""))


def _fact(sighting: Sighting, name: str) -> str | None:
    facts = {
        "event_id": sighting.event_id,
        "channel": sighting.channel,
        "provider": sighting.provider,
        "host": sighting.host,
        "format": sighting.format,
    }
    return facts.get(name) or None
