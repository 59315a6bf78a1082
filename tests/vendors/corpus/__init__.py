"""Small programs with one loss each, and as many sound ones: what `diagnose` is judged by.

A losing program names the run that is lost, and carries `# lost: NAME` on the one line at which
its context was lost; within a file no two programs lose a run of the same name. The sound ones
are the twins of those, repaired, and other programs that a naive detector would accuse.

A program is a function without arguments that leaves no thread, no task and no variable behind.
The "missing" ones turn LangSmith on themselves, with `tracing`; all others are recorded.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import langsmith
from langsmith._internal import _context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Main = Callable[[], None]

# From 0.7.30 on LangSmith's context holds the parent run only weakly.
WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")
BEFORE_311 = sys.version_info < (3, 11)


class Program(NamedTuple):
    """One program, and what comes of it."""

    name: str
    main: Main
    # The run that is lost, and how: "split", "missing" or "leak". None and "" in sound ones.
    loses: str | None
    how: str
    # Whether it loses here, with these versions. Where not, it is sound.
    when: bool
    # How many roots are meant, that of a leaking program's named run not counted.
    roots: int

    @property
    def lossy(self) -> bool:
        """Whether it loses its run with these versions."""
        return self.loses is not None and self.when

    def line(self) -> tuple[str, int]:
        """The file and the line at which the run is lost."""
        file = inspect.getsourcefile(self.main)
        assert file is not None
        with open(file, encoding="utf-8") as source:
            found = [
                number
                for number, line in enumerate(source, 1)
                if line.rstrip().endswith(f"  # lost: {self.loses}")
            ]
        assert len(found) == 1, f"{self.name}: marked on the lines {found} of {file}"
        return file, found[0]


PROGRAMS: list[Program] = []


def loses(
    run: str, *, how: str = "split", when: bool = True, roots: int = 1
) -> Callable[[Main], Main]:
    """Enter a program that loses this run."""

    def register(main: Main) -> Main:
        PROGRAMS.append(Program(main.__name__, main, run, how, when, roots))
        return main

    return register


@overload
def sound(main: Main, /) -> Main: ...
@overload
def sound(*, roots: int = 1) -> Callable[[Main], Main]: ...
def sound(main: Main | None = None, /, *, roots: int = 1) -> Any:
    """Enter a program that loses nothing and ends with so many roots; bare or called."""

    def register(main: Main) -> Main:
        PROGRAMS.append(Program(main.__name__, main, None, "", True, roots))
        return main

    return register if main is None else register(main)


def programs() -> list[Program]:
    """All programs of all files in this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return PROGRAMS


class _Client(langsmith.Client):
    """Keeps the names of the runs it is given, and sends nothing."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            api_url="http://localhost:1", api_key="none", info={}, auto_batch_tracing=False
        )
        self._names = names

    def create_run(self, name: str, *args: Any, **kwargs: Any) -> None:
        self._names.append(name)

    def update_run(self, *args: Any, **kwargs: Any) -> None:
        pass


# The runs of the "missing" program that ran last.
TRACED: list[str] = []


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Turn LangSmith on for one block, as services do that trace some of their requests."""
    TRACED.clear()
    with langsmith.tracing_context(enabled=True, client=_Client(TRACED)):
        yield
