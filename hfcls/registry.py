"""A dict whose missing-key error lists the choices."""

from typing import TypeVar

from hfcls.errors import UserError, suggest

Entry = TypeVar("Entry")


class Registry(dict[str, Entry]):
    """One explicit table of a collection: ``Registry("metric", {"accuracy": accuracy, ...})``."""

    def __init__(self, kind: str, entries: dict[str, Entry]):
        super().__init__(entries)
        self.kind = kind

    def __missing__(self, name: str) -> Entry:
        raise UserError(f"Unknown {self.kind} {name!r}.{suggest(name, self)} Choose one of: {', '.join(sorted(self))}.")
