"""What differs between the Pythons. Each entry names the Python that lets it go."""

from __future__ import annotations

import sys
from typing import Any

TASKS_TAKE_CONTEXT = sys.version_info >= (3, 11)
"""Whether asyncio's own create_task() knows ``context=``. Goes with Python 3.10."""

THREADS_TAKE_CONTEXT = sys.version_info >= (3, 14)
"""Whether a `threading.Thread` may have been given ``context=``, and has it as ``_context``."""

THREADS_START_AT_EXIT = sys.version_info[:2] != (3, 12)
"""Whether threads can be started once the interpreter has begun to end.

Python 3.12.0 and 3.12.1 refuse that from the first moment on. Goes with Python 3.12.
"""

CLOSING_A_STEP_CLOSES = sys.version_info >= (3, 13)
"""Whether to close a step of an async generator, begun and not ended, closes the generator.

Before 3.13 it leaves it where it is. Goes with Python 3.12.
"""

RERAISE_KEEPS_TRACEBACK = sys.version_info >= (3, 11)
"""Whether a bare ``raise`` takes the traceback that the exception has by then.

Before 3.11 it takes the one the exception was caught with, so that a frame of ours cannot
be left out. Goes with Python 3.10.
"""


def without_our_frames(error: BaseException) -> None:
    """Take our frames off the near end of an exception's traceback, where Python allows it.

    To be followed by a bare ``raise`` in the frame that caught it. The user's errors then
    look as they do without ctxtrace, and a kept error keeps nothing of ours alive.
    """
    if RERAISE_KEEPS_TRACEBACK:
        strip_our_frames(error)


def strip_our_frames(error: BaseException) -> None:
    """Take our frames off the near end of a traceback that is not to be raised again."""
    traceback = error.__traceback__
    while traceback is not None and _is_ours(traceback.tb_frame.f_globals.get("__name__")):
        traceback = traceback.tb_next
    error.with_traceback(traceback)  # an exception's class may refuse that its attributes are set


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.startswith("ctxtrace.")


if sys.version_info >= (3, 11):

    def is_suspended(generator: Any) -> bool:
        """Whether a generator or async generator stands at one of its ``yield``s."""
        suspended: Any = getattr(generator, "gi_suspended", None)
        if suspended is None:
            suspended = getattr(generator, "ag_suspended", None)
        if suspended is not None:
            return bool(suspended)
        # Python 3.11 does not say it of async generators. One that was not stepped stands at
        # the instruction that made it. Goes with Python 3.11.
        from opcode import opmap

        frame = generator.ag_frame
        return (
            frame is not None
            and not generator.ag_running
            and frame.f_code.co_code[frame.f_lasti] != opmap["RETURN_GENERATOR"]
        )

else:

    def is_suspended(generator: Any) -> bool:
        """Whether a generator or async generator stands at one of its ``yield``s."""
        frame = generator.gi_frame if hasattr(generator, "gi_frame") else generator.ag_frame
        running = generator.gi_running if hasattr(generator, "gi_frame") else generator.ag_running
        return frame is not None and frame.f_lasti >= 0 and not running


if sys.version_info >= (3, 10):

    def is_standard_library(module: str) -> bool:
        """Whether a module, by its full name, is part of Python."""
        return module.partition(".")[0] in sys.stdlib_module_names

else:

    def is_standard_library(module: str) -> bool:
        """Whether a module, by its full name, is part of Python. Goes with Python 3.9."""
        top = module.partition(".")[0]
        if top not in _standard:
            _standard[top] = _is_in_the_standard_library(sys.modules.get(top))
        return _standard[top]

    _standard: dict[str, bool] = {}

    def _is_in_the_standard_library(module: Any) -> bool:
        from sysconfig import get_path

        # What is compiled or frozen into the interpreter has no file.
        file = getattr(module, "__file__", None)
        if file is None:
            return module is not None and module.__name__ in sys.builtin_module_names
        installed = (get_path("purelib"), get_path("platlib"))
        return file.startswith(get_path("stdlib")) and not file.startswith(installed)
