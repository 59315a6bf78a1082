"""anyio's memory object streams: an item is handled in its sender's context.

What is here can be imported without anyio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from ._memory_streams import ContextReceiveStream, ContextSendStream

_T = TypeVar("_T")


def context_stream(
    send: MemoryObjectSendStream[_T], receive: MemoryObjectReceiveStream[_T]
) -> tuple[ContextSendStream[_T], ContextReceiveStream[_T]]:
    """Make the items of an anyio memory object stream bring their sender's context.

    Write ``send, receive = context_stream(*anyio.create_memory_object_stream(10))``. Both
    work on asyncio and on trio, and have all methods of what they wrap:

    * ``send()`` and ``send_nowait()`` take a snapshot of the context;
    * ``await stream.receive()``, ``receive_nowait()`` and ``async for`` give the bare item;
    * ``async with stream.receive() as item:`` overlays the sender's context on a block, as
      `Snapshot.attach` does and with its limit: a variable that the block sets itself, and
      that the sender did not have, stays set. ``serve()`` has not;
    * ``await stream.get_with_context()`` gives the item and the sender's `Snapshot`;
    * ``await stream.serve(handler, on_error=...)`` handles every item in a private copy of
      its sender's context until the stream ends, or ``stop()`` was called and nothing is left.
      See `AsyncContextQueue` for its arguments.

    An item keeps its sender's run alive until it is handled, or dropped, or received bare.
    Items that were sent through the wrapped stream come out as they are, with an empty
    snapshot.

    Args:
        send: The sending end.
        receive: The receiving end. Both are closed by closing what this returns.

    Returns:
        The two ends to use in their place.

    Raises:
        TypeError: They are no such streams, or in the other order.
        ModuleNotFoundError: anyio is not installed.

    As the wrapped streams they belong to one event loop. Mirrors
    `anyio.create_memory_object_stream`.
    """
    from ._memory_streams import wrap_pair

    return wrap_pair(send, receive)


context_stream.__module__ = "ctxtrace"
