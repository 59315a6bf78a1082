"""The pytest plugin: whom it records, whom it leaves alone, and what is not installed."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said
from vendors.plugin_programs import RUNS
from vendors.plugin_suites import JUDGED

_MARKER = """\
import sys
import pytest

single_trace = pytest.mark.single_trace
"""

# None stands for a module that cannot be imported, nor found.
_HIDDEN = """\
import sys

sys.modules["%s"] = None
"""

_LATE = f"""\
{_MARKER}
@single_trace(root="answer", runs=["look_up"])
def test_imported_inside():
    assert "langsmith.client" not in sys.modules
    from program import OURS, answer
    answer(OURS)

@single_trace
def test_split():
    from program import STANDARD, answer
    answer(STANDARD)

@single_trace(source="otel")
def test_asks_for_what_is_not_installed():
    assert False, "not reached"
"""

WITHOUT_OPENTELEMETRY = Suite(
    {"program.py": RUNS, "conftest.py": _HIDDEN % "opentelemetry", "test_late.py": _LATE}
)

_SPANS = f"""\
{_MARKER}
from concurrent.futures import ThreadPoolExecutor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

def span(name):
    return trace.get_tracer("test").start_as_current_span(name)

def provider_is_set():
    return isinstance(trace.get_tracer_provider(), TracerProvider)

def look_up():
    with span("look up"):
        pass

def test_does_not_ask(trace_capture):
    look_up()
    assert trace_capture.tree == ""
    assert not provider_is_set()

@single_trace(source="otel")
def test_asks():
    assert provider_is_set()
    look_up()

@single_trace(root="answer")
def test_split():
    with span("answer"), ThreadPoolExecutor(1, thread_name_prefix="pool") as threads:
        threads.submit(look_up).result()

@single_trace(source="langsmith")
def test_asks_for_what_is_not_installed():
    assert False, "not reached"
"""

WITHOUT_LANGSMITH = Suite({"conftest.py": _HIDDEN % "langsmith", "test_spans.py": _SPANS})

_SET = """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

def test_asks_late(request):
    capture = request.getfixturevalue("trace_capture")
    assert isinstance(trace.get_tracer_provider(), TracerProvider)
    with trace.get_tracer("test").start_as_current_span("span"):
        pass
    assert capture.sources == ("otel",)
    assert capture.tree == "span\\n"

def test_asks(trace_capture):
    assert trace_capture.sources == ("otel",)
"""

BY_INI = Suite({"test_set.py": _SET}, ini="ctxtrace_source = otel")

# A suite that knows nothing of the plugin, with a provider of its own.
_STRANGER = """\
import contextvars
import sys

variable = contextvars.ContextVar("variable", default="unset")

def test_no_hook_acts_on_tests(pytestconfig):
    for name in ("ctxtrace-tests", "ctxtrace-trees"):
        assert not pytestconfig.pluginmanager.has_plugin(name)

def test_nothing_is_imported():
    top = {name.partition(".")[0] for name in sys.modules}
    assert not top & {"anyio", "langchain_core", "langgraph", "langsmith", "opentelemetry"}
    assert not [name for name in sys.modules if name.startswith("ctxtrace.testing")]

def test_sets_a_variable():
    variable.set("set")

def test_next_sees_the_variable():
    assert variable.get() == "set"

def test_provider_and_exporter_are_its_own():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    with trace.get_tracer("test").start_as_current_span("span"):
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["span"]
    assert provider._active_span_processor._span_processors == (processor,)
    assert not [name for name in sys.modules if name.startswith("ctxtrace.testing")]
