"""Timelines to draw: a service that loses three runs, 5,000 runs, names that would do harm."""

from __future__ import annotations

from typing import Any

BEGIN = 1_795_000_000.0
FILES = "/home/ada/shop/app"

# What a browser would do something about, if it ever took it for markup.
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>alert(2)",
    "\u2028alert(3)\u2029//",
    "\x1b]0;title\x07\x1b[31m",
    "'\"><svg onload=alert(4)>",
    "@@script@@ & &lt;b&gt; \udc80 \u202e{{7*7}}",
    "javascript:alert(5)",
)


class Timeline:
    """Builds what `page` takes. Times are milliseconds since the beginning."""

    def __init__(self, title: str) -> None:
        self.data: dict[str, Any] = {
            "title": title,
            "lanes": [],
            "runs": [],
            "crossings": [],
            "losses": [],
            "runs_not_kept": 0,
        }

    def lane(self, thread: str, task: str | None = None) -> int:
        lane = {"thread": thread, "task": task}
        if lane not in self.data["lanes"]:
            self.data["lanes"].append(lane)
        return self.data["lanes"].index(lane)

    def run(
        self,
        name: str,
        lane: int,
        start: float,
        end: float | None,
        parent: str | None = None,
        *,
        source: str = "langsmith",
        error: bool = False,
        loss: int | None = None,
    ) -> str:
        identifier = f"r{len(self.data['runs'])}"
        self.data["runs"].append(
            {
                "id": identifier,
                "parent": parent,
                "name": name,
                "source": source,
                "lane": lane,
                "start": BEGIN + start / 1e3,
                "end": None if end is None else BEGIN + end / 1e3,
                "error": error,
                "loss": loss,
            }
        )
        return identifier

    def cross(
        self,
        kind: str,
        lane: int,
        when: float,
        lane_there: int | None,
        when_there: float | None,
        run: str | None,
        *,
        file: str | None = f"{FILES}/service.py",
        line: int = 20,
        function: str = "answer",
        loss: int | None = None,
    ) -> None:
        self.data["crossings"].append(
            {
                "kind": kind,
                "lane": lane,
                "when": BEGIN + when / 1e3,
                "lane_there": lane_there,
                "when_there": None if when_there is None else BEGIN + when_there / 1e3,
                "file": file,
                "line": line,
                "function": function,
                "run": run,
                "loss": loss,
            }
        )

    def lose(self, run: str, kind: str, left: int, arrived: int | None, **said: Any) -> int:
        lanes = self.data["lanes"]
        self.data["losses"].append(
            {
                "run": run,
                "source": "langsmith",
                "how": "split",
                "kind": kind,
                "file": f"{FILES}/service.py",
                "line": 20,
                "function": "answer",
                "package": None,
                "caller": ["answer"],
                "left": lanes[left],
                "arrived": {"thread": None, "task": None} if arrived is None else lanes[arrived],
                "consumer": None,
                "fix": {"use": "wrap", "text": "ctxtrace.wrap(function)"},
                "times": 1,
                **said,
            }
        )
        return len(self.data["losses"]) - 1


