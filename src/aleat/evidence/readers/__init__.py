"""The readers, one file a log format; the registry is in `aleat.evidence.reader`."""
