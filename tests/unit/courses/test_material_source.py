"""From where material may be fetched: public https, what an administrator named, nothing else."""

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue, PerijoveError, Refused
from hub.courses.material_source import (
    Allowed,
    Source,
    addresses_of,
    check_branch,
    check_folder,
    is_public,
    parse_source,
)

NOTHING = Allowed()
GOOD = "https://git.example.org/phys/lab.git"


def test_a_public_https_repository_is_a_source() -> None:
    assert parse_source(f" {GOOD} ", "main", NOTHING) == Source(
        GOOD, "main", "git.example.org", 443
    )
    assert parse_source("https://git.example.org:8443/a", "", NOTHING).port == 8443


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "git.example.org/a", "ssh://git@git.example.org/a", "git@git.example.org:a/b.git",
        "git://git.example.org/a", "ext::sh -c id", "fd::17", "--upload-pack=touch /tmp/x",
        "-oProxyCommand=id", "http://git.example.org/a", "https://u:p@git.example.org/a",
        "https://token@git.example.org/a", "https://@git.example.org/a", "https:///a", "https://",
        "https://git.example.org/a\nb", "https://git.example.org/a b", "https://exämple.org/a",
        "https://git.example.org:99999/a", "https://git.example.org:x/a", "https://[::1/a",
        "https://git.example.org/a?x=1", "https://git.example.org/a#b", "https://-a/b",
        "HTTPS+x://git.example.org/a", "file:///etc", "/etc", "https://" + "a" * 2000,
        "https://git.example.org/\x00", "ftp://git.example.org/a", "https://a_b/c",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_in_words(url: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_source(url, "", NOTHING)
    assert caught.value.message.startswith("material: ")
    assert caught.value.next


@given(st.text(max_size=60), st.text(max_size=20))
def test_whatever_is_typed_is_answered(url: str, branch: str) -> None:
    try:
        found = parse_source(url, branch, NOTHING)
    except BadValue:
        return
    assert found.url.startswith("https://")
    assert found.host
    assert not found.branch.startswith("-")


def test_a_host_of_the_own_network_must_be_named() -> None:
    allowed = Allowed.parse("git.intern, http://10.0.0.5:3000,https://[fd00::1]:444", None)
    assert parse_source("https://git.intern:9000/a", "", allowed).named
    assert parse_source("http://10.0.0.5:3000/a", "", allowed).named
    assert parse_source("https://[fd00::1]:444/a", "", allowed).named
    assert not parse_source("https://other.intern/a", "", allowed).named
    for url in ("http://10.0.0.5/a", "http://git.intern/a", "http://10.0.0.5:3001/a"):
        with pytest.raises(BadValue):
            parse_source(url, "", allowed)


@pytest.mark.parametrize("entry", ["ssh://a", "http://", "https://a/b", "a:x", "u@h", "http://u@h"])
def test_a_wrong_entry_of_the_setting_is_named(entry: str) -> None:
    with pytest.raises(BadValue):
        Allowed.parse(f"good.example.org, {entry}", None)


def test_folders_only_below_the_one_that_was_set(tmp_path: Path) -> None:
    top = tmp_path / "materials"
    (top / "physics").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (top / "out").symlink_to(tmp_path / "secret")
    allowed = Allowed(folder=top)
    assert parse_source(f"file://{top}/physics", "", allowed).url == str(top / "physics")
    assert parse_source(str(top / "physics"), "", allowed).host == ""
    for url in (f"{top}/../secret", f"{top}/out", str(top), str(tmp_path / "materials2"), "/etc"):
        with pytest.raises(BadValue, match="outside of"):
            parse_source(url, "", allowed)
    with pytest.raises(BadValue, match="no such folder"):
        parse_source(f"{top}/nothing", "", allowed)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254",
        "0.1.2.3", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "ff02::1", "2001:0:7f00:1::",
    ],
)  # fmt: skip
def test_private_addresses_are_known_in_every_dress(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["140.82.121.4", "2606:50c0:8000::153", "64:ff9b::8c52:7904"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_name_that_leads_into_the_own_network_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["140.82.121.4", "10.0.0.7"]

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    source = parse_source(GOOD, "", NOTHING)
    with pytest.raises(Refused, match="private network") as caught:
        addresses_of(source)
    assert "PERIJOVE_GIT_HOSTS" in caught.value.next
    named = parse_source(GOOD, "", Allowed.parse("git.example.org", None))
    assert addresses_of(named) == ("140.82.121.4", "10.0.0.7")
    found.remove("10.0.0.7")
    assert addresses_of(source) == ("140.82.121.4",)


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Refused, match="there is no host"):
        addresses_of(parse_source(GOOD, "", NOTHING))


@pytest.mark.parametrize("branch", ["main", "term/2026", "v1.2", "übung", "a-b_c", "x@y", ""])
def test_branches(branch: str) -> None:
    assert check_branch(f" {branch} ") == branch


@pytest.mark.parametrize(
    "branch",
    [
        "-x", "--upload-pack=id", "a..b", "a b", "a:b", "a~1", "a^", "a?", "a*", "a[", "a\\b",
        "a@{1}", "/a", "a/", "a//b", "a.lock", "a.lock/b", ".a", "a/.b", "a.", "a\x7f", "a\nb",
        "x" * 300,
    ],
)  # fmt: skip
def test_what_git_would_not_take_as_a_branch(branch: str) -> None:
    with pytest.raises(BadValue):
        check_branch(branch)


@pytest.mark.parametrize(
    ("folder", "kept"), [("", ""), ("physics", "physics"), (" physics/lab/ ", "physics/lab")]
)
def test_folders_of_a_home(folder: str, kept: str) -> None:
    assert check_folder(folder) == kept


@given(st.text(alphabet="ab./\\ -~\0\n", max_size=12))
def test_no_folder_leads_out_of_the_home(folder: str) -> None:
    try:
        found = check_folder(folder)
    except PerijoveError:
        return
    assert not any(part.startswith(".") for part in found.split("/"))
    assert (Path("/home/x") / found).resolve().is_relative_to("/home/x")
    assert found.isprintable()
