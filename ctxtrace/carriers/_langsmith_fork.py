"""LangSmith in the child of a fork.

A fork copies a client and not its threads: what the child records would wait in the copied queue
for ever, behind copies of what the parent is about to send. So each client gets a queue, a thread
and connections of its own. Whatever another thread of the parent may have held at that moment, a
lock or a queue, is replaced and left alone, never used.

A run that was open at the fork is the parent's, who ends it. Where the child comes by its end,
too, as it unwinds, it does not tell.
"""

from __future__ import annotations

import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import wraps
from typing import TYPE_CHECKING, Any

from ._in_child import leave_alone, renew_connections, replaced
from ._langsmith_client import CLIENT, SENDING

if TYPE_CHECKING:
    from collections.abc import Callable


def renew() -> Callable[[], None] | None:
    """Renew what all clients share; return what takes the watch over ends away."""
    module: Any = sys.modules.get(CLIENT)
    sending: Any = sys.modules.get(SENDING)
    if module is None or sending is None:
        return None
    forked_at = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%fZ")
    run_trees: Any = sys.modules.get("langsmith.run_trees")
    if run_trees is not None:
        run_trees._LOCK = threading.Lock()
    workers = sending.LANGSMITH_CLIENT_THREAD_POOL._max_workers
    sending.LANGSMITH_CLIENT_THREAD_POOL = ThreadPoolExecutor(max_workers=workers)
    return _leave_ends_to_the_parent(module.Client, forked_at)


def renew_client(client: Any) -> None:
    """Give a client what it cannot share with the parent, and a thread to send with."""
    module: Any = sys.modules[CLIENT]
    renew_connections(client.session)
    client._run_ops_buffer = []
    client._run_ops_buffer_lock = threading.Lock()
    leave_alone(client.compressed_traces)
    client.compressed_traces = None
    client._data_available_event = None
    if client._futures is not None:
        client._futures = weakref.WeakSet()
    if hasattr(client, "_futures_lock"):
        client._futures_lock = threading.Lock()
    if client.tracing_queue is None:
        return
    client.tracing_queue = type(client.tracing_queue)(maxsize=client.tracing_queue.maxsize)
    threading.Thread(
        target=module._tracing_control_thread_func,
        args=(weakref.ref(client),),
        daemon=getattr(client, "_use_daemon_threads", False),
    ).start()


def _leave_ends_to_the_parent(kind: Any, forked_at: str) -> Callable[[], None]:
    begun_here: set[str] = set()
    create, update = kind.create_run, kind.update_run

    @wraps(create)
    def create_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # One of the child's may say that it began earlier.
        if _began(kwargs) < forked_at:
            begun_here.add(str(kwargs.get("id")))
        return create(self, *args, **kwargs)

    @wraps(update)
    def update_run(self: Any, run_id: Any, *args: Any, **kwargs: Any) -> Any:
        if _began(kwargs) < forked_at and str(run_id) not in begun_here:
            return None
        return update(self, run_id, *args, **kwargs)

    return replaced(kind, create_run=create_run, update_run=update_run)


def _began(fields: dict[str, Any]) -> str:
    """Return when a run began, as LangSmith spells it; what does not say so began just now."""
    last = str(fields.get("dotted_order") or "").rpartition(".")[2]
    began, mark, _ = last.partition("Z")
    return f"{began}Z" if mark else "A"
