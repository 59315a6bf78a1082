"""Every place that install() changes, in the order in which it changes them.

asyncio before LangChain and LangGraph: whether their gates may be opened depends on it.
"""

from __future__ import annotations

from . import (
    asyncio_tasks,
    langchain,
    langgraph,
    langsmith_parents,
    langsmith_steps,
    multiprocessing_pools,
    thread_pools,
    threads,
)

PLACES = (
    *thread_pools.PLACES,
    *threads.PLACES,
    *multiprocessing_pools.PLACES,
    *asyncio_tasks.PLACES,
    *langchain.PLACES,
    *langgraph.PLACES,
    *langsmith_parents.PLACES,
    *langsmith_steps.PLACES,
)
