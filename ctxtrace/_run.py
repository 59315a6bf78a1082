"""Run a program in this process as ``python`` runs it: its path, its arguments, its errors.

What Python does itself is in Modules/main.c and Python/pythonrun.c. Two things are left to it
here too, so that they are as it does them: `runpy` finds and runs a module, and what the
program raises leaves this process as it would leave any. Only the traceback is cut on the way,
at the last moment: each frame that an exception leaves adds itself to it.

The one thing that cannot be hidden is the stack below the program, for as long as it runs.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._errors import Caught

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, TracebackType

# The ``__main__`` that was there before. The interpreter uses its namespace once more when the
# program has ended, without a reference to it: some Pythons crash if it is gone.
_replaced: list[ModuleType] = []

# What may stand between us and the first line of the program.
_LOADING = ("importlib", "runpy", "zipimport", "_frozen_importlib", "_frozen_importlib_external")


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module as ``python -m name`` does.

    Args:
        name: The module, or a package with a ``__main__``.
        arguments: The program's own.

    Returns:
        0. The program may also end in what it raises, for the interpreter to deal with.
    """
    sys.argv[:] = ["-m", *arguments]  # until the module is found
    _set_first_path(os.getcwd())
    _new_main(BuiltinImporter)
    _run(lambda: _run_module_as_main(name, True))
    return 0


def run_path(path: str, arguments: Sequence[str]) -> int:
    """Run a script, or a directory or zip file with a ``__main__.py``, as ``python path`` does.

    Args:
        path: Where it is.
        arguments: The program's own.

    Returns:
        0, or 2 if there is no such file. The program may also end in what it raises, for the
        interpreter to deal with.
    """
    from pkgutil import get_importer

    # Not abspath(), which also takes out "..": Python shows what it was given.
    file = os.path.join(os.getcwd(), path)
    sys.argv[:] = [path, *arguments]
    if get_importer(file) is not None:
        _set_first_path(file, even_if_safe=True)
        _new_main(BuiltinImporter)
        _run(lambda: _run_module_as_main("__main__", False))
        return 0
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    try:
        with io.open_code(file) as stream:
            source = stream.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        sys.stderr.write(f"{sys.executable}: can't open file {file!r}: {reason}\n")
        return 2
    compiled = file.endswith(".pyc")
    loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", file)
    main = _new_main(loader)
    main.update(__file__=file, __cached__=None)

    def execute() -> None:
        code: CodeType | None = (
            loader.get_code("__main__")
            if compiled
            else compile(source, file, "exec", dont_inherit=True)
        )
        assert code is not None
        exec(code, main)

    _run(execute)
    return 0


def _set_first_path(path: str, *, even_if_safe: bool = False) -> None:
    # With -P nothing was put there for us, and nothing is to be put there for the program.
    safe: bool = getattr(sys.flags, "safe_path", bool(sys.flags.isolated))
    if not safe:
        sys.path[0] = path
    elif even_if_safe:
        sys.path.insert(0, path)


def _new_main(loader: Any) -> dict[str, Any]:
    """Put a fresh ``__main__`` in the place of ours, and return its namespace."""
    module = ModuleType("__main__")
    module.__loader__ = loader
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    vars(module)["__builtins__"] = builtins
    _replaced.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    return vars(module)


def _run_module_as_main(name: str, with_m: bool) -> None:
    import runpy

    # What the interpreter itself calls, by this name.
    vars(runpy)["_run_module_as_main"](name, with_m)


def _run(execute: Callable[[], object]) -> None:
    try:
        execute()
    except SystemExit:
        raise
    except BaseException as error:
        _cut_when_shown(error)
        raise


def _cut_when_shown(error: BaseException) -> None:
    """Have the interpreter show of an exception's traceback what is the program's alone.

    For an exception that now leaves everything. The program's own `sys.excepthook` is put back
    when ours is called, which is after the last frame was added.
    """
    hook = getattr(sys, "excepthook", sys.__excepthook__)
    traceback = _programs_part(error.__traceback__)

    def excepthook(
        kind: type[BaseException], value: BaseException, whole: TracebackType | None
    ) -> None:
        sys.excepthook = hook
        if value is not error:  # interrupted on the way out
            hook(kind, value, whole)
            return
        sys.last_traceback = value.__traceback__ = traceback
        failed = Caught()
        with failed:
            hook(kind, value, traceback)
        if failed.error is not None:
            # As the interpreter says it, which would show our frame as the hook's caller.
            sys.stderr.write("Error in sys.excepthook:\n")
            sys.__excepthook__(type(failed.error), failed.error, failed.error.__traceback__)
            sys.stderr.write("\nOriginal exception was:\n")
            sys.__excepthook__(kind, value, traceback)

    sys.excepthook = excepthook


def _programs_part(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None:
        module: str = traceback.tb_frame.f_globals.get("__name__", "")
        if module != __name__ and module.partition(".")[0] not in _LOADING:
            break
        traceback = traceback.tb_next
    return traceback
