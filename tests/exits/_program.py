"""The program of a cell: it starts what is to be started, records, and leaves.

    python _program.py --exit KIND --start METHOD --tracer TRACER [--flush-on-exit]

The environment names the server, as run_exits.py sets it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from typing import Any

from _cells import BUSY_FORKS

TASKS = 3


def _before() -> None:
    """In the parent: one run that has arrived, and two that are still on their way."""
    import _work

    _work.record("parent-0")
    _work.settle()
    _work.record("parent-1")
    _work.record("parent-2")


def _status(waited: int) -> int:
    """As `subprocess` has it. `os.waitstatus_to_exitcode` came with Python 3.9 on Unix alone."""
    return -os.WTERMSIG(waited) if os.WIFSIGNALED(waited) else os.WEXITSTATUS(waited)


def _main(kind: str) -> None:
    import _work

    _work.leave(kind, "main", fresh=True)


def _fork(kind: str) -> None:
    import _work

    _before()
    child = os.fork()
    if not child:
        _work.leave(kind, "child", fresh=False)
        return
    _work.say(child=_status(os.waitpid(child, 0)[1]))


def _fork_open(kind: str) -> None:
    """Fork in the middle of a run, which both sides come out of."""
    import _work

    _work.record("parent-0")
    _work.settle()
    _work.record("parent-1")
    with _work.opened("open"):
        child = os.fork()
        if not child:
            _work.leave(kind, "child", fresh=False)
        else:
            _work.record("parent-2")
    if child:
        _work.say(child=_status(os.waitpid(child, 0)[1]))


def _fork_busy(kind: str) -> None:
    """Fork while other threads record: any of the client's locks may be held just then."""
    import _work

    _work.record("parent-0")
    _work.settle()
    stop = threading.Event()
    recorded: list[str] = []

    def be_busy(thread: int) -> None:
        for number in itertools.count():
            name = f"busy-{thread}-{number}"
            _work.record(name)
            recorded.append(name)
            if stop.is_set():
                return

    threads = [threading.Thread(target=be_busy, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(BUSY_FORKS):
        child = os.fork()
        if not child:
            _work.show_where_it_hangs()
            _work.record(f"child-{number}")
            _work.say(leaving=True)
            return
        children.append(child)
    stop.set()
    for thread in threads:
        thread.join()
    statuses = [_status(os.waitpid(child, 0)[1]) for child in children]
    _work.say(child=max(statuses, key=abs), recorded=recorded)


def _process(kind: str, method: str) -> None:
    import _work

    _before()
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=_work.child, args=(kind, method != "fork"))
    process.start()
    process.join()
    _work.say(child=process.exitcode)


def _pool_arguments(method: str) -> dict[str, Any]:
    import _work

    # In a child by fork, nothing is to be called; in the others, this is the other way to call it.
    if method == "fork" or not _work.FLUSHED:
        return {}
    os.environ["EXITS_FLUSHED"] = "initializer"
    return {"initializer": _work.flush_on_exit}


def _pool(kind: str, method: str) -> None:
    import _work

    _before()
    context: Any = multiprocessing.get_context(method)
    with context.Pool(2, **_pool_arguments(method)) as pool:  # which terminates it
        pool.map(_work.task, range(TASKS), chunksize=1)
        if kind == "end":
            pool.close()
            pool.join()
    _work.say(leaving=True)


def _executor(kind: str, method: str) -> None:
    import _work

    _before()
    context: Any = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=context, **_pool_arguments(method)
    ) as executor:
        list(executor.map(_work.task, range(TASKS)))
    _work.say(leaving=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit", required=True)
    parser.add_argument("--start", required=True)
    parser.add_argument("--tracer", required=True)
    parser.add_argument("--flush-on-exit", action="store_true")
    arguments = parser.parse_args()
    os.environ["EXITS_TRACER"] = arguments.tracer
    os.environ["EXITS_FLUSHED"] = "import" if arguments.flush_on_exit else ""
    kind = arguments.exit
    if kind == "sigterm-handler":
        # Before ctxtrace is there; "sigterm-handler-after" sets its own when it is.
        signal.signal(signal.SIGTERM, _raise_system_exit)
    import _work

    _work.show_where_it_hangs()
    _work.say(started=True)
    # What LangSmith's client of this process asks for is as the driver said; a child that makes
    # its own client finds the address for children in its environment.
    start, _, method = arguments.start.partition("-")
    if start != "main" and _work.LANGSMITH:
        from langsmith.run_trees import get_cached_client

        get_cached_client()
        os.environ["LANGSMITH_ENDPOINT"] = os.environ["EXITS_CHILD_ENDPOINT"]
    if arguments.start == "main":
        _main(kind)
    elif arguments.start == "fork":
        _fork(kind)
    elif arguments.start == "fork-open":
        _fork_open(kind)
    elif arguments.start == "fork-busy":
        _fork_busy(kind)
    elif start == "process":
        _process(kind, method)
    elif start == "pool":
        _pool(kind, method)
    elif start == "executor":
        _executor(kind, method)
    else:
        parser.error(f"no such way to start: {arguments.start}")


def _raise_system_exit(*_: object) -> None:
    raise SystemExit(3)


if __name__ == "__main__":
    sys.exit(main())
