"""Langfuse: its spans are OpenTelemetry's, and carried with them; this one has it sent.

Beside spans it sends scores and media, from queues and threads of its own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Client:
    """What belongs to one of Langfuse's keys."""

    name = "langfuse"

    def __init__(self, resources: Any) -> None:
        self.target = resources

    def flush(self, timeout: float) -> object:
        return self.target.flush()

    def shutdown(self, timeout: float) -> object:
        return self.target.shutdown()


class _Langfuse(Carrier):
    name = "langfuse"

    def clear(self) -> None:
        """Nothing to do: OpenTelemetry's carrier does it."""

    def exporters(self) -> Iterator[_Client]:
        """Yield what Langfuse has set up, for each key."""
        manager: Any = sys.modules["langfuse._client.resource_manager"].LangfuseResourceManager
        for resources in list(manager._instances.values()):
            yield _Client(resources)


def make() -> Carrier:
    """Return the carrier for Langfuse."""
    return _Langfuse()
