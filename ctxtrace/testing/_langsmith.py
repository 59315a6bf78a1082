"""Record in memory what LangSmith would send."""

# LangSmith is not installed where the types are checked, and is itself typed in part only.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownParameterType=false, reportMissingModuleSource=false

from __future__ import annotations

import contextlib
import functools
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ._forest import Forest, Record
from ._langsmith_switches import place, turned_to

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from langsmith import Client

_active = threading.Lock()


class LangSmithRecording:
    """What `record_langsmith` yields.

    Attributes:
        client: The `langsmith.Client` that records; also the one to give to code that
            insists on being given a client. Sends nothing, whatever is asked of it.
    """

    def __init__(self) -> None:
        self._runs = _Runs()
        self.client: Client = _client_class()(self._runs)

    def forest(self) -> Forest:
        """Build the forest of all runs recorded so far.

        May be called while the recording goes on and after it has ended, from any thread.
        Runs that end later are counted as ended from then on.
        """
        return Forest.from_records(self._runs.records())


class _Runs:
    """What is known of the runs so far. Any thread may tell."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()

    def records(self) -> list[Record]:
        with self._lock:
            return list(self._records.values())

    def started(self, run: dict[str, Any]) -> None:
        # Code that calls the client itself may leave the identifier to the server.
        key = str(run.get("id") or uuid.uuid4())
        parent = run.get("parent_run_id")
        thread, task = place()
        record = Record(
            id=key,
            parent_id=None if parent is None else str(parent),
            name=str(run.get("name")),
            start=_seconds(run.get("start_time")),
            ended=run.get("end_time") is not None,
            error=bool(run.get("error")),
            thread=thread,
            task=task,
        )
        with self._lock:
            # A run that goes to several projects is posted once for each.
            self._records.setdefault(key, record)

    def ended(self, run_id: Any, run: dict[str, Any]) -> None:
        key = str(run_id)
        with self._lock:
            record = self._records.get(key)
            # None: the run was posted to another client, before this recording began.
            if record is not None:
                self._records[key] = record._replace(
                    ended=record.ended or run.get("end_time") is not None,
                    error=record.error or bool(run.get("error")),
                )


@contextlib.contextmanager
def record_langsmith() -> Generator[LangSmithRecording, None, None]:
    """Record every LangSmith run of the process, and send none of them.

    Tracing is on while the recording is active, for all threads and tasks and whatever the
    environment says, and LangChain and LangGraph runs are recorded with the rest. What the
    current context says of LangSmith and LangChain (a current run, a client, tracing off) is
    hidden inside the block. At its end everything is as it was before.

    Not recorded: runs that the program gives to a client of its own, and the children of runs
    that were open before the recording began.

    Yields:
        A `LangSmithRecording`, with the recording `client` and `forest()`.

    Raises:
        ImportError: LangSmith is not installed.
        RuntimeError: A recording is active already (it is one a process), or this LangSmith
            is not laid out as the known ones are, so that a run could get past the recorder.
    """
    if not _active.acquire(blocking=False):
        raise RuntimeError(
            "record_langsmith() is active already: it records the whole process, so there "
            "can be only one at a time. Use the one that is active."
        )
    try:
        with turned_to(LangSmithRecording) as recording:
            yield recording
    finally:
        _active.release()


def _seconds(start: Any) -> float:
    """Return when a run started, as it says itself.

    LangChain posts a run only at its end if its input is a stream, so the order of recording
    is not the order of start.
    """
    if not isinstance(start, datetime):
        return time.time()
    # LangSmith, too, takes a time without a zone for UTC.
    return (start if start.tzinfo else start.replace(tzinfo=timezone.utc)).timestamp()


@functools.cache
def _client_class() -> Callable[[_Runs], Client]:
    """Make the class late: its base is LangSmith's."""
    import requests
    from langsmith import Client

    class Unplugged(requests.Session):
        def send(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("the client of record_langsmith() sends nothing")

    # One for all: each Client leaves an exit handler behind that keeps its session.
    unplugged = Unplugged()

    class RecordingClient(Client):
        def __init__(self, runs: _Runs) -> None:
            # With address and key given, neither the environment nor a profile in the
            # user's home directory is asked for them.
            super().__init__(
                api_url="http://localhost",
                api_key="recording",
                session=unplugged,
                auto_batch_tracing=False,
                info={},
            )
            self._runs = runs

        def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
            self._runs.started({**kwargs, "name": name})

        def update_run(self, run_id: Any, *_: Any, **kwargs: Any) -> None:
            self._runs.ended(run_id, kwargs)

    return RecordingClient
