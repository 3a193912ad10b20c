"""Optional packages, imported where they are used and asked for by name."""

from importlib import import_module
from types import ModuleType

from hfcls.errors import UserError


def require(package: str, *, extra: str) -> ModuleType:
    """Imports an optional package.

    Raises:
        UserError: it is not installed; the message holds the `pip install` that brings it.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise UserError(f"This needs the package {package!r}: pip install 'hfcls[{extra}]'.") from None
