"""MISP's events as STIX 2.1 objects, and what of them STIX has no words for, so that they can be written back.

`mapping` says what a type of attribute, a template of objects and a galaxy is (data files beside it), `labels` which
markings tags, distribution and sharing groups are, `kept` keeps what is MISP's own, `events` reads an event.
The reader is `aleat.knowledge.readers.misp`, the writer `aleat.exchange.misp`; concepts: docs/concepts/misp.md.
"""

__all__: list[str] = []
