"""A port that was given to a server is nobody else's while the server is on its way to it."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog.errors import Unavailable
from hub import notebook_ports
from hub.notebook_ports import NotebookPorts


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> range:
    monkeypatch.setattr(notebook_ports, "first_outgoing", lambda: 0)
    return range(notebook_ports.LOWEST, notebook_ports.LOWEST + 1000)


def test_many_threads_are_given_different_ones_though_nobody_listens_yet() -> None:
    ports = NotebookPorts()
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda _: ports.take(), range(400)))
    assert len(set(given)) == 400


def test_no_outgoing_connection_can_have_one() -> None:
    first = notebook_ports.first_outgoing()
    assert all(notebook_ports.LOWEST <= NotebookPorts().take() < first for _ in range(20))


def test_one_that_somebody_listens_on_is_left_out(few: range) -> None:
    ports = NotebookPorts()
    port = ports.take()
    with socket.create_server(("127.0.0.1", port)):
        given = [ports.take() for _ in few]
    assert port not in given
    assert set(given) <= set(few)


def test_none_is_free(few: range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook_ports, "is_free", lambda _, port: port not in few)
    with pytest.raises(Unavailable, match="no port between 16000 and 16999 is free"):
        NotebookPorts().take()
