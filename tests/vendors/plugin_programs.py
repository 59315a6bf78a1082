"""What the suites of the plugin test: look-ups in a pool, whichever the test names."""

from __future__ import annotations

# Two look-ups.
RUNS = """\
import concurrent.futures
import ctxtrace
from langsmith import traceable

OURS = ctxtrace.ThreadPoolExecutor
STANDARD = concurrent.futures.ThreadPoolExecutor

@traceable
def look_up(key):
    return key

@traceable
def answer(pool):
    with pool(1, thread_name_prefix="pool") as threads:
        return list(threads.map(look_up, "ab"))
"""

# One look-up, and a provider that the program sets.
SPANS = """\
import asyncio
import concurrent.futures
import ctxtrace
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
OURS = ctxtrace.ThreadPoolExecutor
STANDARD = concurrent.futures.ThreadPoolExecutor
with_each_pool = pytest.mark.parametrize("pool", [OURS, STANDARD], ids=["ours", "standard"])
single_trace = pytest.mark.single_trace

def span(name):
    return trace.get_tracer("test").start_as_current_span(name)

def look_up():
    with span("look up"):
        pass

def answer(pool):
    with span("answer"), pool(1, thread_name_prefix="pool") as threads:
        threads.submit(look_up).result()

async def async_answer(pool):
    with span("answer"), pool(1, thread_name_prefix="pool") as threads:
        await asyncio.wrap_future(threads.submit(look_up))
"""
