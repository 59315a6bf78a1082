"""gunicorn's configuration, for run_workers.py: its hooks are ctxtrace's.

A user's file has one line: ``from ctxtrace.lifecycle.gunicorn import post_fork, post_worker_init,
worker_exit``.
"""

from __future__ import annotations

import os

_USES = os.environ["WORKERS_USES"].split()

if "post_fork" in _USES:
    from ctxtrace.lifecycle.gunicorn import post_fork  # noqa: F401
if "post_worker_init" in _USES:
    from ctxtrace.lifecycle.gunicorn import post_worker_init  # noqa: F401
if "worker_exit" in _USES:
    from ctxtrace.lifecycle.gunicorn import worker_exit  # noqa: F401
