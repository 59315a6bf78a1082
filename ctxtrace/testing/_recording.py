"""Record in memory what the tracers of a program would send."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import _tape
from ._draw import draw_by_start
from ._expected import SOURCES, Expected, checked_sources, expected_of
from ._forest import Forest, Trace
from ._verdict import complaint, left_open, nesting_complaint, split_chain
from ._words import block, entry, stands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from typing_extensions import Self


class Recording:
    """What `record` returns: a context manager, and afterwards what was recorded.

    May be asked while the recording goes on and after it has ended, from any thread. Runs that
    end later count as ended from then on.

    Attributes:
        sources: The tracers that were asked for by name; empty where all that are live are
            recorded.
    """

    def __init__(self, sources: tuple[str, ...]) -> None:
        self.sources = sources
        self._runs: list[_tape.Run] = []
        self._may_be_open: frozenset[str] = frozenset()
        self._undo: contextlib.ExitStack | None = None

    def start(self) -> None:
        """Begin, as the block of `with` does; for code that has no block.

        Raises:
            ImportError: A tracer that was asked for is not installed.
            RuntimeError: It was begun before, or a tracer is not laid out as the known ones
                are, so that a run could get past the recorder.
        """
        if self._undo is not None:
            raise RuntimeError("this recording was begun before: call record() for each")
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            for source in self.sources or SOURCES:
                undo.enter_context(_LISTENING[source](self._runs, source in self.sources))
            self._undo = undo.pop_all()
        self.expect_open()

    def stop(self) -> None:
        """End the recording, in the context that it began in. Stopping twice does nothing."""
        if self._undo is not None:
            self._undo.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def forest(self, source: str | None = None) -> Forest:
        """Build the forest of all runs that have started in the recording so far.

        Below a run that was open when the recording began, and had itself been recorded, its
        children stand where they belong: that run is in the forest too.

        Args:
            source: A tracer, "langsmith" or "otel". None stands for all that were recorded.

        Raises:
            ValueError: There is no such tracer.
            RuntimeError: The program imported a tracer while it was recorded, and it could not
                be.
        """
        __tracebackhide__ = True  # pytest's word for a frame that says nothing
        if source is not None:
            checked_sources(source)
        if "langsmith" in (self.sources or SOURCES):
            from ._langsmith import check

            check()
        forest = Forest.from_records(_tape.with_ancestors(self._runs.copy()))
        return forest if source is None else forest.only(source)

    @property
    def trace(self) -> Trace:
        """The one tree that was recorded.

        Raises:
            AssertionError: There is none, or there are several; the text shows them.
        """
        __tracebackhide__ = True
        forest = self.forest()
        complaint = self._complaint_of(forest, frozenset(node.id for node in forest.nodes))
        if complaint is not None:
            raise AssertionError(complaint)
        if len(forest.traces) > 1:
            raise AssertionError(
                f"{' and '.join(forest.sources)} have recorded a trace each: say which one is "
                'meant, as in forest("otel").traces'
            )
        return forest.traces[0]

    @property
    def traces(self) -> list[Trace]:
        """All trees that were recorded, in order of start."""
        return self.forest().traces

    @property
    def tree(self) -> str:
        """All trees as text, which is the names, indented, each with a line end.

        The same for each run of one concurrent program: siblings are sorted, equal ones
        collapsed (``look_up x 3``). For ``assert trace_capture.tree == ...`` and for snapshots.
        """
        return self.forest().tree

    def assert_single_trace(
        self,
        root: str | None = None,
        *,
        runs: str | Collection[str] = (),
        roots: int = 1,
        source: str | Collection[str] | None = None,
    ) -> None:
        """Fail unless what was recorded is one tree, finished, and without orphans.

        Each tracer that has recorded something is judged by itself. Runs that were open when
        the recording began, or the call of the test that is recorded, may still be open.

        Args:
            root: The name that the root is to have.
            runs: Names of runs that are to be in it.
            roots: How many trees there are to be, each with that root.
            source: Judge these tracers alone; each is to have recorded something.

        Raises:
            AssertionError: It is not so, or nothing was recorded. The text shows the trees as
                they came out, and for each run that split where it started.
            ValueError: An argument is none of these.
        """
        __tracebackhide__ = True
        complaint = self.complaint(
            expected_of((), {"root": root, "runs": runs, "roots": roots, "source": source})
        )
        if complaint is not None:
            raise AssertionError(complaint)

    def assert_nested(self, chain: str | Sequence[str]) -> None:
        """Fail unless the runs are each the direct child of the one before.

        Also if any run so named lost its parent: of five children, all have to have theirs.

        Args:
            chain: ``"parent > child"``, or longer; a list of names where one of them holds an
                arrow itself.

        Raises:
            AssertionError: It is not so. The text shows the trees, and where each run started.
            ValueError: The chain has fewer than two names.
        """
        __tracebackhide__ = True
        complaint = nesting_complaint(self.forest(), split_chain(chain), self._may_be_open)
        if complaint is not None:
            raise AssertionError(complaint)

    def drawing(self) -> str:
        """Draw the trees in order of start, with marks, but for runs that may be open."""
        return self._drawing_of(self.forest())

    def described(self) -> str:
        """The same, and where each run started that lost its parent."""
        forest = self.forest()
        lost = dict.fromkeys([*forest.splits, *forest.orphans])
        entries = [entry(node, stands(node)) for node in lost]
        return "\n".join([self._drawing_of(forest), *block(entries)])

    def _drawing_of(self, forest: Forest) -> str:
        return draw_by_start(forest, unfinished=left_open(forest, self._may_be_open))

    def expect_open(self) -> None:
        """Allow the runs that are open now to be open when the recording is judged."""
        self._may_be_open = _tape.unfinished()

    def complaint(self, expected: Expected) -> str | None:
        """Say what is not as expected, in words and as a picture; None if all is."""
        return self._complaint_of(self.forest(), self._may_be_open, expected)

    def _complaint_of(
        self, forest: Forest, may_be_open: frozenset[str], expected: Expected | None = None
    ) -> str | None:
        expected = expected or Expected()
        return complaint(
            forest,
            root=expected.root,
            runs=expected.runs,
            roots=expected.roots,
            sources=expected.sources,
            may_be_open=may_be_open,
            silent={source: _SILENT[source]() for source in self.sources or SOURCES},
        )

    def __repr__(self) -> str:
        return f"<Recording: {len(self._runs)} runs>"


def record(source: str | Collection[str] | None = None) -> Recording:
    """Record every run and span of the process, and have LangSmith send none.

    A context manager, for the whole process: all threads and tasks, and every
    `langsmith.Client`, the program's own included. While it is open LangSmith traces, whatever
    the environment says, and no run of it leaves the process, whatever keys are set; LangChain
    and LangGraph are recorded with it. OpenTelemetry is recorded through the provider that the
    program sets, before or in the block, beside the program's own exporters. What the current
    context says of LangSmith, LangChain and OpenTelemetry (a current run that was not recorded,
    a client, tracing off) is hidden inside the block. At its end everything is as it was, but
    for what cannot be taken back and is idle: a span processor, an import hook of wrapt's, and
    the exit handler of LangSmith's client that stands in for one where the program has none.

    A run goes where it was posted to: one that began before the block ends where it would have,
    and one that began in it goes nowhere, also if it ends later. A `langsmith.Client` that is
    made in the block never asks its server what it can do.

    Recordings may overlap: each has the runs that start while it is open.

    Args:
        source: "langsmith", "otel" or several of them: record these, and no others. If "otel"
            is named and no provider is set, one without an exporter is set, for the rest of
            the process: the API takes no other after it. None records whatever is used.

    Returns:
        A `Recording`, to be used with `with`.

    Raises:
        ValueError: There is no such source.

    Entering the block raises `ImportError` where a source was named that is not installed, and
    `RuntimeError` where this LangSmith is not laid out as the known ones are.
    """
    return Recording(() if source is None else checked_sources(source))


def _silent_langsmith() -> str:
    utils = sys.modules.get("langsmith.utils")
    if utils is not None:
        off = "" if utils.tracing_is_enabled() else " (tracing is off; LANGSMITH_TRACING=true)"
        return f"langsmith: none came{off}"
    if "langsmith" in sys.modules:
        return "langsmith: none came"
    return "langsmith: nothing has imported it"


def _silent_otel(hint: str = "") -> str:
    from ._otel import has_provider

    if has_provider():
        disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        return "otel: none came" + (" (OTEL_SDK_DISABLED is set)" if disabled else "")
    return f"otel: no tracer provider of its SDK is set{hint}"


_SILENT: dict[str, Callable[[], str]] = {
    "langsmith": _silent_langsmith,
    "otel": lambda: _silent_otel(' (source="otel" sets one)'),
}


def silent() -> list[str]:
    """Say of each tracer what may be why nothing came."""
    return [_silent_langsmith(), _silent_otel()]


def _langsmith(runs: list[_tape.Run], named: bool) -> contextlib.AbstractContextManager[None]:
    from . import _langsmith

    if named and not find_spec("langsmith"):
        raise ImportError('recording source="langsmith" needs langsmith, which is not installed')
    return _langsmith.listening(runs, watch=False)


def _otel(runs: list[_tape.Run], named: bool) -> contextlib.AbstractContextManager[None]:
    from . import _otel

    return _otel.listening(runs, provide=named)


_LISTENING: dict[
    str, Callable[[list[_tape.Run], bool], contextlib.AbstractContextManager[None]]
] = {"langsmith": _langsmith, "otel": _otel}
