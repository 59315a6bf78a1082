"""See in a test what trace came out of a program, without an account or a network.

Young: the pytest plugin grows from here, and what is here may still change with it. Knows
no pytest; imports a tracing library only when a recording of that library begins.
"""

from __future__ import annotations

from ._forest import Forest, Node
from ._langsmith import record_langsmith

__all__ = ["Forest", "Node", "record_langsmith"]
