"""LangChain: the config that its runnables hand to their children.

Nothing to pin: the config holds the callback manager strongly, and with it the tracer and
the identifier of the parent run. (The `RunTree` that LangChain makes current for LangSmith's
`@traceable` is pinned by the LangSmith carrier.)
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import ContextVar


class _LangChain(Carrier):
    name = "langchain"

    def __init__(self, config: ContextVar[Any]) -> None:
        self._config = config

    def clear(self) -> None:
        config = self._config.get()
        # Callbacks are None, a list of handlers, or a manager; only a manager knows a parent.
        callbacks: Any = (config or {}).get("callbacks")
        if getattr(callbacks, "parent_run_id", None) is None:
            return
        callbacks = callbacks.copy()
        callbacks.parent_run_id = None
        self._config.set({**config, "callbacks": callbacks})

    def join(self, chunks: list[Any]) -> Any:
        """Add the chunks of one message, as its stream gave them."""
        messages: Any = sys.modules.get("langchain_core.messages")
        if messages is None or not all(isinstance(c, messages.BaseMessageChunk) for c in chunks):
            return None
        # All at once: one after the other takes time by the square of their number.
        return chunks[0] + chunks[1:]

    def variables(self) -> Iterable[ContextVar[Any]]:
        return (self._config,)


def make() -> Carrier:
    """Return the carrier for the LangChain that is loaded."""
    config: Any = sys.modules["langchain_core.runnables.config"]
    return _LangChain(config.var_child_runnable_config)
