"""A function in place of another, seen as what that one is: `Function`.

A module of its own because wrapt takes time to import, and only who decorates needs it.
"""

from __future__ import annotations

from typing import Any

import wrapt

_FunctionWrapper: Any = vars(wrapt)["FunctionWrapper"]  # which its types leave out before 3.10


class Function(_FunctionWrapper):
    """wrapt's wrapper, that is copied and pickled as functions are: by its name."""

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, _: object) -> Function:
        return self

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, _: object) -> Any:
        return self.__wrapped__.__qualname__
