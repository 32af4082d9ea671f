import json
import os
import random
import socket
from pathlib import Path

import pytest

from catalog.errors import BadSetup
from hub.settings import Settings
from hub.up.ports import NAMES, choose_port, demand_public_port, settle_ports

PUBLIC = 8000


def test_ports_are_chosen_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = settle_ports(path, PUBLIC)
    assert set(first.ports) == set(NAMES)
    assert len(set(first.ports.values())) == len(NAMES)
    assert settle_ports(path, PUBLIC) == first
    assert json.loads(path.read_text()) == first.ports


def test_a_port_that_a_stranger_took_is_chosen_anew_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    kept = settle_ports(path, PUBLIC).ports
    with socket.create_server(("127.0.0.1", kept["hub"])):
        assert settle_ports(path, PUBLIC, serving={"hub"}).ports == kept
        moved = settle_ports(path, PUBLIC)
    assert moved.ports["hub"] != kept["hub"]
    assert {n: p for n, p in moved.ports.items() if n != "hub"} == {
        n: p for n, p in kept.items() if n != "hub"
    }
    assert f"(pid {os.getpid()})" in moved.warnings[0]
    assert "notebooks" in moved.warnings[0]


def test_no_port_is_that_of_people_or_of_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ports.json"
    kept = settle_ports(path, PUBLIC).ports
    # What chance offers first is what others were promised, and nobody listens there yet.
    offers = iter((PUBLIC, kept["control"], kept["proxy_api"], spare := choose_port(kept.values())))
    monkeypatch.setattr(random, "randrange", lambda *_: next(offers))
    with socket.create_server(("127.0.0.1", kept["hub"])):
        moved = settle_ports(path, PUBLIC)
    assert moved.ports == {**kept, "hub": spare}


def test_ports_that_were_given_twice_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    kept = settle_ports(path, PUBLIC).ports
    path.write_text(json.dumps({**kept, "portal": kept["hub"]}))
    mended = settle_ports(path, kept["control"], serving=NAMES)
    assert mended.ports["hub"] == kept["hub"]
    assert len({kept["control"], *mended.ports.values()}) == len(NAMES) + 1
    assert len(mended.warnings) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"hub": "x"}', '{"hub": 99999999}'])
def test_a_broken_file_is_made_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ports.json"
    path.write_text(content)
    assert set(settle_ports(path, PUBLIC).ports) == set(NAMES)


def test_a_public_port_in_use_names_its_holder_and_a_free_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=choose_port())
    demand_public_port(settings)
    words = f"port {settings.port} is in use by .*{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", settings.port)),
        pytest.raises(BadSetup, match=words) as e,
    ):
        demand_public_port(settings)
    assert "PERIJOVE_PORT=" in e.value.next


def test_an_address_of_another_machine_is_told_apart_from_a_taken_port(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="not an address of this machine"):
        demand_public_port(Settings(home=tmp_path, ip="192.0.2.1", port=choose_port()))