def service() -> dict[str, Any]:
    """Two requests of a service: a run split off in a pool, one never recorded, one span leaked."""
    made = Timeline("shop/service.py")
    main = made.lane("MainThread")
    asks = [made.lane("MainThread", f"request-{number}") for number in (1, 2)]
    grade = made.lane("MainThread", "grade")
    pool = [made.lane(f"ThreadPoolExecutor-0_{number}") for number in (0, 1)]
    mail = made.lane("Thread-4 (send_receipt)")
    split = made.lose(
        "rerank",
        "ThreadPoolExecutor.submit",
        asks[0],
        pool[1],
        file=f"{FILES}/nodes/rank.py",
        line=42,
        function="rank_documents",
        caller=["answer", "retrieve"],
        fix={"use": "ThreadPoolExecutor", "text": "from ctxtrace import ThreadPoolExecutor"},
        times=2,
    )
    missing = made.lose(
        "send_receipt",
        "Thread.start",
        asks[1],
        mail,
        how="missing",
        file=f"{FILES}/mail.py",
        line=17,
        function="confirm",
        caller=["answer", "check_out"],
        fix={"use": "Thread", "text": "from ctxtrace import Thread"},
    )
    leak = made.lose(
        "score answer",
        "a span held over a yield",
        asks[0],
        grade,
        source="otel",
        how="leak",
        file=f"{FILES}/nodes/stream.py",
        line=8,
        function="tokens",
        caller=["answer", "write"],
        consumer={"file": f"{FILES}/service.py", "line": 61},
        fix={"use": "streaming", "text": "@ctxtrace.streaming on the generator function"},
    )
    startup = made.run("load index", main, 0, 31)
    made.run("open collection", main, 6, 27, startup, source="otel")
    for number, begin in enumerate((40.0, 74.0)):
        ask = asks[number]
        answer = made.run("answer", ask, begin, begin + 206)
        made.cross(
            "asyncio.create_task", main, begin - 3, ask, begin, None, line=12, function="serve"
        )
        plan = made.run("plan", ask, begin + 3, begin + 24, answer)
        made.run("ChatModel", ask, begin + 5, begin + 22, plan)
        retrieve = made.run("retrieve", ask, begin + 28, begin + 112, answer)
        made.run("embed question", ask, begin + 30, begin + 41, retrieve, source="otel")
        made.cross(
            "ThreadPoolExecutor.submit", ask, begin + 44, pool[0], begin + 46, retrieve, line=33
        )
        made.run("search", pool[0], begin + 46, begin + 66, retrieve, error=number == 1)
        made.cross(
            "ThreadPoolExecutor.submit",
            ask,
            begin + 68,
            pool[1],
            begin + 71,
            retrieve,
            file=f"{FILES}/nodes/rank.py",
            line=42,
            function="rank_documents",
            loss=split,
        )
        rerank = made.run("rerank", pool[1], begin + 71.5, begin + 100, None, loss=split)
        made.run("score pairs", pool[1], begin + 74, begin + 98, rerank, source="otel")
        write = made.run("write", ask, begin + 118, begin + 190, answer)
        made.run("ChatModel", ask, begin + 120, begin + 186, write)
        if number == 0:
            stream = made.run("stream tokens", ask, begin + 126, begin + 184, write, source="otel")
            made.cross(
                "a span held over a yield",
                ask,
                begin + 140,
                grade,
                begin + 148,
                stream,
                file=f"{FILES}/nodes/stream.py",
                line=8,
                function="tokens",
                loss=leak,
            )
            made.run(
                "score answer", grade, begin + 148, begin + 199, stream, source="otel", loss=leak
            )
        else:
            out = made.run("check_out", ask, begin + 192, begin + 204, answer)
            made.cross(
                "Thread.start",
                ask,
                begin + 194,
                mail,
                begin + 196,
                out,
                file=f"{FILES}/mail.py",
                line=17,
                function="confirm",
                loss=missing,
            )
    made.run("heartbeat", main, 60, None)
    return made.data


def crowd(runs: int = 5_000, crossings: int = 10_000) -> dict[str, Any]:
    """As much as a report may hold: 40 threads with 5 tasks each, and 50 losses."""
    made = Timeline("crowd.py")
    lanes = [made.lane(f"worker_{n // 5}", f"Task-{n}" if n % 5 else None) for n in range(200)]
    for number in range(50):
        made.lose(
            f"lost {number}",
            "ThreadPoolExecutor.submit",
            lanes[0],
            lanes[number],
            line=number,
            times=20,
        )
    last: dict[int, str] = {}
    for number in range(runs):
        lane = lanes[number * 7 % len(lanes)]
        start = number * 2.0
        below = number % 3
        loss = number // 5 % 50 if number % 5 == 0 else None
        last[lane] = made.run(
            f"step {number}",
            lane,
            start,
            start + (400.0, 300.0, 90.0)[below],
            last.get(lane) if below and loss is None else None,
            source=("langsmith", "otel")[number % 2],
            loss=loss,
        )
    for number in range(crossings):
        run = made.data["runs"][number * runs // crossings]
        there = made.data["runs"][min(number * runs // crossings + 5, runs - 1)]
        made.cross(
            "ThreadPoolExecutor.submit",
            run["lane"],
            (run["start"] - BEGIN) * 1e3 + 1,
            there["lane"],
            (there["start"] - BEGIN) * 1e3,
            run["id"],
            line=number % 300,
            loss=there["loss"] if number % 2 else None,
        )
    made.data["runs_not_kept"] = 12_345
    return made.data


def empty() -> dict[str, Any]:
    return Timeline("nothing.py").data


def whole() -> dict[str, Any]:
    """A program that lost nothing."""
    made = Timeline("whole.py")
    main, worker = made.lane("MainThread"), made.lane("worker_0")
    outer = made.run("outer", main, 0, 20)
    made.cross("ThreadPoolExecutor.submit", main, 4, worker, 5, outer)
    made.run("inner", worker, 5, 15, outer)
    return made.data


def hostile() -> dict[str, Any]:
    """Every text in it is one of the names that would do harm."""
    made = Timeline(HOSTILE[0])
    for number, name in enumerate(HOSTILE):
        lane, there = made.lane(name), made.lane(name, name)
        loss = made.lose(
            name,
            name,
            lane,
            there,
            source=name,
            how=name,
            file=name,
            function=name,
            package=name,
            caller=list(HOSTILE),
            consumer={"file": name, "line": number},
            fix={"use": name, "text": name},
        )
        outer = made.run(name, lane, 10 * number, 10 * number + 9, source=name, error=True)
        made.cross(
            name,
            lane,
            10 * number + 2,
            there,
            10 * number + 3,
            outer,
            file=name,
            function=name,
            loss=loss,
        )
        made.run(name, there, 10 * number + 3, None, loss=loss)
    return made.data
