"""A pytest plugin that calls install(). Given as ``-p``, so before any other is imported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ctxtrace

_installation = ctxtrace.install()


def pytest_sessionfinish() -> None:
    # For run_peers.py, which is to know that it was in force.
    Path(os.environ["CTXTRACE_SITES"]).write_text(json.dumps(_installation.sites))
