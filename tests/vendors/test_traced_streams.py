"""The run of a traced stream: a LangSmith run, an OpenTelemetry span, both, or neither."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import subprocess
import sys
import textwrap
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import langsmith
import pytest
from langchain_core.messages import AIMessageChunk
from langsmith import run_helpers
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from vendors.crossings import LIMIT
from vendors.spans import no_provider_set

import ctxtrace
from ctxtrace import traced_stream
from ctxtrace.testing import Forest
from ctxtrace.testing._forest import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class _Recording(langsmith.Client):
    """Keeps what each run was sent with."""

    def __init__(self, runs: dict[str, dict[str, Any]]) -> None:
        super().__init__(
            api_url="http://localhost", api_key="test", auto_batch_tracing=False, info={}
        )
        self._runs = runs

    def create_run(self, name: str, inputs: Any, run_type: str, **more: Any) -> None:
        known = {"name": name, "inputs": inputs, "run_type": run_type, **more}
        self._runs.setdefault(str(more["id"]), {}).update(known)

    def update_run(self, run_id: Any, **more: Any) -> None:
        told = {key: value for key, value in more.items() if value is not None}
        self._runs.setdefault(str(run_id), {}).update(told)


class Runs:
    """What LangSmith was told, seen as `Spans` are."""

    def __init__(self, runs: dict[str, dict[str, Any]]) -> None:
        self._runs = runs

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        return langsmith.traceable(name=name)(work)()

    def current(self) -> object:
        return run_helpers.get_current_run_tree()

    def shape(self) -> list[Any]:
        return Forest.from_records(
            Record(
                id=key,
                parent_id=str(run["parent_run_id"]) if run.get("parent_run_id") else None,
                name=run["name"],
                start=run["start_time"].timestamp(),
            )
            for key, run in self._runs.items()
        ).shape

    def all_ended(self) -> bool:
        return all(run.get("end_time") for run in self._runs.values())

    def one(self, name: str = "stream") -> dict[str, Any]:
        (run,) = [run for run in self._runs.values() if run["name"] == name]
        return run

    def said(self, name: str = "stream") -> dict[str, Any]:
        """What ctxtrace says of the stream, without the common prefix."""
        return _ours(self.one(name)["extra"]["metadata"])

    def error(self, name: str = "stream") -> str | None:
        return self.one(name).get("error")


class Spans:
    """What OpenTelemetry's exporter got. All of them have ended."""

    def __init__(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        self._tracer = provider.get_tracer("tests")
        self._exporter = exporter

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        with self._tracer.start_as_current_span(name):
            return work()

    def current(self) -> object:
        span = otel.get_current_span()
        return None if span is otel.INVALID_SPAN else span

    def shape(self) -> list[Any]:
        return Forest.from_records(
            Record(
                id=str(span.context.span_id),
                parent_id=None if span.parent is None else str(span.parent.span_id),
                name=span.name,
                start=float(span.start_time),
            )
            for span in self._exporter.get_finished_spans()
        ).shape

    def all_ended(self) -> bool:
        return all(span.end_time for span in self._exporter.get_finished_spans())

    def one(self, name: str = "stream") -> Any:
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span

    def said(self, name: str = "stream") -> dict[str, Any]:
        said = _ours(self.one(name).attributes)
        del said["run_type"]
        return said

    def error(self, name: str = "stream") -> str | None:
        return self.one(name).status.description


def _ours(attributes: Any) -> dict[str, Any]:
    prefix = "ctxtrace.stream."
    return {k[len(prefix) :]: v for k, v in attributes.items() if k.startswith(prefix)}


@pytest.fixture(autouse=True)
def _logs_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


@pytest.fixture
def runs() -> Iterator[Runs]:
    known: dict[str, dict[str, Any]] = {}
    with langsmith.tracing_context(enabled=True, client=_Recording(known)):
        yield Runs(known)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    # The global provider could be set once in this process, so that what asks for it is.
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(otel, "get_tracer_provider", lambda: provider)
    monkeypatch.delenv(CONTENT, raising=False)
    yield Spans(provider, exporter)
    provider.shutdown()


@pytest.fixture(params=["runs", "spans"])
def seen(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def nothing() -> None:
    pass


# Streams of each kind, all named "stream"; each starts a child before its first chunk and when
# it is closed. What is open is open in the stream only.


def generator(seen: Any) -> Any:
    @traced_stream
    def stream() -> Iterator[str]:
        try:
            seen.call("child", nothing)
            yield "yes"
            yield "no"
        finally:
            seen.call("end", nothing)

    return stream


def async_generator(seen: Any) -> Any:
    @traced_stream
    async def stream() -> AsyncIterator[str]:
        try:
            seen.call("child", nothing)
            yield "yes"
            await asyncio.sleep(0)
            yield "no"
        finally:
            seen.call("end", nothing)

    return stream


WHOLE = [("outer", [("stream", [("child", []), ("end", [])])])]


def consume(make: Any, taken: int | None = None) -> list[Any]:
    """Take so many chunks of a stream of any kind, or all, and close it."""

    async def main() -> list[Any]:
        stream = make()
        if not hasattr(stream, "__anext__"):
            stream = await stream
        chunks = []
        while taken is None or len(chunks) < taken:
            try:
                chunks.append(await stream.__anext__())
            except StopAsyncIteration:
                break
        if hasattr(stream, "aclose"):
            await stream.aclose()
        return chunks

    def sync() -> list[Any]:
        stream = make()
        chunks = [next(stream) for _ in range(taken)] if taken else list(stream)
        stream.close()
        return chunks

    return asyncio.run(main()) if make.is_async else sync()


class InOuter:
    """Makes a stream inside the run "outer", which ends before the first step."""

    def __init__(self, seen: Any, make: Callable[[], Any]) -> None:
        self.seen, self.make = seen, make
        self.is_async = inspect.isasyncgenfunction(make) or inspect.iscoroutinefunction(make)

    def __call__(self) -> Any:
        made: list[Any] = []
        self.seen.call("outer", lambda: made.append(self.make()))
        gc.collect()
        return made.pop()


KINDS = pytest.mark.parametrize("kind", [generator, async_generator], ids=lambda f: f.__name__)


@KINDS
def test_an_exhausted_stream_has_a_run_under_its_callers_with_its_children_below(
    seen: Any, kind: Any
) -> None:
    assert consume(InOuter(seen, kind(seen))) == ["yes", "no"]
    assert seen.shape() == WHOLE
    assert seen.said() == {"chunks": 2, "closed_early": False}
    assert seen.error() is None
    assert seen.all_ended()
    assert seen.current() is None


@KINDS
def test_a_stream_that_is_closed_early_ends_its_run_without_an_error(seen: Any, kind: Any) -> None:
    assert consume(InOuter(seen, kind(seen)), 1) == ["yes"]
    assert seen.shape() == WHOLE
    assert seen.said() == {"chunks": 1, "closed_early": True}
    assert seen.error() is None
    assert seen.all_ended()


def test_a_dropped_stream_ends_its_run_at_once(seen: Any) -> None:
    stream = InOuter(seen, generator(seen))()
    assert next(stream) == "yes"
    del stream
    assert seen.shape() == WHOLE
    assert seen.said() == {"chunks": 1, "closed_early": True}
    assert seen.error() is None


def test_an_async_stream_that_is_left_to_the_loop_ends_its_run(seen: Any) -> None:
    make = InOuter(seen, async_generator(seen))
    kept = []

    async def main() -> None:
        kept.append(make())
        assert await kept[0].__anext__() == "yes"

    asyncio.run(main())
    assert seen.shape() == WHOLE
    assert seen.said() == {"chunks": 1, "closed_early": True}
    assert seen.error() is None


def test_a_stream_whose_task_is_cancelled_ends_its_run_without_an_error(seen: Any) -> None:
    @traced_stream
    async def stream() -> AsyncIterator[str]:
        yield "yes"
        await asyncio.Event().wait()

    async def main() -> None:
        chunks = stream()
        assert await chunks.__anext__() == "yes"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(chunks.__anext__(), 0.01)

    asyncio.run(main())
    assert seen.shape() == [("stream", [])]
    assert seen.said() == {"chunks": 1, "closed_early": True}
    assert seen.error() is None


def failing(seen: Any) -> Any:
    @traced_stream
    def stream() -> Iterator[str]:
        yield "yes"
        raise KeyError("on purpose")

    return stream


def async_failing(seen: Any) -> Any:
    @traced_stream
    async def stream() -> AsyncIterator[str]:
        yield "yes"
        raise KeyError("on purpose")

    return stream


FAILING = pytest.mark.parametrize("kind", [failing, async_failing], ids=lambda f: f.__name__)


@FAILING
def test_a_stream_that_fails_has_its_error_on_its_run(seen: Any, kind: Any) -> None:
    with pytest.raises(KeyError, match="on purpose"):
        consume(InOuter(seen, kind(seen)))
    assert seen.said() == {"chunks": 1, "closed_early": False}
    assert "KeyError" in seen.error()
    assert seen.shape() == [("outer", [("stream", [])])]


@FAILING
def test_a_stream_that_fails_keeps_its_output_until_then(runs: Runs, kind: Any) -> None:
    with pytest.raises(KeyError):
        consume(InOuter(runs, kind(runs)))
    assert runs.one()["outputs"] == {"output": "yes"}


@FAILING
def test_a_span_of_a_stream_that_fails_has_the_exception(spans: Spans, kind: Any) -> None:
    with pytest.raises(KeyError):
        consume(InOuter(spans, kind(spans)))
    (event,) = spans.one().events
    assert (event.name, event.attributes["exception.type"]) == ("exception", "KeyError")
    assert spans.one().status.status_code is otel.StatusCode.ERROR


class Client:
    """The stream object of a client library."""

    def __init__(self, chunks: list[str]) -> None:
        self._chunks = iter(chunks)

    def __iter__(self) -> Client:
        return self

    def __next__(self) -> str:
        return next(self._chunks)

    def close(self) -> None:
        self._chunks = iter([])


def test_a_clients_stream_that_is_never_closed_ends_its_run_when_it_is_collected(
    seen: Any,
) -> None:
    @traced_stream
    def stream() -> Client:
        return Client(["yes", "no"])

    chunks = stream()
    assert next(chunks) == "yes"
    del chunks
    gc.collect()
    assert seen.shape() == [("stream", [])]
    assert seen.said() == {"chunks": 1, "closed_early": True}
    assert seen.error() is None


def test_a_clients_stream_that_is_closed_early_ends_its_run(seen: Any) -> None:
    @traced_stream
    def stream() -> Client:
        return Client(["yes", "no"])

    chunks = stream()
    assert next(chunks) == "yes"
    chunks.close()
    assert seen.said() == {"chunks": 1, "closed_early": True}


@KINDS
def test_a_generator_that_is_never_started_opens_no_run(seen: Any, kind: Any) -> None:
    kind(seen)()
    gc.collect()
    assert seen.shape() == []


# The kinds of functions.


def test_what_a_plain_function_starts_during_the_call_is_under_the_run(seen: Any) -> None:
    @traced_stream
    def stream() -> Iterator[str]:
        seen.call("child", nothing)
        return map(str.upper, step())

    def step() -> Iterator[str]:
        seen.call("step", nothing)
        yield "yes"

    assert list(seen.call("outer", stream)) == ["YES"]
    assert seen.shape() == [("outer", [("stream", [("child", []), ("step", [])])])]
    assert seen.said() == {"chunks": 1, "closed_early": False}


def test_what_a_coroutine_function_starts_before_it_returns_is_under_the_run(seen: Any) -> None:
    async def chunks() -> AsyncIterator[str]:
        seen.call("step", nothing)
        yield "yes"

    @traced_stream
    async def stream() -> AsyncIterator[str]:
        seen.call("child", nothing)
        await asyncio.sleep(0)
        return chunks()

    assert consume(InOuter(seen, stream)) == ["yes"]
    assert seen.shape() == [("outer", [("stream", [("child", []), ("step", [])])])]
    assert seen.said() == {"chunks": 1, "closed_early": False}
    assert seen.all_ended()


def test_a_bare_iterator_has_a_run_of_its_own(seen: Any) -> None:
    def chunks() -> Iterator[str]:
        seen.call("step", nothing)
        yield "yes"

    made = seen.call("outer", lambda: [traced_stream(chunks(), name="stream")])
    assert list(made[0]) == ["yes"]
    assert seen.shape() == [("outer", [("stream", [("step", [])])])]


def test_a_function_that_fails_at_the_call_has_its_error_on_its_run(seen: Any) -> None:
    @traced_stream
    def stream() -> Iterator[str]:
        raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        stream()
    assert "KeyError" in seen.error()


# With both, and with neither.


def test_with_both_tracers_each_has_the_stream_and_its_children(runs: Runs, spans: Spans) -> None:
    @traced_stream
    def stream() -> Iterator[str]:
        runs.call("child", nothing)
        yield "yes"
        spans.call("child", nothing)

    assert list(stream()) == ["yes"]
    assert runs.shape() == [("stream", [("child", [])])]
    assert spans.shape() == [("stream", [("child", [])])]


def test_with_neither_tracer_a_stream_is_what_it_was_and_nothing_is_current(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @traced_stream
    def stream() -> Iterator[Any]:
        yield run_helpers.get_current_run_tree()
        yield otel.get_current_span()

    with no_provider_set(monkeypatch), langsmith.tracing_context(enabled=False):
        assert list(stream()) == [None, otel.INVALID_SPAN]


def test_a_run_is_open_in_the_stream_and_nowhere_else(runs: Runs, spans: Spans) -> None:
    @traced_stream
    def stream() -> Iterator[Any]:
        yield runs.current(), spans.current()

    inside: list[Any] = []
    for current in stream():
        assert (runs.current(), spans.current()) == (None, None)
        inside.append(current)
    assert (runs.current(), spans.current()) == (None, None)
    ((run, span),) = inside
    assert (run.name, span.name) == ("stream", "stream")


# What is recorded.


def test_the_first_chunk_is_an_event_of_the_run(runs: Runs) -> None:
    assert list(generator(runs)()) == ["yes", "no"]
    (event,) = runs.one()["events"]
    assert event["name"] == "new_token"
    assert datetime.fromisoformat(event["time"]) >= runs.one()["start_time"]


def test_the_first_chunk_comes_before_the_end_of_the_run(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = run_helpers.trace

    def slow(*args: Any, **kwargs: Any) -> Any:
        until = time.perf_counter() + 0.02  # as long as the first import of LangSmith, or longer
        while time.perf_counter() < until:
            pass
        return begin(*args, **kwargs)

    monkeypatch.setattr(run_helpers, "trace", slow)
    assert list(generator(runs)()) == ["yes", "no"]
    (event,) = runs.one()["events"]
    assert datetime.fromisoformat(event["time"]) <= runs.one()["end_time"]


def test_the_time_to_the_first_chunk_is_an_attribute_of_the_span(spans: Spans) -> None:
    assert list(generator(spans)()) == ["yes", "no"]
    after = spans.one().attributes["gen_ai.response.time_to_first_chunk"]
    assert type(after) is float
    assert after >= 0


def test_a_stream_without_a_chunk_has_no_time_to_the_first(runs: Runs, spans: Spans) -> None:
    @traced_stream
    def stream() -> Iterator[str]:
        yield from ()

    assert list(stream()) == []
    assert not runs.one().get("events")
    assert "gen_ai.response.time_to_first_chunk" not in spans.one().attributes


def outputs_of(runs: Runs, chunks: list[Any], **options: Any) -> Any:
    @traced_stream(**options)
    def stream() -> Iterator[Any]:
        yield from chunks

    assert list(stream()) == chunks
    return runs.one().get("outputs")


def test_strings_are_joined(runs: Runs) -> None:
    assert outputs_of(runs, ["yes", "no"]) == {"output": "yesno"}


def test_message_chunks_are_added(runs: Runs) -> None:
    chunks = [AIMessageChunk("yes"), AIMessageChunk(" and "), AIMessageChunk("no")]
    output = outputs_of(runs, chunks)["output"]
    content = output.content if isinstance(output, AIMessageChunk) else output["content"]
    assert content == "yes and no"


def test_other_chunks_are_listed(runs: Runs) -> None:
    assert outputs_of(runs, [1, "no"]) == {"output": [1, "no"]}


def test_reduce_makes_the_output(runs: Runs) -> None:
    assert outputs_of(runs, [1, 2], reduce=sum) == {"output": 3}


def test_a_dict_from_reduce_is_the_output_as_it_is(runs: Runs) -> None:
    assert outputs_of(runs, [1, 2], reduce=lambda chunks: {"n": len(chunks)}) == {"n": 2}


def test_a_reduce_that_fails_leaves_the_stream_and_the_list_and_is_logged_once(
    runs: Runs, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_to_reduce(chunks: list[Any]) -> Any:
        raise LookupError("on purpose")

    @traced_stream(reduce=fail_to_reduce, name="reduced")
    def stream() -> Iterator[int]:
        yield 1
        yield 2

    assert list(stream()) == [1, 2]
    (record,) = caplog.records
    assert "the reduce of traced_stream 'reduced' failed" in record.getMessage()
    caplog.clear()
    assert runs.one("reduced")["outputs"] == {"output": [1, 2]}
    assert "LookupError" in runs.said("reduced")["reduce_error"]
    assert spans.said("reduced")["reduce_error"] == "LookupError"
    assert runs.error("reduced") is None


def test_without_record_neither_inputs_nor_outputs_are_recorded(
    runs: Runs, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "true")

    @traced_stream(record=False)
    def stream(secret: str) -> Iterator[str]:
        yield secret

    assert list(stream("hidden")) == ["hidden"]
    assert "hidden" not in repr(runs.one())
    assert "hidden" not in repr(dict(spans.one().attributes))
    assert not runs.one().get("inputs")
    assert not runs.one().get("outputs")
    assert runs.said() == {"chunks": 1, "closed_early": False}


def test_the_first_chunks_are_kept_and_all_are_counted(runs: Runs) -> None:
    assert outputs_of(runs, ["a", "b", "c"], max_chunks=2) == {"output": "ab"}
    assert runs.said() == {"chunks": 3, "chunks_kept": 2, "closed_early": False}


def test_inputs_are_the_arguments_by_name(runs: Runs) -> None:
    @traced_stream
    def stream(first: int, *rest: int, last: int = 0, **more: int) -> Iterator[str]:
        yield "yes"

    assert list(stream(1, 2, 3, last=4, five=5)) == ["yes"]
    assert runs.one()["inputs"] == {"first": 1, "rest": (2, 3), "last": 4, "more": {"five": 5}}


def test_inputs_of_a_method_are_without_self(runs: Runs) -> None:
    class Model:
        @traced_stream
        def stream(self, question: str) -> Iterator[str]:
            yield question

    assert list(Model().stream("?")) == ["?"]
    assert runs.one()["inputs"] == {"question": "?"}


def test_inputs_of_a_class_method_are_without_its_class(runs: Runs) -> None:
    class Model:
        @traced_stream
        @classmethod
        def stream(cls, question: str) -> Iterator[str]:
            yield question

    assert list(Model.stream("?")) == ["?"]
    assert runs.one()["inputs"] == {"question": "?"}


def test_inputs_are_without_the_class_also_below_classmethod(runs: Runs) -> None:
    class Model:
        @classmethod
        @traced_stream
        def stream(cls, question: str) -> Iterator[str]:
            yield question

    assert list(Model.stream("?")) == ["?"]
    assert runs.one()["inputs"] == {"question": "?"}


def test_the_kind_of_run_and_its_name_are_as_given(runs: Runs, spans: Spans) -> None:
    @traced_stream(name="tokens", run_type="llm")
    def stream() -> Iterator[str]:
        yield "yes"

    assert list(stream()) == ["yes"]
    assert runs.one("tokens")["run_type"] == "llm"
    assert spans.one("tokens").attributes["ctxtrace.stream.run_type"] == "llm"


@pytest.mark.parametrize("value", [None, "", "false", "NO_CONTENT", "EVENT_ONLY"])
def test_a_span_has_no_content_unless_that_is_wanted(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv(CONTENT, value)

    @traced_stream
    def stream(question: str) -> Iterator[str]:
        yield "answer"

    assert list(stream("question")) == ["answer"]
    attributes = dict(spans.one().attributes)
    assert sorted(attributes) == [
        "ctxtrace.stream.chunks",
        "ctxtrace.stream.closed_early",
        "ctxtrace.stream.run_type",
        "gen_ai.response.time_to_first_chunk",
    ]


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY", "SPAN_AND_EVENT", "span_only"])
def test_a_span_has_the_output_and_no_inputs_where_content_is_wanted(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CONTENT, value)

    @traced_stream
    def stream(question: str) -> Iterator[str]:
        yield "yes"
        yield "no"

    assert list(stream("question")) == ["yes", "no"]
    attributes = dict(spans.one().attributes)
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "yesno"}],
            "finish_reason": "stop",
        }
    ]
    assert "question" not in repr(attributes)


# A program that never imports LangSmith itself.

PROGRAM = """
    import sys
    import ctxtrace

    assert not any(name.startswith("langsmith") for name in sys.modules)

    @ctxtrace.traced_stream
    def stream():
        yield "yes"

    decorated = "langsmith.run_helpers" in sys.modules
    if decorated:
        from langsmith import Client, run_trees

        class Nowhere(Client):
            def create_run(self, name, *args, **kwargs):
                print("created", name)

            def update_run(self, *args, **kwargs):
                print("ended", kwargs["outputs"])

        run_trees._CLIENT = Nowhere(
            api_url="http://localhost", api_key="test", auto_batch_tracing=False, info={}
        )
    assert list(stream()) == ["yes"]
    print("imported", decorated, "langsmith" in sys.modules)
"""


def run_program(**environment: str) -> list[str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGSMITH_", "LANGCHAIN_"))
    }
    own["PYTHONPATH"] = os.path.dirname(os.path.dirname(ctxtrace.__file__))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"])
def test_a_program_whose_environment_wants_langsmith_gets_it_with_the_decorator(name: str) -> None:
    assert run_program(**{name: "true"}) == [
        "created stream",
        "ended {'output': 'yes'}",
        "imported True True",
    ]


def test_a_program_whose_environment_does_not_want_langsmith_does_not_import_it() -> None:
    assert run_program() == ["imported False False"]
