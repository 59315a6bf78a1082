"""Suites of tests that find something open, or leave something open; on real tracers."""

from __future__ import annotations

_LEAKS = """\
import contextlib
import langsmith
import pytest
from langsmith.run_helpers import get_current_run_tree
from opentelemetry import context, trace

# LangSmith's context alone would not keep what is left open.
opened = []

def leave_a_run(name):
    opened.append(langsmith.trace(name))
    opened.append(opened[-1].__enter__())

def leave_a_span(name):
    span = trace.get_tracer("test").start_span(name)
    opened.append(context.attach(trace.set_span_in_context(span)))

def nothing_is_current():
    return get_current_run_tree() is None and not trace.get_current_span().is_recording()

# Neither is recorded nor judged, and LangSmith does not trace.
def test_control_leaves_a_run_and_a_span():
    opened.append(langsmith.RunTree(name="left by a test", ls_client=object()))
    opened.append(langsmith.tracing_context(parent=opened[-1]))
    opened[-1].__enter__()
    leave_a_span("left by a test")

def test_control_the_next_sees_both():
    assert get_current_run_tree().name == "left by a test"
    assert trace.get_current_span().name == "left by a test"
    context.detach(opened.pop())
    opened.pop().__exit__(None, None, None)
    assert nothing_is_current()

@pytest.mark.single_trace
def test_run():
    leave_a_run("left behind")

def test_after_the_run():
    assert nothing_is_current()

def test_span(trace_capture):
    leave_a_span("span left behind")

def test_after_the_span():
    assert nothing_is_current()

def test_run_and_error(trace_capture):
    leave_a_run("left behind")
    raise LookupError("its own")

def test_after_the_error():
    assert nothing_is_current()

@pytest.fixture
def outer():
    with contextlib.ExitStack() as stack:
        stack.enter_context(langsmith.trace("outer"))
        yield stack

@pytest.mark.single_trace
def test_closes_what_its_fixture_opened(outer):
    outer.close()

def test_after_it_was_closed():
    assert nothing_is_current()
"""

# Fixtures open runs; a test of the suite is in one module or another.
_OPEN = """\
import langsmith
import pytest

def opened(scope):
    @pytest.fixture(scope=scope, name=f"{scope}_run")
    def fixture(request):
        with langsmith.trace(f"{scope} run"):
            yield
    return fixture

class_run, module_run, session_run = map(opened, ["class", "module", "session"])

@pytest.fixture
def runs(session_run, module_run, class_run):
    with langsmith.trace("run"):
        yield
"""

_SCOPED = """\
import pytest
from program import OURS, answer

@pytest.mark.usefixtures("runs")
@pytest.mark.single_trace(root="session run")
class TestScopes:
    def test_%s(self, trace_capture):
        answer(OURS)
        trace_capture.assert_nested("session run > module run > class run > run > answer")

    def test_%s(self, trace_capture):
        answer(OURS)
        trace_capture.assert_nested("session run > module run > class run > run > answer")
"""

_UNRECORDED = """\
import langsmith
import pytest
from langsmith.run_helpers import get_current_run_tree
from opentelemetry import trace
from program import OURS, answer

@pytest.fixture(scope="module")
def unrecorded():
    run = langsmith.RunTree(name="unrecorded", ls_client=object())
    span = trace.get_tracer("test").start_as_current_span("unrecorded")
    with langsmith.tracing_context(parent=run), span:
        yield

@pytest.fixture(scope="class")
def span():
    with trace.get_tracer("test").start_as_current_span("class span"):
        yield

@pytest.mark.usefixtures("unrecorded")
class TestBelow:
    def test_unjudged(self):
        assert get_current_run_tree().name == "unrecorded"

    @pytest.mark.single_trace(root="answer")
    def test_judged(self):
        answer(OURS)

    @pytest.mark.parametrize("time", ["first", "second"])
    def test_class_run(self, class_run, trace_capture, time):
        answer(OURS)
        trace_capture.assert_nested("class run > answer")

    @pytest.mark.parametrize("time", ["first", "second"])
    def test_class_span(self, span, trace_capture, time):
        with trace.get_tracer("test").start_as_current_span("span"):
            pass
        trace_capture.assert_nested("class span > span")
"""

_COROUTINES = """\
import asyncio
import langsmith
import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def request_():
    async with langsmith.trace("request"):
        yield

@langsmith.traceable
async def child():
    await asyncio.sleep(0)

@langsmith.traceable
async def parent():
    await asyncio.gather(child(), child())

@pytest.mark.single_trace(root="parent", runs=["child"])
async def test_coroutines():
    await parent()

@pytest.mark.single_trace(root="request", runs=["parent", "child"])
@pytest.mark.parametrize("time", ["first", "second"])
async def test_fixture_of_the_module(request_, time):
    await parent()
"""

AROUND = {
    "conftest.py": _OPEN,
    "test_leaks.py": _LEAKS,
    "test_unrecorded.py": _UNRECORDED,
    "test_coroutines.py": _COROUTINES,
    "test_scopes.py": _SCOPED % ("one", "other"),
    "test_turned.py": _SCOPED % ("other", "one"),
    "test_alone.py": _SCOPED % ("other", "one"),
}
# What is opened for the session stays open for the rest of it, so that comes last. Where spans
# are left open somebody has to have set a provider.
AROUND_ARGUMENTS = (
    "test_leaks.py",
    "test_unrecorded.py",
    "test_coroutines.py",
    "test_scopes.py",
    "test_turned.py",
    "test_alone.py::TestScopes::test_one",
)
