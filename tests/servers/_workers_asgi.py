"""The same application in FastAPI, for uvicorn and for gunicorn's uvicorn workers."""

from __future__ import annotations

from typing import Any

from _workers_app import USES, record
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

LIFESPAN: dict[str, Any] = {}
if "lifespan" in USES:
    from ctxtrace import flush_lifespan

    LIFESPAN = {"lifespan": flush_lifespan()}

app = FastAPI(**LIFESPAN)


@app.get("/")
async def answer(request: Request) -> PlainTextResponse:
    key = request.url.query
    record(key)
    return PlainTextResponse(key)


@app.get("/threaded")
def answer_in_a_thread(request: Request) -> PlainTextResponse:
    key = request.url.query
    record(key)
    return PlainTextResponse(key)
