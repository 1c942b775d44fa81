"""Fuzzing of what strangers send: rules, patterns, events, lists. See `tests.fuzz.runner`."""
