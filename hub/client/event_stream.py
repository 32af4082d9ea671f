"""A workload's events as the server sends them, over broken connections and restarts."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from hub.client.errors import Json, unreachable
from hub.client.transport import RETRY_AFTER_S, Transport


def follow(transport: Transport, path: str) -> Iterator[Json]:
    """Each event once, in order, until the server says that there will be no more.

    Takes up after the last one when the connection breaks or the server closes it; raises
    Unavailable when it cannot be reached again.
    """
    last, failures = "", 0
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        try:
            with transport.lines(path, headers) as lines:
                failures = 0
                for message in messages(lines):
                    if message.is_end:
                        return
                    if not message.id or message.id != last:
                        yield message.data
                    last = message.id or last
        except httpx.TransportError as error:
            if failures == len(RETRY_AFTER_S):
                raise unreachable(transport.url, error) from error
        transport.rest(RETRY_AFTER_S[failures])
        failures += 1


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event that carries a JSON object, or says that it was the last."""

    id: str
    data: Json
    is_end: bool = False


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """Lines of a stream → its messages; one whose data is not a JSON object is left out."""
    kind, id_, data = "", "", ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if kind == "end":
                yield Message(id_, {}, is_end=True)
            elif (document := _object(data)) is not None:
                yield Message(id_, document)
            kind, data = "", ""
        elif field == "event":
            kind = value
        elif field == "id":
            id_ = value
        elif field == "data":
            data += value + "\n"


def _object(data: str) -> Json | None:
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
