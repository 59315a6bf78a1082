"""Keep a trace whole across threads, pools, tasks and whatever else a program crosses.

Every public name is here, and each is loaded when it is first used, so that importing
ctxtrace imports no tracing library, no asyncio and nothing else of weight, and changes
nothing in the program.
"""

# Type checkers take any variable of this name for true; importing typing would cost more
# than the rest of this module together.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ._snapshot import Snapshot, capture, detached, wrap
    from .boundaries.async_queues import AsyncContextQueue
    from .boundaries.executors import ThreadPoolExecutor, wrap_executor
    from .boundaries.groups import create_task_group
    from .boundaries.memory_streams import context_stream
    from .boundaries.queues import ContextQueue
    from .boundaries.streams import streaming, traced_stream
    from .boundaries.tasks import TaskGroup, create_task, gather, run_in_executor, to_thread
    from .boundaries.threads import Thread, Timer
    from .carriers import Carrier, register_carrier
    from .diagnosis import Diagnosis, diagnose
    from .lifecycle.exits import flush_on_exit
    from .lifecycle.flushing import FlushReport, aflush, ashutdown, flush, shutdown
    from .lifecycle.serverless import flush_after
    from .lifecycle.web import flush_lifespan
    from .patches import Installation, install, uninstall

__all__ = [
    "AsyncContextQueue",
    "Carrier",
    "ContextQueue",
    "Diagnosis",
    "FlushReport",
    "Installation",
    "Snapshot",
    "TaskGroup",
    "Thread",
    "ThreadPoolExecutor",
    "Timer",
    "aflush",
    "ashutdown",
    "capture",
    "context_stream",
    "create_task",
    "create_task_group",
    "detached",
    "diagnose",
    "flush",
    "flush_after",
    "flush_lifespan",
    "flush_on_exit",
    "gather",
    "install",
    "register_carrier",
    "run_in_executor",
    "shutdown",
    "streaming",
    "to_thread",
    "traced_stream",
    "uninstall",
    "wrap",
    "wrap_executor",
]

_HOMES = {
    "AsyncContextQueue": "boundaries.async_queues",
    "Carrier": "carriers",
    "ContextQueue": "boundaries.queues",
    "Diagnosis": "diagnosis",
    "FlushReport": "lifecycle.flushing",
    "Installation": "patches",
    "Snapshot": "_snapshot",
    "TaskGroup": "boundaries.tasks",
    "Thread": "boundaries.threads",
    "ThreadPoolExecutor": "boundaries.executors",
    "Timer": "boundaries.threads",
    "aflush": "lifecycle.flushing",
    "ashutdown": "lifecycle.flushing",
    "capture": "_snapshot",
    "context_stream": "boundaries.memory_streams",
    "create_task": "boundaries.tasks",
    "create_task_group": "boundaries.groups",
    "detached": "_snapshot",
    "diagnose": "diagnosis",
    "flush": "lifecycle.flushing",
    "flush_after": "lifecycle.serverless",
    "flush_lifespan": "lifecycle.web",
    "flush_on_exit": "lifecycle.exits",
    "gather": "boundaries.tasks",
    "install": "patches",
    "register_carrier": "carriers",
    "run_in_executor": "boundaries.tasks",
    "shutdown": "lifecycle.flushing",
    "streaming": "boundaries.streams",
    "to_thread": "boundaries.tasks",
    "traced_stream": "boundaries.streams",
    "uninstall": "patches",
    "wrap": "_snapshot",
    "wrap_executor": "boundaries.executors",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next look finds it without coming here
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
