"""Have LangSmith's clients, whoever made them, tell the recorder of runs and send none.

A run belongs to whom it was posted to: one that starts while a recording is open is recorded,
and so is its end, also after the recording; one that was posted before goes on as it would
have. What a program asks LangSmith for in so many words (a prompt, a dataset) it is still
given.
"""

# LangSmith is not installed where the types are checked, and is itself typed in part only.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownParameterType=false, reportMissingModuleSource=false

from __future__ import annotations

import contextlib
import functools
import time
import uuid
from datetime import datetime, timezone
from importlib import import_module
from types import FunctionType
from typing import TYPE_CHECKING, Any

from .._errors import guard
from . import _tape
from ._langsmith_switches import part, whose

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from langsmith import Client

    from ._langsmith_switches import Replaced

SOURCE = "langsmith"


# Identifiers of parents that came from elsewhere, by headers.
_remote: set[str] = set()


def started(run: Any) -> bool:
    """Tell the recorder of a run that is posted, as a dict or a model of LangSmith's.

    Returns:
        Whether it is to go no further.
    """
    # Code that calls the client itself may leave the identifier to the server.
    key = str(_field(run, "id") or uuid.uuid4())
    parent = _field(run, "parent_run_id")
    taken = _tape.started(
        SOURCE,
        key,
        None if parent is None else str(parent),
        str(_field(run, "name")),
        _seconds(_field(run, "start_time")),
        whose(),
        parent_is_remote=str(parent) in _remote,
    )
    updated(key, run)
    return taken


def updated(run_id: Any, run: Any, *, ended: bool = False) -> bool:
    """Tell the recorder what became of a run; say whether it was recorded."""
    ended = ended or _field(run, "end_time") is not None
    name = _field(run, "name")
    if _tape.notice_outputs is not None:
        guard("diagnose()", _show_outputs, str(run_id), _field(run, "outputs"))
    return _tape.updated(
        str(run_id),
        ended=ended,
        error=bool(_field(run, "error")),
        name=None if name is None else str(name),
    )


def _told(tell: Callable[..., bool], *args: Any) -> bool:
    """Tell of a run; say whether it is to go no further."""
    if _tape.is_open(SOURCE):
        return tell(*args)  # an error is to keep it from leaving the process
    return bool(guard("the recording of runs", tell, *args))


def _show_outputs(run_id: str, outputs: Any) -> None:
    run = _tape.find(run_id)
    if run is not None and outputs and _tape.notice_outputs is not None:
        _tape.notice_outputs(run, outputs)


def _field(run: Any, name: str) -> Any:
    return run.get(name) if isinstance(run, dict) else getattr(run, name, None)


def _seconds(start: Any) -> float:
    """Return when a run started, as it says itself.

    LangChain posts a run only at its end if its input is a stream, so the order of recording
    is not the order of start.
    """
    if isinstance(start, str):
        try:
            start = datetime.fromisoformat(start)
        except ValueError:  # with Z for UTC, before Python 3.11
            return time.time()
    if not isinstance(start, datetime):
        return time.time()
    # LangSmith, too, takes a time without a zone for UTC.
    return (start if start.tzinfo else start.replace(tzinfo=timezone.utc)).timestamp()


@functools.cache
def recording_client() -> Client:
    """Return the client that takes the runs of who brings none.

    One a process: each Client leaves an exit handler behind.
    """
    # With address and key given, neither the environment nor a profile in the user's home
    # directory is asked for them.
    return _recording_class()(
        api_url="http://localhost", api_key="recording", auto_batch_tracing=False, info={}
    )


