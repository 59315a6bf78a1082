"""Hooks for gunicorn, to be imported in its configuration file.

``from ctxtrace.lifecycle.gunicorn import post_fork, worker_exit``
"""

from __future__ import annotations

from . import _fork
from .exits import flush_on_exit
from .flushing import flush

__all__ = ["post_fork", "worker_exit"]


def post_fork(server: object, worker: object) -> None:
    """Have a worker trace as any process does, and flush when it ends.

    Also where ``--preload`` imported the application before the fork. gunicorn calls this in the
    worker, before anything else.

    Args:
        server: The arbiter; not used.
        worker: The worker; not used.
    """
    _fork.renew_now()
    flush_on_exit(signals=())  # the worker has handlers of its own, and ends in peace


def worker_exit(server: object, worker: object) -> None:
    """Flush what the worker recorded. gunicorn calls this in the worker, as it ends.

    Args:
        server: The arbiter; not used.
        worker: The worker; not used.
    """
    flush()
