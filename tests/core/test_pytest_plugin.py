"""The pytest plugin where nothing is traced: switched off, asking, and without tracers."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said

# None stands for a module that cannot be imported, nor found.
_NO_TRACERS = """\
import sys

for name in ("anyio", "langchain_core", "langsmith", "opentelemetry"):
    sys.modules[name] = None
"""

_STRANGER = """\
import contextvars
import sys

variable = contextvars.ContextVar("variable", default="unset")

def test_imports_nothing():
    imported = {name for name, module in sys.modules.items() if module is not None}
    assert not imported & {"anyio", "langchain_core", "langsmith", "opentelemetry"}
    assert not [name for name in imported if name.startswith("ctxtrace.testing")]

def test_no_hook_acts_on_tests(pytestconfig):
    for name in ("ctxtrace-tests", "ctxtrace-trees"):
        assert not pytestconfig.pluginmanager.has_plugin(name)

def test_sets_a_variable():
    variable.set("set")

def test_sees_the_variable_of_the_test_before():
    assert variable.get() == "set"
"""

UNUSED = Suite({"test_stranger.py": _STRANGER})
# All plugins are loaded, as a user's pytest does, but it and those that import tracers.
SWITCHED_OFF = Suite(
    {"test_stranger.py": _STRANGER},
    *(f"-pno:{name}" for name in ("ctxtrace", "anyio", "asyncio", "langsmith_plugin")),
    plugins=None,
)

_MARKED = """\
import pytest
from ctxtrace.pytest_plugin import _PLAN
from ctxtrace.testing import _tape

single_trace = pytest.mark.single_trace

