"""A function in place of another, seen as what that one is: `Function`.

A module of its own because wrapt takes time to import, and only who decorates needs it.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

import wrapt

_FunctionWrapper: Any = vars(wrapt)["FunctionWrapper"]  # which its types leave out before 3.10


class Function(_FunctionWrapper):
    """wrapt's wrapper, that is copied and pickled as functions are: by its name."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # Where a function would give a method, so that it is compared, copied and referred to
        # weakly as methods are; wrapt would give a proxy of one.
        if not isinstance(self.__wrapped__, FunctionType):
            return _FunctionWrapper.__get__(self, instance, owner)
        return self if instance is None else MethodType(self, instance)

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, _: object) -> Function:
        return self

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, _: object) -> Any:
        return self.__wrapped__.__qualname__
