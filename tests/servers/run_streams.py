"""Stream from a real server to clients that read, break off and go away, and look at the traces.

    python tests/servers/run_streams.py [--control]

FastAPI on uvicorn, in a process of its own, sends its runs with LangSmith's own client and its
spans with OpenTelemetry's own exporter to a server of ours. Each request is one tree in both, with
every run and span below the right one; none is left open; and the service prints nothing.

Prints a Markdown report and exits with status 1 if that is not so. With ``--control`` the bodies
are left bare, to show that the checks can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import itertools
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import httpx
from _collector import Collector
from langsmith._internal import _context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _collector import Node

REPEATS = 4
AT_ONCE = 24
CHUNKS = 5
ENDLESS = 200
PATIENCE = 60.0

BODIES = (
    "async",
    "async, holding a run",
    "async, traced",
    "sync",
    "sync, holding a run",
    "sync, traced",
    "graph",
)
# Where the request's run and span are opened. They end with the response in the first and the
# third, when it begins in the second, and before the stream's first step in the last.
ROOTS = ("middleware", "http middleware", "dependency", "endpoint")
CLIENTS = ("read whole", "dropped after a chunk", "aborted at once")

WEAK = hasattr(_context, "_PARENT_RUN_TREE_REF")
OURS = {"request", "stream", "before", "step", "after", "close"}
PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "langsmith",
    "opentelemetry-sdk",
    "langgraph",
    "httpx",
)


class Case(NamedTuple):
    """One request."""

    key: str
    body: str
    root: str
    client: str
    waits: bool

    @property
    def path(self) -> str:
        whole = self.client == "read whole"
        query = {
            "request": self.key,
            "root": self.root,
            "body": self.body,
            "chunks": CHUNKS if whole else ENDLESS,
            # Whoever is not read stands in the middle of a step, or between two of them.
            "large": not whole and not self.waits,
            "waits": not whole and self.waits,
        }
        return f"/{'threaded' if self.root == 'endpoint' else 'stream'}?{urlencode(query)}"

    def accepts(self, tree: str, weak: bool) -> bool:
        """Whether the tree, of our runs alone, is one that this request may have.

        With weak parents the run that a stream holds itself is lost to what it starts while it
        is closed by the garbage collector, which clears weak references first. What it starts
        is then the child of the request.
        """
        if weak and "holding" in self.body and self.client != "read whole":
            tree = tree.replace("), close)", ", close))")
        prefix, suffix = "request(", ")"
        if "holding" in self.body or "traced" in self.body:
            prefix, suffix = "request(stream(", "))"
        if tree == "request":
            return self.client == "aborted at once"  # the stream was never begun
        if not (tree.startswith(prefix) and tree.endswith(suffix)):
            return False
        children = tree[len(prefix) : -len(suffix)].split(", ")
        if self.client == "read whole":
            return children == ["before", *["step"] * CHUNKS, "after", "close"]
        # Whatever else it did, it was closed, once and last.
        order = ["before", *["step"] * children.count("step"), "close"]
        return children == order and ("step" in children or self.client == "aborted at once")


def cases() -> list[Case]:
    made = []
    for number, (_, body, root, client) in enumerate(
        itertools.product(range(REPEATS), BODIES, ROOTS, CLIENTS)
    ):
        made.append(Case(f"r{number}", body, root, client, waits=False))
    # A synchronous body cannot be interrupted in a step. The others are, every other time.
    half = len(made) // 2
    return made[:half] + [
        case._replace(waits=not case.body.startswith("sync")) for case in made[half:]
    ]


async def send(case: Case, client: httpx.AsyncClient, port: int) -> None:
    if case.client == "aborted at once":
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {case.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await writer.drain()
        writer.transport.abort()
        return
    async with client.stream("GET", case.path) as response:
        assert response.status_code == 200, response.status_code
        chunks = 0
        async for chunk in response.aiter_raw():
            chunks += chunk.count(b"\n")
            if case.client == "dropped after a chunk":
                break
        else:
            assert chunks == CHUNKS, f"{case}: {chunks} chunks"


async def send_all(all_cases: list[Case], port: int) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    timeout = httpx.Timeout(PATIENCE)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=timeout, trust_env=False
    ) as client:

        async def limited(case: Case) -> None:
            async with limit:
                await send(case, client, port)

        await asyncio.gather(*map(limited, all_cases))


class Service:
    """The service's process."""

    def __init__(self, collector: Collector, arguments: list[str]) -> None:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LANG", "OTEL_"))},
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": collector.url,
            "LANGSMITH_API_KEY": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "NO_PROXY": "127.0.0.1",
        }
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("_app.py")),
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.complaints = ""
        # Read while it runs: a full pipe would stop it.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.complaints = self._process.stderr.read()  # type: ignore[union-attr]

    def port(self) -> int:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self._reader.join(PATIENCE)
            raise SystemExit(f"the service did not start:\n{self.complaints}")
        return int(line)

    def stop(self) -> dict[str, Any]:
        """Let it end, and return what it says of itself."""
        self._process.stdin.close()  # type: ignore[union-attr]
        said = self._process.stdout.read()  # type: ignore[union-attr]
        if self._process.wait(PATIENCE) != 0:
            raise SystemExit(f"the service failed:\n{self.complaints}")
        self._reader.join(PATIENCE)
        return dict(json.loads(said))

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Verdict:
    """What one tracer's trees are like."""

    def __init__(
        self, nodes: dict[str, Node], by_key: dict[str, Case], begun: list[str], weak: bool
    ) -> None:
        self.nodes = nodes
        self.wrong: Counter[str] = Counter()
        self.orphans = sum(
            node.parent is not None and node.parent not in nodes for node in nodes.values()
        )
        children: dict[str | None, list[Node]] = {}
        for node in sorted(nodes.values(), key=lambda node: node.start):
            if node.name in OURS:
                children.setdefault(self._nearest(node), []).append(node)
        self._children = children
        trees: dict[str, set[str]] = {}
        for node in nodes.values():
            trees.setdefault(self._root(node), set()).add(node.key)
        # FastAPI opens a span for what no request of ours has a part in; nothing of ours is in it.
        self.roots = [root for root, keys in trees.items() if self._has_ours(keys)]
        self.trees = len(self.roots)
        found: Counter[str] = Counter()
        for top in children.get(None, ()):
            if top.request is None or top.name != "request":
                self.wrong[f"a tree of its own: {self._shape(top)}"] += 1
                continue
            found[top.request] += 1
            case = by_key[top.request]
            shape = self._shape(top)
            if not case.accepts(shape, weak):
                self.wrong[f"{case.body}, {case.root}, {case.client}: {shape}"] += 1
        for key in begun:
            if found[key] != 1:
                self.wrong[f"{found[key]} trees of a request"] += 1

    def _has_ours(self, keys: Iterable[str]) -> bool:
        return any(self.nodes[key].name in OURS for key in keys if key in self.nodes)

    def _nearest(self, node: Node) -> str | None:
        """Return the nearest of ours above: frameworks put runs and spans between."""
        above = self.nodes.get(node.parent) if node.parent else None
        while above is not None and above.name not in OURS:
            above = self.nodes.get(above.parent) if above.parent else None
        return None if above is None else above.key

    def _root(self, node: Node) -> str:
        while node.parent in self.nodes:
            node = self.nodes[node.parent]  # type: ignore[index]
        return node.parent or node.key

    def _shape(self, node: Node) -> str:
        below = ", ".join(map(self._shape, self._children.get(node.key, ())))
        return f"{node.name}({below})" if below else node.name


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--control", action="store_true", help="leave the bodies bare: the checks must fail"
    )
    control = parser.parse_args().control
    sent = cases()
    by_key = {case.key: case for case in sent}
    began = time.perf_counter()
    collector = Collector()
    collector.start()
    service = Service(collector, ["--control"] if control else [])
    try:
        asyncio.run(send_all(sent, service.port()))
        said = service.stop()
    finally:
        service.kill()
        collector.stop()
    took = time.perf_counter() - began
    begun, alive = said["begun"], said["alive"]

    print(
        f"# Streams from a server{', bare (control)' if control else ''}, {datetime.date.today()}\n"
    )
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; ", end="")
    print(", ".join(f"{package} {version(package)}" for package in PACKAGES) + f"; {took:.0f} s.\n")

    clients = Counter(case.client for case in sent)
    unseen = Counter(case.client for case in sent if case.key not in set(begun))
    lines = [line for line in service.complaints.splitlines() if line.strip()]
    rows: list[tuple[str, str, bool]] = [
        (
            f"requests: {client}",
            f"{clients[client]} sent, {clients[client] - unseen[client]} begun",
            client == "aborted at once" or not unseen[client],
        )
        for client in CLIENTS
    ]
    rows += [
        ("requests begun", f"{len(begun)}", len(begun) == len(set(begun)) > 0),
        ("lines that the service printed to stderr", f"{len(lines)}", not lines),
        ("runs alive when it had ended", f"{alive}", alive == 0),
    ]
    runs = Verdict(collector.langsmith, by_key, begun, WEAK)
    spans = Verdict(collector.opentelemetry, by_key, begun, False)
    for name, verdict in (("LangSmith", runs), ("OpenTelemetry", spans)):
        rows += [
            (f"{name}: recorded", f"{len(verdict.nodes):,}", bool(verdict.nodes)),
            (f"{name}: trees", f"{verdict.trees}", verdict.trees == len(begun)),
            (
                f"{name}: with a parent that was never recorded",
                f"{verdict.orphans}",
                verdict.orphans == 0,
            ),
            (
                f"{name}: trees other than they must be",
                f"{sum(verdict.wrong.values())}",
                not verdict.wrong,
            ),
        ]
    left_open = Counter(
        node.name for key, node in collector.langsmith.items() if key not in collector.ended_runs
    )
    rows.append(("LangSmith: left open", f"{sum(left_open.values())}", not left_open))
    if collector.refused:
        rows.append(("posts that the collector does not know", str(set(collector.refused)), False))
    print("| what | measured | |")
    print("| --- | --- | --- |")
    for what, measured, good in rows:
        print(f"| {what} | {measured} | {'' if good else 'BAD'} |")
    details = [
        (f"{name}: {text}", n)
        for name, verdict in (("LangSmith", runs), ("OpenTelemetry", spans))
        for text, n in verdict.wrong.most_common(8)
    ]
    details += [(f"left open: {name}", n) for name, n in left_open.items()]
    details += Counter(
        f"printed: {line.split(' <')[0]}" for line in lines if not line.startswith(" ")
    ).most_common(8)
    if details:
        print()
    for text, count in details:
        print(f"* {count:,} times {text[:200]}")
    sound = all(good for *_, good in rows)
    print("\nEvery request is one tree." if sound else "\nNOT SOUND.")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
