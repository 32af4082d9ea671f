"""Control's reading of HTTP, through a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from hub.bounded_http import MOST_HEAD_BYTES, BoundedHttp

WITHIN_S = 30


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers how long the body is."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    text = str(length).encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(app, port=0, http=BoundedHttp, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.shutdown()


async def answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The status line, and the body."""
    async with asyncio.timeout(WITHIN_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        return head.partition("\r\n")[0], await reader.readexactly(length)


HEAD = b"GET / HTTP/1.1\r\nhost: here\r\nlong: "


async def test_a_head_that_is_too_long_is_refused_in_words() -> None:
    async with connection() as (reader, writer):
        writer.write(HEAD + b"x" * MOST_HEAD_BYTES)
        status, body = await answer(reader)
        assert status.endswith("400 Bad Request")
        assert body == b"The head of the request is too long."
        async with asyncio.timeout(WITHIN_S):
            assert await reader.read() == b"", "it is closed"


async def test_a_head_without_an_end_is_cut_off_before_it_fills_the_memory() -> None:
    async def send_for_ever(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async with connection() as (_, writer):
        writer.write(HEAD)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(writer), WITHIN_S)


async def test_long_bodies_and_many_requests_on_one_connection_are_no_long_heads() -> None:
    body = b"x" * (3 * MOST_HEAD_BYTES)
    head = f"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with connection() as (reader, writer):
        for _ in range(3):
            writer.write(head + body)
            assert await answer(reader) == ("HTTP/1.1 200 OK", str(len(body)).encode())
        for _ in range(2000):
            writer.write(b"GET / HTTP/1.1\r\nhost: here\r\nname: " + b"y" * 40 + b"\r\n\r\n")
            assert (await answer(reader))[1] == b"0"
