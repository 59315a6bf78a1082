"""Hooks for gunicorn, to be imported in its configuration file.

``from ctxtrace.lifecycle.gunicorn import post_fork, post_worker_init, worker_exit``
"""

from __future__ import annotations

from . import _fork
from .exits import flush_on_exit
from .flushing import flush

__all__ = ["post_fork", "post_worker_init", "worker_exit"]


def post_fork(server: object, worker: object) -> None:
    """Have a worker trace as any process does, and flush when it ends.

    Also where ``--preload`` imported the application before the fork. gunicorn calls this in the
    worker, before anything else.

    Args:
        server: The arbiter; not used.
        worker: The worker; not used.
    """
    _fork.renew_now()
    flush_on_exit(signals=())  # the worker is about to set all handlers anew


def post_worker_init(worker: object) -> None:
    """Have a worker flush before a signal kills it. gunicorn calls this when it is about to serve.

    Its own workers have handlers of their own by then, and end in peace. uvicorn's ends with the
    signal that told it to, which is not followed by `worker_exit`.

    Args:
        worker: The worker; not used.
    """
    flush_on_exit()


def worker_exit(server: object, worker: object) -> None:
    """Flush what the worker recorded. gunicorn calls this in the worker, as it ends.

    Args:
        server: The arbiter; not used.
        worker: The worker; not used.
    """
    flush()
