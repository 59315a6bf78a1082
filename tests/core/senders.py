"""Tracers of our own that have something to send."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from core.support import LIMIT, USER

import ctxtrace

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sender(ctxtrace.Carrier):
    """Keeps what it is asked."""

    def __init__(self, name: str = "sender") -> None:
        self.name = name
        self.asked: list[str] = []
        self.seen: list[Any] = []
        self.answer: object = None

    def clear(self) -> None:
        pass

    def flush(self, timeout: float) -> object:
        self.asked.append("flush")
        self.seen.append((timeout, USER.get(), threading.current_thread().daemon))
        return self.answer

    def shutdown(self, timeout: float) -> object:
        self.asked.append("shutdown")
        return self.answer


class Hanging(Sender):
    """Sends nothing until it may."""

    def __init__(self, name: str = "hanging") -> None:
        super().__init__(name)
        self.began = threading.Semaphore(0)
        self.may_end = threading.Event()

    def flush(self, timeout: float) -> object:
        super().flush(timeout)
        self.began.release()
        assert self.may_end.wait(LIMIT)
        return None

    def has_begun(self) -> bool:
        """Wait until a flush has begun that was not seen to begin before."""
        return self.began.acquire(timeout=LIMIT)


@contextlib.contextmanager
def registered(*senders: Sender) -> Iterator[None]:
    """Have them asked while the block runs."""
    undo = [ctxtrace.register_carrier(sender) for sender in senders]
    try:
        yield
    finally:
        for sender, take_off in zip(senders, undo):
            if isinstance(sender, Hanging):
                sender.may_end.set()
            take_off()
