"""Generators that leave the run they were made in, to be consumed elsewhere.

Python does not show the call of a generator function. What can be seen is that a generator
that exists in a run is handed to somebody: put into a queue, made the body of a response, or
returned by what the run is of.
"""

from __future__ import annotations

import functools
import weakref
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from .._errors import guard
from ..patches._patch import Place
from ._crossings import WHO, Crossing, leave, returned_from

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from ..patches._patch import Patch, Settings
    from ..testing import _tape

_GENERATORS = (GeneratorType, AsyncGeneratorType)
# By the generator's code: those that were handed over, held weakly, with the last crossing.
_handed: dict[CodeType, list[tuple[weakref.ref[Any], Crossing]]] = {}


def hand_over(thing: Any, crossing: Crossing) -> None:
    """Remember that something went where it may be consumed, if it is a generator."""
    if type(thing) in _GENERATORS:
        code = _code_of(thing)
        others = _handed.get(code, ())
        alive = [each for each in others if each[0]() not in (None, thing)]
        _handed[code] = [*alive, (weakref.ref(thing), crossing)]


def handed(frame: FrameType) -> Crossing | None:
    """Return by which crossing the generator came whose frame this is."""
    for reference, crossing in _handed.get(frame.f_code, ()):
        if _frame_of(reference()) is frame:
            return crossing
    return None


def forget_all() -> None:
    """Let go of everything, when nobody diagnoses any more."""
    _handed.clear()


def returned(run: _tape.Run, outputs: Any) -> None:
    """Look whether a run returned a generator. Nothing of the outputs is kept."""
    # A dict, in which LangSmith puts what is none.
    values: Any = getattr(outputs, "values", tuple)()
    for value in values:
        if type(value) in _GENERATORS:
            hand_over(value, returned_from(run.source, run.id, run.name))


def _code_of(generator: Any) -> CodeType:
    code: CodeType = getattr(generator, "gi_code", None) or generator.ag_code
    return code


def _frame_of(generator: Any) -> Any:
    return getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None)


def _streams(original: Any, patch: Patch, _: Settings) -> Any:
    @functools.wraps(original)
    def __init__(self: Any, content: Any, *args: Any, **kwargs: Any) -> None:
        crossing = leave("StreamingResponse") if patch.active else None
        if crossing is not None:
            guard(WHO, hand_over, content, crossing)
        original(self, content, *args, **kwargs)

    return __init__


PLACES = (Place("streams", "starlette.responses", "StreamingResponse.__init__", _streams),)
