"""`ctxtrace run`: a program runs as it does under ``python``, and what it starts nests.

Each program is run twice, as ``python program`` and as ``ctxtrace run program``, and must say
the same and end the same.
"""

from __future__ import annotations

import os
import py_compile
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import pytest
from core.support import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = ("-m", "ctxtrace", "run")


class Ended(NamedTuple):
    """What a process printed, and how it ended."""

    output: str
    errors: str
    status: int


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, code: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return path

    return write


@pytest.fixture
def ends(tmp_path: Path) -> Callable[..., Ended]:
    """Runs the interpreter with these arguments, where the programs are."""

    def ends(*arguments: str) -> Ended:
        return _ended(_start(tmp_path, *arguments))

    return ends


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., tuple[Ended, Ended]]:
    """Runs a program under ctxtrace and under Python alone, at once; ours comes first."""

    def both(*arguments: str, flags: tuple[str, ...] = ()) -> tuple[Ended, Ended]:
        ours = _start(tmp_path, *flags, *RUN, *arguments)
        pythons = _start(tmp_path, *flags, *arguments)
        return _ended(ours), _ended(pythons)

    return both


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(process: subprocess.Popen[str]) -> Ended:
    output, errors = process.communicate("typed\n", timeout=LIMIT)
    return Ended(output, errors, process.returncode)


def without_runpy(ended: Ended) -> Ended:
    """What Python would show if it did not also show how it found the module."""
    frame = r'^  File "[^"]*(runpy|importlib\._bootstrap)[^"]*", line .*\n(    .*\n)*'
    return ended._replace(errors=re.sub(frame, "", ended.errors, flags=re.MULTILINE))


# What a program sees.

LOOKS_AROUND = """
    '''What a program may ask about itself.'''
    import atexit, pickle, signal, sys, threading

    main = sys.modules["__main__"]
    print([name for name in globals() if name.startswith("__")])
    print(__name__, __doc__, __package__, __spec__ and __spec__.name, __file__, __cached__)
    print(type(__loader__).__name__, getattr(__loader__, "path", ""), __builtins__)
    print(vars(main) is globals(), sys.argv, sys.path, sys.flags)
    print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP), sys.excepthook)
    print(sys.stdout.line_buffering, input())

    class Point:
        x = 1
        def __del__(self):
            print("the last object is gone")

    point = pickle.loads(pickle.dumps(Point()))
    print(type(point) is Point, Point.__module__)

    def late():
        threading.main_thread().join()
        print("a thread that outlives the program")

    threading.Thread(target=late).start()
    atexit.register(print, "at exit")
    sys.exit(sys.argv[1])
"""