"""

UNUSED = Suite({"test_stranger.py": _STRANGER})


@pytest.fixture
def judged(request: pytest.FixtureRequest) -> Result:
    return JUDGED.run(request)


@pytest.fixture
def without_opentelemetry(request: pytest.FixtureRequest) -> Result:
    return WITHOUT_OPENTELEMETRY.run(request)


@pytest.fixture
def without_langsmith(request: pytest.FixtureRequest) -> Result:
    return WITHOUT_LANGSMITH.run(request)


@pytest.fixture
def unused(request: pytest.FixtureRequest) -> Result:
    return UNUSED.run(request)


# Several sources.


@pytest.mark.parametrize(
    "name",
    ["test_sdk_is_imported_and_no_provider_set", "test_provider_set_inside", "test_one_tree_each"],
)
def test_each_source_that_is_used_is_recorded_beside_the_programs_own_exporter(
    judged: Result, name: str
) -> None:
    assert judged[f"test_sources.py::{name}"].what == "passed"


def test_each_source_is_judged_by_itself(judged: Result) -> None:
    outcome = judged["test_only_the_spans_split"]
    assert outcome.what == "failed"
    said(outcome.text, "*2 traces, expected 1*otel*", "  one", "  other  ✗ split*")
    assert "look_up" not in outcome.text


def test_a_source_that_is_not_asked_for_is_not_judged(judged: Result) -> None:
    assert judged["test_only_the_runs_count"].what == "passed"


def test_each_source_that_is_asked_for_must_have_runs(judged: Result) -> None:
    outcome = judged["test_both_are_asked_for"]
    assert outcome.what == "failed"
    said(outcome.text, "*no run was recorded*otel*")


def test_asking_for_the_trace_of_two_sources_says_how_to_ask_for_one(judged: Result) -> None:
    outcome = judged["test_one_trace_of_two"]
    assert outcome.what == "failed"
    said(outcome.text, 'E*langsmith and otel have recorded a trace each*forest("otel")*')


# Not installed, not imported yet, not set.


def test_langsmith_imported_inside_the_test_is_recorded(without_opentelemetry: Result) -> None:
    assert without_opentelemetry["test_imported_inside"].what == "passed"


def test_without_opentelemetry_a_split_run_fails_the_test(without_opentelemetry: Result) -> None:
    outcome = without_opentelemetry["test_split"]
    assert outcome.what == "failed"
    said(outcome.text, "3 traces, expected 1", "  look_up  ✗ split (thread pool_0)")


def test_without_langsmith_a_split_span_fails_the_test(without_langsmith: Result) -> None:
    outcome = without_langsmith["test_split"]
    assert outcome.what == "failed"
    said(
        outcome.text,
        "2 traces, expected 1",
        "  answer",
        "  look up  ✗ split (thread pool_0)",
        "    should be below 'answer'",
    )


@pytest.mark.parametrize(
    ("suite", "source"), [(WITHOUT_OPENTELEMETRY, "otel"), (WITHOUT_LANGSMITH, "langsmith")]
)
def test_asking_for_a_source_that_is_not_installed_is_an_error_that_says_so(
    request: pytest.FixtureRequest, suite: Suite, source: str
) -> None:
    outcome = suite.run(request)["test_asks_for_what_is_not_installed"]
    assert outcome.what == "error"
    said(outcome.text, f'test_*.py:*: recording source="{source}" needs *not installed*')


def test_a_provider_is_set_for_a_test_that_asks_for_spans_and_finds_none(
    without_langsmith: Result,
) -> None:
    assert without_langsmith["test_asks"].what == "passed"


def test_control_no_provider_is_set_for_a_test_that_does_not_ask(
    without_langsmith: Result,
) -> None:
    assert without_langsmith["test_does_not_ask"].what == "passed"


@pytest.mark.parametrize("name", ["test_asks_late", "test_asks"])
def test_the_ini_file_says_the_source_where_the_test_does_not(
    request: pytest.FixtureRequest, name: str
) -> None:
    assert BY_INI.run(request)[name].what == "passed"


# A suite that does not use the plugin.


@pytest.mark.parametrize(
    "name",
    [
        "test_no_hook_acts_on_tests",
        "test_nothing_is_imported",
        "test_next_sees_the_variable",
        "test_provider_and_exporter_are_its_own",
    ],
)
def test_a_suite_that_does_not_use_the_plugin_is_left_alone(unused: Result, name: str) -> None:
    assert unused[name].what == "passed"
