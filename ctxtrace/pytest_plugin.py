"""The pytest plugin: a test fails when its trace falls apart, and shows the tree.

Options, marker, fixture and the text of failures; what they mean is in `ctxtrace.testing`, which
is imported when a test asks for it, and not before. Without the marker, the fixture and the
options the plugin adds no hook to any test.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .diagnosis import Diagnosis
    from .testing import Recording
    from .testing._expected import Expected

_MARKER = "single_trace"
_FIXTURE = "trace_capture"
_MODES = ("marked", "all")


class _Settings(NamedTuple):
    """What the command line and the ini file say."""

    all: bool
    tree: bool
    sources: tuple[str, ...]


class _Plan(NamedTuple):
    """What is to become of one test."""

    recording: Recording
    # None where nobody would read it.
    diagnosis: Diagnosis | None
    # None: recorded, and not judged.
    expected: Expected | None
    # Whether a test without a run fails.
    runs_are_wanted: bool


_SETTINGS = pytest.StashKey[_Settings]()
_PLAN = pytest.StashKey[_Plan]()
# The complaints of our judgement, which show the trace.
_JUDGED = pytest.StashKey["list[str]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the settings of the ini file."""
    group = parser.getgroup("ctxtrace", "traces")
    group.addoption(
        "--ctxtrace-single-trace",
        action="store_true",
        help="hold every test that records a run to a single trace, as the ini setting "
        "ctxtrace_single_trace = all does",
    )
    group.addoption(
        "--ctxtrace-tree", action="store_true", help="print what trace came out of every test"
    )
    parser.addini(
        "ctxtrace_single_trace",
        "which tests are held to a single trace: 'marked' (the default), those with the marker "
        "single_trace; 'all', all of them but those with single_trace(False)",
        default=_MODES[0],
    )
    parser.addini(
        "ctxtrace_source",
        "the tracers to record where a test does not say: 'langsmith', 'otel' or both. Not set: "
        "those that are used. Naming 'otel' sets a tracer provider where there is none",
        type="args",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(root=None, runs=None, roots=1, source=None): fail the test unless all its "
        "runs are one finished tree; of that root, with these runs, of so many trees, by these "
        "tracers. single_trace(False): do not judge it.",
    )
    mode, sources = config.getini("ctxtrace_single_trace"), config.getini("ctxtrace_source")
    if mode not in _MODES:
        raise pytest.UsageError(
            f"ctxtrace_single_trace = {mode!r} is no mode; valid are {' and '.join(_MODES)}"
        )
    if sources:
        from .testing._recording import checked_sources

        try:
            checked_sources(sources)
        except ValueError as error:
            raise pytest.UsageError(f"ctxtrace_source: {error}") from None
    tree = bool(config.getoption("ctxtrace_tree"))
    config.stash[_SETTINGS] = _Settings(
        all=mode == "all" or bool(config.getoption("ctxtrace_single_trace")),
        tree=tree,
        sources=tuple(sources),
    )
    if tree:
        config.pluginmanager.register(_Trees(), "ctxtrace-trees")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Add the hooks that act on tests, if there is a test for them."""
    # Only now: others add markers until the last moment.
    plugins, settings = session.config.pluginmanager, session.config.stash[_SETTINGS]
    wanted = settings.all or settings.tree or any(map(_is_ours, session.items))
    if wanted and not plugins.has_plugin("ctxtrace-tests"):  # a session may collect twice
        plugins.register(_Tests(), "ctxtrace-tests")


def _is_ours(item: pytest.Item) -> bool:
    return _MARKER in item.keywords or _has_fixture(item)


def _has_fixture(item: pytest.Item) -> bool:
    return _FIXTURE in getattr(item, "fixturenames", ())


@pytest.fixture
def trace_capture(request: pytest.FixtureRequest) -> Generator[Recording]:
    """Record the runs and spans of the test, its fixtures' included; see `ctxtrace.testing`."""
    plan = request.node.stash.get(_PLAN, None)
    if plan is not None:
        yield plan.recording
        return
    # Asked for while the test was set up, by request.getfixturevalue().
    from .testing import record

    with record(request.config.stash[_SETTINGS].sources or None) as recording:
        yield recording


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show where a trace that was compared differs."""
    module = sys.modules.get("ctxtrace.testing._verdict")
    if op != "==" or module is None:
        return None
    for forest, other in ((left, right), (right, left)):
        if isinstance(forest, module.Forest) and isinstance(other, (module.Forest, str, dict)):
            return cast("list[str]", module.difference(forest, other))
    return None


class _Tests:
    """The hooks that act on tests."""

    def __init__(self) -> None:
        self._undo = ExitStack()

    # No wrapper: one that fails keeps those inside it from their set-up, and they then fail in
    # their tear-down, too. After pytest's own, which skips.
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        plan = _plan(item)
        if plan is None:
            return
        try:
            with ExitStack() as undo:
                undo.enter_context(plan.recording)
                if plan.diagnosis is not None:
                    undo.enter_context(plan.diagnosis)
                self._undo = undo.pop_all()
        except (ImportError, RuntimeError) as error:
            _fail_at(item, error)
        item.stash[_PLAN], item.stash[_JUDGED] = plan, []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        __tracebackhide__ = True  # what others raise here is none of ours
        plan = item.stash.get(_PLAN, None)
        if plan is None:
            return (yield)
        from .testing._current import Current

        plan.recording.expect_open()
        before = Current()
        try:
            result = yield
        except BaseException:
            before.put_back()
            raise  # the test's own error is the headline
        complaints = [
            f"the test leaves another run current than it found: {what}"
            for what in before.put_back()
        ]
        complaint = _complaint(plan)
        if complaint is not None:
            complaints += [complaint, where] if (where := _where(plan)) else [complaint]
        if complaints:
            item.stash[_JUDGED] = complaints
            __tracebackhide__ = False  # else pytest says that all frames are hidden
            pytest.fail("\n\n".join(complaints), pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        try:
            return (yield)
        finally:
            self._stop()

    def pytest_unconfigure(self) -> None:
        # After an interruption pytest does not come to the tear-down of the test.
        self._stop()

    def _stop(self) -> None:
        self._undo.close()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        plan = item.stash.get(_PLAN, None)
        if plan is None:
            return report
        if call.when == "call" and report.failed:
            # What came of its trace may explain the error, and may stand in it already. That of a
            # TestCase takes the place of our judgement.
            drawing = _told(plan.recording.drawing)
            error = "" if call.excinfo is None else call.excinfo.exconly()
            shown = [indent(drawing, "  "), *item.stash[_JUDGED]]
            if drawing and not any(text in error for text in shown):
                report.sections.append(("Captured trace call", _told(plan.recording.described)))
            where = _where(plan)
            if where and where not in error:
                report.sections.append(("Captured trace diagnosis", where))
        elif call.when == "teardown":
            del item.stash[_PLAN], item.stash[_JUDGED]  # the items live as long as the session
            if item.config.stash[_SETTINGS].tree:
                # As a string, it travels from pytest-xdist's workers.
                vars(report)[_Trees.attribute] = _told(plan.recording.drawing)
        return report


def _plan(item: pytest.Item) -> _Plan | None:
    settings = item.config.stash[_SETTINGS]
    marker = item.get_closest_marker(_MARKER)
    if marker is None and not (settings.all or settings.tree or _has_fixture(item)):
        return None
    from .testing import record
    from .testing._expected import Expected, expected_of, opts_out

    expected = Expected() if settings.all else None
    if marker is not None:
        if opts_out(marker.args, marker.kwargs):
            expected = None
        else:
            try:
                expected = expected_of(marker.args, marker.kwargs)
            except ValueError as error:
                _fail_at(item, error)
    if expected is None and not (settings.tree or _has_fixture(item)):
        return None
    sources = (expected.sources if expected is not None else ()) or settings.sources
    diagnosis = None
    if expected is not None or _has_fixture(item):
        from .diagnosis import diagnose

        diagnosis = diagnose()
    return _Plan(record(sources or None), diagnosis, expected, marker is not None)


def _fail_at(item: pytest.Item, error: Exception) -> NoReturn:
    path, line, _ = item.location
    # Not by pytest.fail(), whose error would bring this one along.
    raise pytest.fail.Exception(f"{path}:{(line or 0) + 1}: {error}", pytrace=False) from None


def _complaint(plan: _Plan) -> str | None:
    expected = plan.expected
    if expected is None:
        return None
    try:
        if not (plan.runs_are_wanted or plan.recording.forest().nodes):
            return None
        return plan.recording.complaint(expected)
    # A tracer was imported, and could not be recorded; or what was recorded makes no tree.
    except (RuntimeError, ValueError) as error:
        return str(error)


def _where(plan: _Plan) -> str:
    """Say for each run that was lost where that was."""
    return "" if plan.diagnosis is None else plan.diagnosis.explain()


def _told(picture: Callable[[], str]) -> str:
    try:
        return picture()
    except (RuntimeError, ValueError) as error:  # or what was recorded makes no tree
        return str(error)


class _Trees:
    """Prints the tree of every test, at the end; in the session that starts the workers, too."""

    attribute = "ctxtrace_tree"

    def __init__(self) -> None:
        self._trees: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tree = vars(report).get(self.attribute)
        if tree is not None:
            self._trees.append((report.nodeid, tree))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("traces")
        for nodeid, tree in self._trees:
            terminalreporter.line(f"{nodeid}")
            for line in (tree or "(no run)").splitlines():
                terminalreporter.line(f"  {line}")
