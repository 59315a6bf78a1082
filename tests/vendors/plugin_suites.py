"""The suites that the tests of the plugin run, on real tracers."""

from __future__ import annotations

from core.inner_pytest import Suite
from vendors.plugin_around import AROUND, AROUND_ARGUMENTS
from vendors.plugin_programs import RUNS

_MARKED = """\
import pytest
from langsmith import Client, RunTree, run_trees, utils
from program import OURS, STANDARD, answer, look_up

single_trace = pytest.mark.single_trace

def test_unmarked():
    answer(STANDARD)

@single_trace
def test_whole():
    answer(OURS)

def is_observed():
    return "diagnosis" in STANDARD.submit.__code__.co_filename

def test_nothing_is_patched():
    assert not is_observed()

def test_something_is_patched(trace_capture):
    assert is_observed()

def test_unmarked_beside_marked_ones():
    answer(STANDARD)
    assert not utils.tracing_is_enabled()
    assert utils.get_env_var.__name__ == "get_env_var"
    assert run_trees._CLIENT is None
    # What stands in for a method has it behind it.
    assert not hasattr(Client.create_run, "__wrapped__")

@single_trace
def test_split():
    answer(STANDARD)

@single_trace(root="answer")
def test_split_from_a_named_root():
    answer(STANDARD)

@single_trace
def test_own_error():
    answer(STANDARD)
    assert 1 + 1 == 3, "arithmetic"

@single_trace
def test_skips_itself():
    answer(STANDARD)
    pytest.skip("not today")

@pytest.mark.xfail(strict=True)
@single_trace
def test_expected_to_split():
    answer(STANDARD)

@single_trace
def test_no_run():
    pass

@single_trace
def test_unfinished():
    RunTree(name="endless").post()

@single_trace
def test_orphan():
    child = RunTree(name="never posted").create_child("child")
    child.post()
    child.end()
    child.patch()

@single_trace(runs=["answer", "rerank", "look_up"])
def test_missing():
    answer(OURS)

@single_trace("answer", runs="look_up")
def test_run_is_there():
    answer(OURS)

@single_trace(root="agent")
def test_other_root():
    answer(OURS)

@single_trace(roots=2)
def test_two_of_two_roots():
    look_up("a")
    look_up("b")

@single_trace(roots=2)
def test_one_of_two_roots():
    look_up("a")

@single_trace(False)
def test_opts_out():
    answer(STANDARD)

@single_trace(roots=2)
class TestMarked:
    def test_of_the_class(self):
        answer(OURS)
        answer(OURS)

    @single_trace(root="answer")
    def test_of_its_own(self):
        answer(OURS)
        answer(OURS)

    @single_trace(False)
    def test_out_of_the_class(self):
        pass

@single_trace
@pytest.mark.parametrize("pool", [
    pytest.param(OURS, id="ours"),
    pytest.param(STANDARD, id="standard"),
])
def test_parameters(pool):
    answer(pool)
"""

_FIXTURE = """\
import pytest
from program import OURS, STANDARD, answer, look_up

def test_trace(trace_capture):
    answer(OURS)
    assert trace_capture.trace.root.name == "answer"
    assert [trace.root.name for trace in trace_capture.traces] == ["answer"]
    assert trace_capture.tree == "answer\\n└─ look_up x 2\\n"
    trace_capture.assert_single_trace("answer", runs=["look_up"])
    trace_capture.assert_nested("answer > look_up")
    trace_capture.assert_nested(["answer", "look_up"])
    assert trace_capture.trace == "answer\\n  look_up x 2"
    assert trace_capture.forest() == {"answer": "look_up x 2"}

def test_is_recorded_and_not_judged(trace_capture):
    answer(STANDARD)
    assert len(trace_capture.traces) == 3

def test_trace_of_several(trace_capture):
    answer(STANDARD)
    trace_capture.trace

def test_single_trace(trace_capture):
    answer(STANDARD)
    trace_capture.assert_single_trace("answer")

def test_nested(trace_capture):
    answer(STANDARD)
    trace_capture.assert_nested("answer > look_up")

def test_nested_in_nothing(trace_capture):
    trace_capture.assert_nested("answer")

def test_drawing(trace_capture):
    answer(STANDARD)
    assert trace_capture.forest() == '''
        answer
          look_up x 2
    '''

def test_drawing_on_the_left(trace_capture):
    answer(OURS)
    assert "answer\\n  rerank" == trace_capture.forest()

def test_drawing_that_cannot_be_read(trace_capture):
    answer(OURS)
    assert trace_capture.forest() == '''
        answer
            look_up
          rerank
    '''

def test_asked_for_late(request):
    capture = request.getfixturevalue("trace_capture")
    answer(OURS)
    capture.assert_single_trace("answer")

@pytest.mark.single_trace
def test_asked_for_late_and_marked(request):
    look_up("before")
    assert request.getfixturevalue("trace_capture").tree == "look_up\\n"

"""

_SOURCES = """\
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from program import OURS, answer, look_up

single_trace = pytest.mark.single_trace
exporter = InMemorySpanExporter()

def span(name):
    return trace.get_tracer("test").start_as_current_span(name)

def two_spans():
    with span("one"):
        pass
    with span("other"):
        pass

@single_trace
def test_sdk_is_imported_and_no_provider_set():
    look_up("a")
    two_spans()
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)

def test_provider_set_inside(trace_capture):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    two_spans()
    assert trace_capture.tree == "one\\nother\\n"
    assert [span.name for span in exporter.get_finished_spans()] == ["one", "other"]

@single_trace
def test_one_tree_each():
    with span("outer"):
        answer(OURS)

@single_trace
def test_only_the_spans_split():
    answer(OURS)
    two_spans()

@single_trace(source="langsmith")
def test_only_the_runs_count():
    answer(OURS)
    two_spans()

@single_trace(source=["langsmith", "otel"])
def test_both_are_asked_for():
    answer(OURS)

def test_one_trace_of_two(trace_capture):
    with span("outer"):
        answer(OURS)
    assert trace_capture.forest("otel").tree == "outer\\n"
    trace_capture.trace
"""

_GRAPH = """\
import pytest
from langgraph.graph import END, START, StateGraph
from program import OURS, STANDARD, answer
from typing_extensions import TypedDict

@pytest.mark.single_trace(root="LangGraph", runs=["node", "answer", "look_up"])
@pytest.mark.parametrize("pool", [OURS, STANDARD], ids=["ours", "standard"])
def test_graph(pool):
    def node(state):
        return {"keys": answer(pool)}
    graph = StateGraph(TypedDict("State", {"keys": list}))
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    graph.compile().invoke({"keys": []})
"""

JUDGED = Suite(
    {
        "program.py": RUNS,
        "test_marked.py": _MARKED,
        "test_fixture.py": _FIXTURE,
        "test_sources.py": _SOURCES,
        "test_graph.py": _GRAPH,
        **AROUND,
    },
    "test_marked.py",
    "test_fixture.py",
    "test_sources.py",
    "test_graph.py",
    *AROUND_ARGUMENTS,
    plugins=None,
    # Where it is installed it asks to be told, with a warning.
    ini="asyncio_default_fixture_loop_scope = function",
)
