"""Programs that run something in a context that is not the caller's."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

import langsmith
from langsmith import traceable
from opentelemetry.trace import get_tracer
from vendors.corpus import loses, sound, tracing

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER: ContextVar[str] = ContextVar("user", default="nobody")


@loses("render_template")
def template_rendered_in_an_empty_context() -> None:
    """So that what a plugin sets does not stay set; nor does it see the trace, then."""

    @traceable
    def render_template(name: str) -> str:
        return f"<{name}>"

    @traceable
    def page() -> str:
        context = contextvars.Context()
        return context.run(render_template, "home")  # lost: render_template

    assert page() == "<home>"


@loses("plugin")
def plugins_isolated_from_each_other() -> None:
    def plugin(name: str) -> str:
        USER.set(name)
        with get_tracer("host").start_as_current_span("plugin"):
            return USER.get()

    def isolated(call: Callable[[str], str], name: str) -> str:
        return contextvars.Context().run(call, name)  # lost: plugin

    with get_tracer("host").start_as_current_span("host"):
        assert [isolated(plugin, name) for name in ("a", "b")] == ["a", "b"]
    assert USER.get() == "nobody"


@loses("count_tokens", how="missing")
def tracing_turned_on_lost_in_an_empty_context() -> None:
    @traceable
    def count_tokens(text: str) -> int:
        return len(text.split())

    with tracing(), langsmith.trace("request"):
        empty = contextvars.Context()
        assert empty.run(count_tokens, "two words") == 2  # lost: count_tokens


@loses("lookup")
def tool_wrapped_where_it_is_defined() -> None:
    """The decorator runs when the module is imported: it has captured that no run is current."""

    @ctxtrace.wrap  # lost: lookup
    @traceable
    def lookup(key: str) -> str:
        return key

    with langsmith.trace("request"), ctxtrace.ThreadPoolExecutor(1) as pool:
        assert pool.submit(lookup, "a").result() == "a"


@loses("save order")
def coroutine_function_wrapped_where_it_is_defined() -> None:
    @ctxtrace.wrap  # lost: save order
    async def save(order: int) -> int:
        with get_tracer("shop").start_as_current_span("save order"):
            await asyncio.sleep(0)
        return order

    async def checkout() -> None:
        with get_tracer("shop").start_as_current_span("checkout"):
            assert await save(7) == 7

    asyncio.run(checkout())


@loses("on_message")
def handlers_wrapped_when_they_are_registered() -> None:
    """A framework's registry that wraps, at import, what it is to call much later."""
    handlers: dict[str, Callable[[str], str]] = {}

    def on(event: str) -> Callable[[Callable[[str], str]], Callable[[str], str]]:
        def register(handler: Callable[[str], str]) -> Callable[[str], str]:
            handlers[event] = ctxtrace.wrap(handler)  # lost: on_message
            return handler

        return register

    @on("message")
    @traceable
    def on_message(text: str) -> str:
        return text.upper()

    @traceable
    def update(event: str, text: str) -> str:
        return handlers[event](text)

    assert update("message", "hi") == "HI"


# Sound: the twins, repaired.


@sound
def template_rendered_in_a_copy() -> None:
    @traceable
    def render_template(name: str) -> str:
        USER.set(name)
        return f"<{name}>"

    @traceable
    def page() -> str:
        return contextvars.copy_context().run(render_template, "home")

    assert page() == "<home>"
    assert USER.get() == "nobody"


@sound
def function_wrapped_where_it_is_called() -> None:
    @traceable
    def lookup(key: str) -> str:
        return key

    with langsmith.trace("request"):
        results: list[str] = []
        call = ctxtrace.wrap(lookup)
        thread = threading.Thread(target=lambda: results.append(call("a")))
        thread.start()
        thread.join()
    assert results == ["a"]


@sound
def snapshot_taken_in_the_request_and_run_after_it() -> None:
    @traceable
    def clean_up() -> None:
        pass

    snapshots: list[ctxtrace.Snapshot] = []
    with langsmith.trace("request"):
        snapshots.append(ctxtrace.capture())
    # LangSmith's run is over, and held for what is to come.
    snapshots.pop().run(clean_up)


@sound
def coroutine_driven_in_the_context_of_its_request() -> None:
    async def save() -> None:
        with get_tracer("shop").start_as_current_span("save"):
            await asyncio.sleep(0)

    async def main() -> None:
        with get_tracer("shop").start_as_current_span("checkout"):
            snapshot = ctxtrace.capture()
        await snapshot.drive(save())

    asyncio.run(main())


# Sound: what only looks like a loss.


@sound
def empty_context_for_what_starts_no_run() -> None:
    with get_tracer("host").start_as_current_span("host"):
        assert contextvars.Context().run(USER.get) == "nobody"


@sound(roots=2)
def empty_context_outside_of_any_run() -> None:
    @traceable
    def job(number: int) -> int:
        return number

    assert [contextvars.Context().run(job, number) for number in (1, 2)] == [1, 2]


@sound(roots=2)
def work_detached_from_its_request() -> None:
    def heartbeat() -> None:
        with get_tracer("worker").start_as_current_span("heartbeat"):
            pass

    with get_tracer("worker").start_as_current_span("job"), ctxtrace.detached():
        heartbeat()


@sound(roots=3)
def independent_runs_one_after_the_other() -> None:
    @traceable
    def step(number: int) -> int:
        return number

    assert [step(number) for number in range(3)] == [0, 1, 2]


@sound(roots=2)
def wrapped_at_import_and_called_by_nobody_in_a_run() -> None:
    @ctxtrace.wrap
    @traceable
    def nightly(day: str) -> str:
        return day

    assert [nightly(day) for day in ("Monday", "Tuesday")] == ["Monday", "Tuesday"]


@sound
def tracing_turned_off_for_a_part() -> None:
    """What holds a secret is not to be traced: a block turns LangSmith off."""

    @traceable
    def check_password() -> bool:
        return True

    @traceable
    def login() -> bool:
        with langsmith.tracing_context(enabled=False):
            return check_password()

    assert login()


@sound
def nothing_but_context_managers() -> None:
    @contextlib.contextmanager
    def transaction() -> Iterator[str]:
        with get_tracer("db").start_as_current_span("transaction"):
            yield "cursor"

    with get_tracer("api").start_as_current_span("POST /orders"), transaction() as cursor:
        span = get_tracer("db").start_span("insert")
        assert cursor == "cursor"
        span.end()
