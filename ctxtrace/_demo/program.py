"""The program that `ctxtrace demo` traces: an assistant such as many services run.

It answers one question. A LangGraph graph looks three sources up in a thread pool, writes an
audit log in a thread of its own and streams the answer token by token, each token checked in
a pool. A background task outlives the request and remembers the answer.

Nothing here knows ctxtrace. Where ``ThreadPoolExecutor``, ``Thread`` and ``create_task`` come
from is a parameter, so that the same lines run twice: once with the standard library's, once
with those of ctxtrace. That is all the difference between the two traces.
"""

# Not strict: the types of both libraries are partial.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import StreamWriter  # noqa: TC002 - LangGraph reads the annotation
from langsmith import traceable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor


class Tools(NamedTuple):
    """What the program takes from outside: a pool, a thread and a task."""

    ThreadPoolExecutor: Callable[..., Executor]
    Thread: Callable[..., threading.Thread]
    create_task: Callable[..., asyncio.Task[Any]]


class State(TypedDict):
    """What the nodes of the graph hand to one another."""

    question: str
    facts: list[str]


@traceable
def look_up(source: str) -> str:
    return f"{source}: yes"


@traceable
def write_audit_log(question: str) -> None:
    pass


@traceable
def check_token(token: str) -> str:
    return token


@traceable
async def remember(answer: str) -> None:
    pass


class Assistant:
    """Answer questions with a graph of three nodes."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.background: set[asyncio.Task[Any]] = set()
        graph: Any = StateGraph(State)
        graph.add_node("gather_facts", self.gather_facts)
        graph.add_node("audit", self.audit)
        graph.add_node("write_answer", self.write_answer)
        graph.add_edge(START, "gather_facts")
        graph.add_edge("gather_facts", "audit")
        graph.add_edge("audit", "write_answer")
        graph.add_edge("write_answer", END)
        self.graph = graph.compile()

    # The nodes.

    def gather_facts(self, state: State) -> dict[str, Any]:
        """Use a thread pool, by submit and by map."""
        with self.tools.ThreadPoolExecutor(thread_name_prefix="look-up") as pool:
            manual = pool.submit(look_up, "manual")
            others = pool.map(look_up, ["wiki", "tickets"])
            return {"facts": [manual.result(), *others]}

    def audit(self, state: State) -> dict[str, Any]:
        """Use a thread."""
        thread = self.tools.Thread(target=write_audit_log, args=(state["question"],), name="audit")
        thread.start()
        thread.join()
        return {}

    def write_answer(self, state: State, writer: StreamWriter) -> dict[str, Any]:
        """Stream tokens to whoever reads the graph's stream."""
        for token in self.draft(state["facts"]):
            writer(token)
        return {}

    @traceable
    def draft(self, facts: list[str]) -> Iterator[str]:
        """Yield tokens, each of them checked in a pool."""
        with self.tools.ThreadPoolExecutor(thread_name_prefix="check") as pool:
            for token in facts[0].split():
                yield pool.submit(check_token, token).result()

    # One request, and what goes on after it.

    @traceable
    async def ask(self, question: str, answered: asyncio.Event) -> str:
        """Answer, and leave a task behind."""
        # In a thread of its own, with asyncio's to_thread, which loses no trace: before Python
        # 3.11 LangGraph's `astream` loses it at every node, whoever's pools the node uses.
        answer = await asyncio.to_thread(self.run_graph, question)
        self.background.add(
            self.tools.create_task(self.follow_up(answer, answered), name="follow-up")
        )
        return answer

    def run_graph(self, question: str) -> str:
        """Collect what the graph streams."""
        return "".join(self.graph.stream({"question": question}, stream_mode="custom"))

    async def follow_up(self, answer: str, answered: asyncio.Event) -> None:
        """Start a run only when the one that this task came from has ended."""
        await answered.wait()
        await remember(answer)


async def handle_request(tools: Tools) -> None:
    """Serve one question from beginning to end."""
    # LangSmith ends the run of a coroutine in the loop's own pool. With one thread, what is called
    # there next finds that the thread has let go of the run.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    assistant = Assistant(tools)
    answered = asyncio.Event()
    await assistant.ask("Does it rain?", answered)
    # A service that goes on would collect the finished request sooner or later. Here it happens
    # at once, so that the demo shows every time what a service shows now and then.
    await asyncio.to_thread(gc.collect)
    answered.set()
    await asyncio.gather(*assistant.background)
