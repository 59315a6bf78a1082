"""A tracer of our own that a diagnosis hears of, and where it puts what it watches with."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import sys
from contextvars import ContextVar

from core.support import LIMIT

import ctxtrace
from ctxtrace.diagnosis import _watch
from ctxtrace.testing import _tape

_MISSING = object()
_current = ContextVar("current run of our own tracer", default=None)

# As it would be installed: whose code it is says the folder.
_SOURCE = '''
import time, uuid

class Run:
    """A block of this name; and what is current in it."""

    def __init__(self, name):
        self.id, self.name = str(uuid.uuid4()), name

    def __enter__(self):
        parent = current.get()
        self.token = current.set(self)
        started(SOURCE, self.id, parent and parent.id, self.name, time.time())
        return self

    def __exit__(self, *error):
        current.reset(self.token)
        del self.token
        updated(self.id, ended=True, error=False)
'''


class Tracer(ctxtrace.Carrier):
    """Has its current run in a context variable."""

    name = "tracer of our own"

    def __init__(self):
        library = {
            "__name__": "tracer_of_our_own",
            "SOURCE": self.name,
            "current": _current,
            "started": _tape.started,
            "updated": _tape.updated,
        }
        exec(compile(_SOURCE, "/opt/site-packages/tracer_of_our_own.py", "exec"), library)
        self.run = library["Run"]

    def current(self):
        run = _current.get()
        return None if run is None else (run.id, run.name)

    def clear(self):
        _current.set(None)

    def variables(self):
        return (_current,)


@contextlib.contextmanager
def registered():
    tracer = Tracer()
    undo = ctxtrace.register_carrier(tracer)
    try:
        yield tracer
    finally:
        undo()


@contextlib.contextmanager
def heard(seen):
    """Tell a diagnosis of the runs of the tracer."""
    _tape.open_for(Tracer.name, seen, lambda: None, watch=True)
    try:
        yield
    finally:
        _tape.close_for(Tracer.name, seen)


@contextlib.contextmanager
def diagnosing():
    with ctxtrace.diagnose() as report, heard(report._seen):
        yield report


def lose(tracer):
    """Lose a run in a pool."""

    def child():
        with tracer.run("child"):
            return "done"

    with tracer.run("parent"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(child).result(LIMIT)


def standing_there():
    """What every place that is watched holds, in the class or module itself."""
    found = {}
    for place in _watch.PLACES:
        *path, name = place.attribute.split(".")
        owner = functools.reduce(
            lambda owner, step: getattr(owner, step, None), path, sys.modules.get(place.module)
        )
        if owner is not None:
            found[place.target] = vars(owner).get(name, _MISSING)
    return found


def changed(before):
    after = standing_there()
    return sorted(name for name in before if after[name] is not before[name])