@functools.cache
def _recording_class() -> Callable[..., Client]:
    """Make the class late: its base is LangSmith's."""
    import requests

    # Not as langsmith.Client, which a test suite may have put a mock in the place of.
    Client: Any = _client_class()

    class Unplugged(requests.Session):
        def send(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError(
                "this is LangSmith's client while ctxtrace.testing records, and it sends nothing. "
                "Give the code under test a langsmith.Client of its own for what it asks of "
                "LangSmith beside tracing."
            )

    class RecordingClient(Client):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(session=Unplugged(), **kwargs)

        def create_run(self, name: str, *_: Any, **kwargs: Any) -> None:
            started({**kwargs, "name": name})

        def update_run(self, run_id: Any, *_: Any, **kwargs: Any) -> None:
            updated(run_id, kwargs, ended=True)

        def request_with_retries(self, method: Any, pathname: str, **kwargs: Any) -> Any:
            if pathname == "/feedback":
                return requests.Response()
            return super().request_with_retries(method, pathname, **kwargs)

    return RecordingClient


def _client_class() -> type:
    return _class("langsmith.client", "Client")


def _run_tree_class() -> type:
    return _class("langsmith.run_trees", "RunTree")


def _class(module: str, name: str) -> type:
    found = part(import_module(module), name)
    if not isinstance(found, type):
        raise RuntimeError(
            f"cannot record LangSmith: {module}.{name} is {type(found).__name__}, and no class. "
            "Replace what uses it, and not the class itself."
        )
    return found


def intercept(methods: Replaced) -> None:
    """Intercept the runs of every client there is and will be.

    Args:
        methods: Puts everything back, also what was intercepted before an error.

    Raises:
        RuntimeError: This LangSmith is not laid out as the known ones are.
    """
    client_class, run_tree_class = _client_class(), _run_tree_class()
    for name, make in _OF_A_RUN.items():
        methods.replace(run_tree_class, name, _kept(make, part(run_tree_class, name)))
    from_headers = part(run_tree_class, "from_headers").__func__
    methods.replace(run_tree_class, "from_headers", classmethod(_kept(_from_headers, from_headers)))
    for name, make in _OF_A_CLIENT.items():
        methods.replace(client_class, name, _kept(make, part(client_class, name)))
    for name, make in _OF_RUNS.items():
        methods.replace(client_class, name, _kept(make, part(client_class, name), False))
    for cls in dict.fromkeys(_below(client_class)):
        # What a user's own class does beside, it goes on doing; where it hands on to
        # LangSmith's, the run is known. What is no function there, as a mock, is left alone.
        for name, make in _OF_RUNS.items() if cls is not _recording_class() else ():
            original = vars(cls).get(name)
            if isinstance(original, FunctionType):
                methods.replace(cls, name, _replacement(make, original, True))


def let_go(methods: Replaced) -> None:
    """Take back what the others did."""
    methods.put_back()
    _remote.clear()


def intercept_async(methods: Replaced) -> None:
    """The same for the client whose methods are coroutines, if the program has imported it."""
    cls = part(import_module("langsmith.async_client"), "AsyncClient")
    for name, make in (("create_run", _async_create_run), ("update_run", _async_update_run)):
        methods.replace(cls, name, _kept(make, part(cls, name)))


def _replacement(
    make: Callable[..., Callable[..., Any]], original: Callable[..., Any], *hands_on: bool
) -> Callable[..., Any]:
    return functools.wraps(original)(make(original, *hands_on))


# Of LangSmith's own methods. Those of a user's class are not kept, nor is the class with them.
_kept = functools.lru_cache(maxsize=32)(_replacement)


def _below(cls: type) -> Iterator[type]:
    for below in cls.__subclasses__():
        yield below
        yield from _below(below)


def _init(original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        # Else its thread asks the server what it can do, now or after the recording.
        if _tape.is_open(SOURCE) and kwargs.get("info") is None:
            kwargs["info"] = {}
        original(self, *args, **kwargs)

    return __init__


def _create_feedback(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_feedback(self: Any, run_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        trace_id = kwargs.get("trace_id")
        if _tape.knows(str(run_id or trace_id)):
            # Of a run that no server knows. What names its trace may go by the queue.
            kwargs["trace_id"] = None
            return original(recording_client(), run_id or trace_id, *args, **kwargs)
        return original(self, run_id, *args, **kwargs)

    return create_feedback


_OF_A_CLIENT: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "__init__": _init,
    "create_feedback": _create_feedback,
}


def _post(original: Callable[..., Any]) -> Callable[..., Any]:
    def post(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _without_replicas(self, _tape.is_open(SOURCE)):
            return original(self, *args, **kwargs)

    return post


def _patch(original: Callable[..., Any]) -> Callable[..., Any]:
    def patch(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _without_replicas(self, _tape.knows(str(self.id))):
            return original(self, *args, **kwargs)

    return patch


@contextlib.contextmanager
def _without_replicas(run: Any, is_recorded: bool) -> Generator[None, None, None]:
    """Have a run that goes to several projects told of once: it has another id in each."""
    replicas = getattr(run, "replicas", None)
    if not (is_recorded and replicas):
        yield
        return
    run.replicas = None
    try:
        yield
    finally:
        run.replicas = replicas


_OF_A_RUN: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "post": _post,
    "patch": _patch,
}


def _from_headers(original: Callable[..., Any]) -> Callable[..., Any]:
    def from_headers(cls: Any, *args: Any, **kwargs: Any) -> Any:
        run = original(cls, *args, **kwargs)
        if run is not None and _tape.is_open(SOURCE):
            _remote.add(str(run.id))
        return run

    return from_headers


# A user's class may take all of its arguments by name, or all by position: they are handed on
# as they come.


def _create_run(original: Callable[..., Any], hands_on: bool) -> Callable[..., Any]:
    def create_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _told(started, {"name": _first(args), **kwargs}) and not hands_on:
            return None
        return original(self, *args, **kwargs)

    return create_run


def _update_run(original: Callable[..., Any], hands_on: bool) -> Callable[..., Any]:
    def update_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Unless it is told another time, LangSmith's has a run that is updated end now.
        run_id = kwargs.get("run_id", _first(args))
        known = _told(functools.partial(updated, ended=True), run_id, kwargs)
        return None if known and not hands_on else original(self, *args, **kwargs)

    return update_run


def _ingest(original: Callable[..., Any], hands_on: bool) -> Callable[..., Any]:
    def ingest(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _tape.hears(SOURCE) and not _tape.is_open(SOURCE):
            # What goes on to a client's own thread, which calls this, was told of before.
            return original(self, *args, **kwargs)
        given = {**dict(zip(("create", "update"), args)), **kwargs}
        create = [run for run in given.get("create") or () if not started(run)]
        update = [run for run in given.get("update") or () if not updated(_field(run, "id"), run)]
        if hands_on:
            return original(self, *args, **kwargs)
        given.update(create=create, update=update)
        return original(self, **given) if create or update else None

    return ingest


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


_OF_RUNS: dict[str, Callable[[Callable[..., Any], bool], Callable[..., Any]]] = {
    "create_run": _create_run,
    "update_run": _update_run,
    "batch_ingest_runs": _ingest,
    "multipart_ingest": _ingest,
}


def _async_create_run(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _told(started, {"name": _first(args), **kwargs}):
            return None
        return await original(self, *args, **kwargs)

    return create_run


def _async_update_run(original: Callable[..., Any]) -> Callable[..., Any]:
    async def update_run(self: Any, *args: Any, **kwargs: Any) -> Any:
        known = _told(updated, kwargs.get("run_id", _first(args)), kwargs)
        return None if known else await original(self, *args, **kwargs)

    return update_run
