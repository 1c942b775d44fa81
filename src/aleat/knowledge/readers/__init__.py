"""The readers of knowledge, one file for each form; `aleat.knowledge.reader` lists them in their order."""

__all__: list[str] = []