def test_a_script_sees_what_it_sees_under_python(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write("folder/script.py", LOOKS_AROUND)
    of_its_own = ("--help", "--no-threads", "--", "-m", "-x", "--variables=trace", "--no")
    ours, pythons = both("folder/../folder/script.py", *of_its_own)
    assert ours == pythons
    assert "'--variables=trace', '--no']" in ours.output
    # What the last object says when it goes comes after that, unless coverage is measured.
    assert "a thread that outlives the program\nat exit\n" in ours.output
    assert (ours.errors, ours.status) == ("--help\n", 1)


def test_a_module_sees_what_it_sees_under_python(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write("package/__init__.py", "import sys; print(sys.argv)")
    write("package/__main__.py", LOOKS_AROUND)
    ours, pythons = both("-m", "package", "-m", "--help", "--", "-x")
    assert ours == pythons
    assert "'-m', '--help', '--', '-x']" in ours.output


def test_a_zip_file_sees_what_it_sees_under_python(
    tmp_path: Path, both: Callable[..., tuple[Ended, Ended]]
) -> None:
    with zipfile.ZipFile(tmp_path / "program.zip", "w") as program:
        program.writestr("__main__.py", "import beside\n" + textwrap.dedent(LOOKS_AROUND))
        program.writestr("beside.py", "")
    ours, pythons = both("./program.zip", "-m")
    assert ours == pythons
    assert "['./program.zip', '-m']" in ours.output


if sys.version_info >= (3, 11):

    def test_nothing_is_put_on_the_path_where_python_was_told_so(
        write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
    ) -> None:
        write("folder/script.py", "import sys; print(sys.path); sys.exit(7)")
        ours, pythons = both("folder/script.py", flags=("-P",))
        assert ours == pythons
        assert "folder" not in ours.output
        assert ours.status == 7


def test_a_compiled_script_is_run_as_python_runs_it(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    script = write("script.py", "print(type(__loader__).__name__, __loader__.path, __file__)")
    py_compile.compile(str(script), cfile=f"{script}c", doraise=True)
    ours, pythons = both("script.pyc")
    assert ours == pythons
    assert ours.output.startswith("SourcelessFileLoader ")


def test_processes_that_import_the_program_again_find_it(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write(
        "script.py",
        """
        import multiprocessing

        def work():
            print(work.__module__, __name__, __file__)

        if __name__ == "__main__":
            child = multiprocessing.get_context("spawn").Process(target=work)
            child.start()
            child.join()
        """,
    )
    ours, pythons = both("script.py")
    assert ours == pythons
    assert ours.output.startswith("__mp_main__ __mp_main__ ")


# How a program ends.

FAILS = """
    import sys
    from beside import divide

    def explain(kind, error, traceback):
        names = []
        while traceback is not None:
            names.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        print(kind.__name__, error, names)
        print(sys.last_type is kind, sys.last_value is error, sys.excepthook is explain)
        print(error.__traceback__ is sys.last_traceback)

    def fail(kind, error, traceback):
        raise LookupError("in the hook")

    def late():
        import threading
        threading.main_thread().join()
        print("hook is back:", sys.excepthook is sys.__excepthook__)

    if sys.argv[1] == "own hook":
        sys.excepthook = explain
    elif sys.argv[1] == "hook that fails":
        sys.excepthook = fail
    else:
        import threading
        threading.Thread(target=late).start()
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        raise RuntimeError("cannot go on") from error
"""


@pytest.mark.parametrize("case", ["no hook", "own hook", "hook that fails"])
def test_an_uncaught_error_is_shown_as_python_shows_it(
    case: str, write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write("script.py", FAILS)
    write("beside.py", "def divide(a, b): return a / b")
    ours, pythons = both("./script.py", case)
    assert ours == pythons
    assert ours.status == 1
    assert "cannot go on" in ours.output + ours.errors


def test_an_uncaught_error_of_a_module_is_shown_without_what_found_it(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write("package/__init__.py", "")
    write("package/part.py", "def fail():\n    raise ValueError('on purpose')\n\nfail()")
    ours, pythons = both("-m", "package.part")
    assert "runpy" in pythons.errors
    assert ours == without_runpy(pythons)
    assert ours.status == 1


@pytest.mark.parametrize("launched", ["as a module", "as a script"])
def test_a_syntax_error_is_shown_as_python_shows_it(
    launched: str, write: Callable[..., Path], ends: Callable[..., Ended]
) -> None:
    write("script.py", "print('not reached')\ndef broken(:\n")
    # As pip writes it. Here, what is left of us when the error is shown is nothing at all.
    write("bin/ctxtrace", "import sys; from ctxtrace.cli import main; sys.exit(main())")
    command = RUN if launched == "as a module" else ("bin/ctxtrace", "run")
    ours = ends(*command, "script.py")
    assert ours == ends("script.py")
    assert ours.errors.startswith("  File ")
    assert ours.status == 1


def test_an_interrupted_program_dies_of_the_signal(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write(
        "script.py",
        """
        import atexit, signal
        atexit.register(print, "at exit")
        signal.raise_signal(signal.SIGINT)
        """,
    )
    ours, pythons = both("script.py")
    assert ours == pythons
    assert "KeyboardInterrupt" in ours.errors
    assert ours.output == "at exit\n"
    if os.name == "posix":
        assert ours.status == -signal.SIGINT


@pytest.mark.parametrize(
    ("program", "status"), [(("missing.py",), 2), (("-m", "missing_module"), 1)]
)
def test_what_is_not_there_is_reported_as_python_reports_it(
    program: tuple[str, ...], status: int, both: Callable[..., tuple[Ended, Ended]]
) -> None:
    ours, pythons = both(*program)
    assert ours == pythons
    assert ours.status == status


# What it is for.

NESTS = """
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import ContextVar

    USER = ContextVar("user", default="nobody")
    USER.set("ada")
    with ThreadPoolExecutor() as pool:
        print(pool.submit(USER.get).result())
"""


def test_an_unedited_program_nests(
    write: Callable[..., Path], both: Callable[..., tuple[Ended, Ended]]
) -> None:
    write("script.py", NESTS)
    ours, pythons = both("script.py")
    assert pythons == ("nobody\n", "", 0)
    assert ours == ("ada\n", "", 0)


def test_a_site_that_is_switched_off_is_as_under_python(
    write: Callable[..., Path], ends: Callable[..., Ended]
) -> None:
    write("script.py", NESTS)
    assert ends(*RUN, "--no-thread-pools", "script.py") == ("nobody\n", "", 0)