def test_hooks_act_where_a_test_asks_for_them(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("ctxtrace-tests")

@single_trace
def test_no_run():
    pass

@single_trace
def test_skips_itself():
    pytest.skip("not today")

@single_trace
@pytest.mark.skip(reason="never")
def test_is_skipped():
    pass

@single_trace
def test_own_error():
    assert 1 + 1 == 3, "arithmetic"

@single_trace(False)
def test_opts_out():
    pass

def test_fixture(trace_capture):
    assert trace_capture.traces == []
    assert trace_capture.tree == ""

def test_single_trace(trace_capture):
    trace_capture.assert_single_trace()

def test_trace(trace_capture):
    trace_capture.trace

@single_trace(source="langsmith")
def test_langsmith():
    pass

@single_trace(source=["otel"])
def test_opentelemetry():
    pass

@pytest.mark.parametrize("source", [
    pytest.param(name, marks=single_trace(source=name)) for name in ("langsmith", "otel")
])
class TestNeverRuns:
    @pytest.mark.skipif(True, reason="no tracer")
    def test_skipped(self, source):
        assert False, "not reached"

    @pytest.mark.xfail(run=False)
    def test_expected_to_fail(self, source):
        assert False, "not reached"

def test_raised_around():
    pass

kept = []

def test_keeps_its_capture(request, trace_capture):
    assert _PLAN in request.node.stash
    assert _tape.is_open("langsmith")
    kept.append(trace_capture)

def test_after_one_that_kept_its_capture():
    assert kept
    assert not _tape.is_open("langsmith")

def test_no_item_keeps_its_plan(request):
    assert not [item for item in request.session.items if _PLAN in item.stash]
"""

# Another plugin that is not content with how a test went.
_AROUND = """import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    yield
    if item.name == "test_raised_around":
        raise LookupError("by another plugin")
"""

ASKING = Suite({"conftest.py": f"{_NO_TRACERS}\n{_AROUND}", "test_marked.py": _MARKED})

_PASSES = """\
import pytest

def test_without_runs():
    pass

@pytest.mark.single_trace
def test_marked_without_runs():
    pass

# As if the program had imported a LangSmith that cannot be recorded.
def test_cannot_be_recorded():
    from ctxtrace.testing import _langsmith
    _langsmith._failure = LookupError("no such part")

def test_after_it():
    from ctxtrace.testing import _langsmith
    _langsmith._failure = None
"""

ALL = Suite(
    {"conftest.py": _NO_TRACERS, "test_passes.py": _PASSES},
    "--ctxtrace-single-trace",
    "--ctxtrace-tree",
    "--strict-markers",
)


@pytest.fixture
def asking(request: pytest.FixtureRequest) -> Result:
    return ASKING.run(request)


@pytest.fixture
def all_(request: pytest.FixtureRequest) -> Result:
    return ALL.run(request)


# A suite that does not use it.


@pytest.mark.parametrize(
    "name",
    ["test_imports_nothing", "test_no_hook_acts_on_tests"],
)
def test_unused_it_does_nothing(request: pytest.FixtureRequest, name: str) -> None:
    assert UNUSED.run(request)[name].what == "passed"


def test_unused_a_test_sees_the_variables_of_the_test_before(
    request: pytest.FixtureRequest,
) -> None:
    assert UNUSED.run(request)["test_sees_the_variable_of_the_test_before"].what == "passed"


def test_a_suite_that_does_not_use_it_is_the_same_without_it(
    request: pytest.FixtureRequest,
) -> None:
    unused, switched_off = UNUSED.run(request), SWITCHED_OFF.run(request)
    said(unused.output, "plugins: ctxtrace-*")
    assert "ctxtrace" not in switched_off.output
    assert switched_off.status == unused.status == pytest.ExitCode.OK
    assert switched_off.names() == unused.names()


# Where a test uses it.


@pytest.mark.parametrize(
    "name", ["test_hooks_act_where_a_test_asks_for_them", "test_opts_out", "test_fixture"]
)
def test_where_nothing_is_traced_a_test_passes_that_asks_for_no_trace(
    asking: Result, name: str
) -> None:
    assert asking[name].what == "passed"


@pytest.mark.parametrize("name", ["test_no_run", "test_single_trace", "test_trace"])
def test_where_nothing_is_traced_a_test_fails_that_asks_for_a_trace(
    asking: Result, name: str
) -> None:
    outcome = asking[name]
    assert outcome.what == "failed"
    assert "no run was recorded" in outcome.text


@pytest.mark.parametrize("name", ["test_skips_itself", "test_is_skipped"])
def test_a_skipped_test_is_not_judged(asking: Result, name: str) -> None:
    assert asking[name].what == "skipped"


def test_a_tests_own_error_is_the_headline(asking: Result) -> None:
    outcome = asking["test_own_error"]
    assert outcome.what == "failed"
    said(outcome.text, "E       AssertionError: arithmetic")
    assert "no run was recorded" not in outcome.text


@pytest.mark.parametrize(
    ("name", "library"), [("test_langsmith", "langsmith"), ("test_opentelemetry", "otel")]
)
def test_a_source_that_is_not_installed_is_named(asking: Result, name: str, library: str) -> None:
    outcome = asking[name]
    assert outcome.what == "error"
    said(outcome.text, f'test_marked.py:*: recording source="{library}" needs * not installed*')


@pytest.mark.parametrize("library", ["langsmith", "otel"])
@pytest.mark.parametrize(
    ("name", "what"), [("test_skipped", "skipped"), ("test_expected_to_fail", "xfailed")]
)
def test_a_source_that_is_not_installed_does_not_matter_to_a_test_that_never_runs(
    asking: Result, name: str, what: str, library: str
) -> None:
    assert asking[f"{name}[{library}]"].what == what


def test_what_another_plugin_raises_around_an_unmarked_test_is_shown_without_our_frames(
    asking: Result,
) -> None:
    outcome = asking["test_raised_around"]
    assert outcome.what == "failed"
    said(outcome.text, "E*LookupError: by another plugin")
    assert "pytest_plugin.py" not in outcome.text


def test_a_test_that_keeps_its_capture_is_not_recorded_beyond_its_end(asking: Result) -> None:
    assert asking["test_keeps_its_capture"].what == "passed"
    assert asking["test_after_one_that_kept_its_capture"].what == "passed"


def test_what_was_recorded_is_not_kept_as_long_as_the_session(asking: Result) -> None:
    assert asking["test_no_item_keeps_its_plan"].what == "passed"


# Every test.


def test_where_all_are_held_to_a_single_trace_a_test_without_runs_passes(all_: Result) -> None:
    assert all_["test_without_runs"].what == "passed"


def test_where_all_are_held_to_a_single_trace_a_marked_one_still_needs_a_run(all_: Result) -> None:
    assert all_["test_marked_without_runs"].what == "failed"


def test_the_tree_of_a_test_without_runs_says_so(all_: Result) -> None:
    said(
        all_.output,
        "=* traces *=",
        "test_passes.py::test_without_runs",
        "  (no run)",
        "test_passes.py::test_marked_without_runs",
        "  (no run)",
    )


def test_where_a_tracer_cannot_be_recorded_the_test_fails_and_says_so(all_: Result) -> None:
    complaint = "LangSmith was imported, and not recorded: no such part"
    outcome = all_["test_cannot_be_recorded"]
    assert outcome.what == "failed"
    assert complaint in outcome.text
    said(all_.output, "test_passes.py::test_cannot_be_recorded", f"  {complaint}")
    assert all_["test_after_it"].what == "passed"
