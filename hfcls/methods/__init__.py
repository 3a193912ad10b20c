"""Methods: what is learned from a batch."""

from hfcls.methods.base import Method
from hfcls.methods.supervised import Supervised
from hfcls.registry import Registry

METHODS: Registry[type] = Registry("method", {"supervised": Supervised})

__all__ = ["METHODS", "Method", "Supervised"]
