"""See in a test what trace came out of a program, without an account or a network.

Knows no pytest; the plugin is `ctxtrace.pytest_plugin`. Imports no tracing library: each is
recorded once the program has imported it.
"""

from __future__ import annotations

from ._forest import Forest, Node, Trace
from ._recording import Recording, record

__all__ = ["Forest", "Node", "Recording", "Trace", "record"]
