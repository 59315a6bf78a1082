"""The pytest plugin beside those that run coroutines: pytest-asyncio in both modes, anyio's."""

from __future__ import annotations

import pytest
from core.inner_pytest import Result, Suite, said
from vendors.plugin_programs import SPANS
from vendors.plugin_suites import JUDGED

_IN_A_LOOP = """\
import asyncio
from contextvars import Context

import pytest
import pytest_asyncio
from program import OURS, async_answer, look_up, single_trace, span, with_each_pool

%(marker)s

@pytest%(asyncio)s.fixture
async def request_():
    with span("request"):
        yield

@single_trace
@with_each_pool
async def test_pool(pool):
    await async_answer(pool)

@single_trace
async def test_split_task():
    async def main():
        look_up()
    with span("answer"):
        await asyncio.create_task(main(), name="below")
    await asyncio.create_task(main(), name="beside")

@single_trace(root="request")
@with_each_pool
async def test_below_a_fixture(request_, pool):
    await async_answer(pool)

async def test_capture(request_, trace_capture):
    await async_answer(OURS)
    trace_capture.assert_nested("request > answer > look up")
"""

_ANYIO = """\
import anyio
import pytest
from program import OURS, STANDARD, answer, look_up, single_trace, span, with_each_pool

pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture
async def request_():
    with span("request"):
        yield

@single_trace
@with_each_pool
async def test_thread(pool, anyio_backend):
    await anyio.to_thread.run_sync(answer, pool)

@single_trace(root="request")
async def test_fixture(request_):
    with span("answer"):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, look_up)

@single_trace
async def test_split_task(anyio_backend):
    async def main():
        look_up()
    async with anyio.create_task_group() as group:
        group.start_soon(main, name="first")
        group.start_soon(main, name="second")
"""

LOOPS = Suite(
    {
        "program.py": SPANS,
        "test_strict.py": _IN_A_LOOP
        % {"marker": "pytestmark = pytest.mark.asyncio", "asyncio": "_asyncio"},
        "test_anyio.py": _ANYIO,
    },
    plugins=("ctxtrace", "asyncio", "anyio"),
    ini="asyncio_default_fixture_loop_scope = function",
)

AUTO = Suite(
    {"program.py": SPANS, "test_auto.py": _IN_A_LOOP % {"marker": "", "asyncio": ""}},
    "--asyncio-mode=auto",
    plugins=("ctxtrace", "asyncio"),
    ini="asyncio_default_fixture_loop_scope = function",
)


@pytest.fixture
def judged(request: pytest.FixtureRequest) -> Result:
    return JUDGED.run(request)


@pytest.fixture
def loops(request: pytest.FixtureRequest) -> Result:
    return LOOPS.run(request)


@pytest.fixture(params=["strict", "auto"])
def asyncio_suite(request: pytest.FixtureRequest) -> Result:
    """The same tests in both modes of pytest-asyncio."""
    return (LOOPS if request.param == "strict" else AUTO).run(request)


def test_a_coroutine_test_with_our_pool_passes_under_pytest_asyncio(asyncio_suite: Result) -> None:
    assert asyncio_suite["test_pool[ours]"].what == "passed"


def test_control_a_coroutine_test_with_a_standard_pool_fails_under_pytest_asyncio(
    asyncio_suite: Result,
) -> None:
    outcome = asyncio_suite["test_pool[standard]"]
    assert outcome.what == "failed"
    said(outcome.text, "  answer", "  look up  ✗ split (thread pool_0)")


def test_a_split_task_is_named(asyncio_suite: Result) -> None:
    outcome = asyncio_suite["test_split_task"]
    assert outcome.what == "failed"
    said(
        outcome.text,
        "  answer",
        "  └─ look up",
        "  look up  ✗ split (task beside)",
        "look up  split: started a trace of its own",
        "    thread MainThread, task beside, code at program.py:*",
    )


def test_below_the_span_of_an_async_fixture_the_test_is_one_tree(asyncio_suite: Result) -> None:
    assert asyncio_suite["test_below_a_fixture[ours]"].what == "passed"


def test_below_the_span_of_an_async_fixture_a_split_is_seen(asyncio_suite: Result) -> None:
    outcome = asyncio_suite["test_below_a_fixture[standard]"]
    assert outcome.what == "failed"
    said(outcome.text, "  request", "  └─ answer", "  look up  ✗ split (thread pool_0)")


def test_the_fixture_sees_what_a_coroutine_test_and_its_async_fixtures_record(
    asyncio_suite: Result,
) -> None:
    assert asyncio_suite["test_capture"].what == "passed"


def test_runs_of_traceable_coroutines_are_one_tree(judged: Result) -> None:
    assert judged["test_coroutines"].what == "passed"


@pytest.mark.parametrize("time", ["first", "second"])
def test_below_the_run_of_an_async_fixture_of_the_module_each_test_is_one_tree(
    judged: Result, time: str
) -> None:
    assert judged[f"test_fixture_of_the_module[{time}]"].what == "passed"


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_a_test_with_our_pool_passes_under_anyios_plugin(loops: Result, backend: str) -> None:
    assert loops[f"test_thread[{backend}-ours]"].what == "passed"


@BACKENDS
def test_control_a_test_with_a_standard_pool_fails_under_anyios_plugin(
    loops: Result, backend: str
) -> None:
    outcome = loops[f"test_thread[{backend}-standard]"]
    assert outcome.what == "failed"
    said(outcome.text, "  answer", "  look up  ✗ split (thread pool_0)")


@BACKENDS
def test_below_the_span_of_a_fixture_of_anyios_the_test_is_one_tree(
    loops: Result, backend: str
) -> None:
    assert loops[f"test_fixture[{backend}]"].what == "passed"


@BACKENDS
def test_a_split_task_of_anyios_is_named(loops: Result, backend: str) -> None:
    outcome = loops[f"test_split_task[{backend}]"]
    assert outcome.what == "failed"
    # trio starts tasks in any order.
    said(outcome.text, "  look up", "  look up  ✗ split (task *)")
