"""Pools: what a submitted call costs, in time and, while it waits, in memory.

One worker, which is started before anything is measured. It and the thread that submits share a
core, but for one case: with a core for each, to wake the other takes several times what all the
rest does, or does not, as the system's scheduler has it. What a library patches globally is
patched before a measurement and put back after it, outside of what is timed. No run is current,
but for one case; the libraries are all loaded, so that each of our carriers is asked.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import _peers
from _bench import BARE, BYTES, Measure, Plan, Target
from _machine import on_one_core
from _silent import context_with
from langsmith.utils import ContextThreadPoolExecutor as LangSmithPool

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

CALLS = 1_000
BULK = 100_000
PENDING = 5_000

BY_HAND = "a `copy_context().run` lambda"
LANGSMITH = "LangSmith's `ContextThreadPoolExecutor`"
LANGCHAIN = "LangChain's `ContextThreadPoolExecutor`"
OPENTELEMETRY = "OpenTelemetry's `ThreadingInstrumentor`"
LOGFIRE = "logfire"
OURS = "`ctxtrace.ThreadPoolExecutor`"
INSTALLED = "`ctxtrace.install()`"


def nothing() -> None:
    pass


class ByHand(ThreadPoolExecutor):
    """What one writes without a library."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))


class Subject(NamedTuple):
    pool: Callable[[int], Any]
    around: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext


@contextlib.contextmanager
def installed() -> Iterator[None]:
    with _peers.patched(ctxtrace.install().uninstall):
        yield


def subjects(plan: Plan) -> dict[str, Subject]:
    found = {
        BARE: Subject(ThreadPoolExecutor),
        BY_HAND: Subject(ByHand),
        LANGSMITH: Subject(LangSmithPool),
    }
    if plan.has("langchain"):
        from langchain_core.runnables.config import ContextThreadPoolExecutor as LangChainPool

        found[LANGCHAIN] = Subject(LangChainPool)
    if plan.has("opentelemetry"):
        found[OPENTELEMETRY] = Subject(ThreadPoolExecutor, _peers.opentelemetry_instrumented)
    if plan.has("logfire"):
        _peers.load_logfire()
        found[LOGFIRE] = Subject(ThreadPoolExecutor, _peers.logfire_instrumented)
    found[OURS] = Subject(ctxtrace.ThreadPoolExecutor)
    found[INSTALLED] = Subject(ThreadPoolExecutor, installed)
    return found


# Each returns the seconds a call.


def sequential(pool: Any, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        pool.submit(nothing).result()
    return (time.perf_counter() - began) / calls


def bulk(pool: Any, calls: int) -> float:
    began = time.perf_counter()
    wait([pool.submit(nothing) for _ in range(calls)])
    return (time.perf_counter() - began) / calls


def mapped(pool: Any, calls: int) -> float:
    items = range(calls)  # LangSmith's and LangChain's map() ask for its length
    began = time.perf_counter()
    for _ in pool.map(abs, items):
        pass
    return (time.perf_counter() - began) / calls


def pending(pool: Any, calls: int) -> float:
    """Return the bytes a call that waits, its future among them."""
    release = threading.Event()
    futures = [pool.submit(release.wait)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        futures += [pool.submit(nothing) for _ in range(calls)]
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / calls
    finally:
        tracemalloc.stop()
        release.set()
        wait(futures)


class Case(NamedTuple):
    name: str
    variables: int = 0
    run: bool = False
    all_cores: bool = False


def in_a_pool(
    subject: Subject,
    measure: Callable[[Any, int], float],
    calls: int,
    context: Context,
    case: Case,
) -> float:
    cores = contextlib.nullcontext() if case.all_cores else on_one_core()
    with cores, subject.around(), subject.pool(1) as pool:
        pool.submit(nothing).result()
        return context.copy().run(measure, pool, calls)


class Kind(NamedTuple):
    what: str
    headline: str
    measure: Callable[[Any, int], float]
    calls: int
    at_most: float
    rounds: tuple[int, int]  # for no variables, and for the other cases


KINDS = (
    Kind(
        "submit, and wait for the result",
        "a submit and its result",
        sequential,
        CALLS,
        1.05,
        (15, 15),
    ),
    Kind(
        "submit 100,000, and wait for all", "a submit of 100,000 in a row", bulk, BULK, 1.25, (7, 3)
    ),
    Kind("map over 100,000", "an item of a map over 100,000", mapped, BULK, 1.2, (7, 3)),
)
CASES = (Case("no variables"), Case("10 variables", 10), Case("100 variables", 100))
RUN = Case("a run", run=True)
ALL_CORES = Case("no variables, all cores", all_cores=True)


def measures(plan: Plan) -> Iterator[Measure]:
    found = subjects(plan)
    peers = tuple(name for name in found if name not in (BARE, OURS, INSTALLED))
    for kind in KINDS:
        cases = (*CASES, RUN, ALL_CORES) if kind.measure is sequential else CASES
        for case in plan.cases(cases):
            with context_with(case.variables, case.run) as context:
                arguments = (kind.measure, plan.count(kind.calls), context, case)
                yield Measure(
                    kind.what,
                    {name: partial(in_a_pool, found[name], *arguments) for name in found},
                    case=case.name,
                    ours=OURS,
                    headline=kind.headline if case is CASES[0] else "",
                    peers=peers,
                    # What a run costs that is kept alive is no peer's to pay.
                    targets=()
                    if case.run
                    else (
                        Target(OURS, at_most=kind.at_most, of=(BARE,)),
                        Target(OURS, at_most=1.0, of=peers),
                    ),
                    rounds=kind.rounds[case is not CASES[0]],
                )
    for case in plan.cases((*CASES, RUN)):
        with context_with(case.variables, case.run) as context:
            arguments = (pending, plan.count(PENDING), context, case)
            yield Measure(
                "memory of a call that waits",
                {name: partial(in_a_pool, found[name], *arguments) for name in found},
                case=case.name,
                unit=BYTES,
                ours=OURS,
                headline="a call that waits in a pool" if case is CASES[0] else "",
                peers=peers,
                rounds=3,
            )
