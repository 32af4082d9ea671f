"""Where a course's material comes from, and whether this site may fetch from there.

An address is typed by an instructor and used by the site: it must not become a way into the site's
own network, nor into its disk, nor an option of git.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from catalog.errors import BadValue, Refused

_MAX_URL, _MAX_BRANCH, _MAX_PART, _MAX_PARTS = 1000, 200, 100, 4
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NOT_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^[-/.]|[/.]$|\.lock(/|$)")
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ASK = "give the https address of a repository that everybody may read"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the site lets through besides public https: hosts of its own network, one folder.

    `hosts` are ``(scheme, host, port)``; port 0 is any.
    """

    hosts: frozenset[tuple[str, str, int]] = frozenset()
    folder: Path | None = None

    @classmethod
    def parse(cls, hosts: str, folder: Path | None) -> "Allowed":
        """`hosts` as ``PERIJOVE_GIT_HOSTS`` has them: ``git.example.edu, http://10.0.0.5:3000``."""
        found = (_host_entry(entry.strip()) for entry in hosts.split(",") if entry.strip())
        return cls(frozenset(found), folder)

    def names(self, scheme: str, host: str, port: int) -> bool:
        """Whether the site's administrator named this host."""
        return bool({(scheme, host, port), (scheme, host, 0)} & self.hosts)


@dataclass(frozen=True, slots=True)
class Source:
    """A repository that may be fetched. `host` is empty for a folder of this machine."""

    url: str
    branch: str
    host: str = ""
    port: int = 0
    named: bool = False
    """The host may lie in a private network."""


def parse_source(url: str, branch: str, allowed: Allowed) -> Source:
    """Check an address and a branch (empty: the repository's own). Raises BadValue.

    Nothing is looked up: see `addresses_of`.
    """
    url, branch = url.strip(), check_branch(branch)
    if not 0 < len(url) <= _MAX_URL or not url.isprintable() or not url.isascii() or " " in url:
        raise BadValue("material: this is no address of a repository", next=_ASK)
    if url.startswith(("/", "file:")):
        return Source(_folder(url, allowed), branch)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise BadValue("material: this is no address of a repository", next=_ASK) from error
    host = (parts.hostname or "").lower()
    named = allowed.names(parts.scheme, host, port)
    _check_web(parts, host, named=named)
    return Source(url, branch, host, port, named)


def check_branch(branch: str) -> str:
    """The name of a branch or a tag, by git's own rules. Raises BadValue."""
    branch = branch.strip()
    if len(branch) > _MAX_BRANCH or _NOT_IN_BRANCH.search(branch) or not branch.isprintable():
        raise BadValue(
            f"material: {branch[:60]!r} cannot name a branch",
            next="write it like main; leave it empty for the repository's own",
        )
    return branch


def check_folder(folder: str) -> str:
    """The folder of a student's home where the material goes, ``"physics/lab"``. Raises BadValue."""
    parts = folder.strip().strip("/").split("/") if folder.strip("/ ") else []
    sound = all(
        0 < len(part.encode()) <= _MAX_PART
        and part.isprintable()
        and part == part.strip()
        and not part.startswith((".", "-"))
        and "\\" not in part
        for part in parts
    )
    if not sound or len(parts) > _MAX_PARTS:
        raise BadValue(
            f"material: {folder[:60]!r} cannot be a folder of a home",
            next="write it like physics or physics/lab, without a dot at the start",
        )
    return "/".join(parts)


def addresses_of(source: Source) -> tuple[str, ...]:
    """The addresses of the source's host, looked up now: git is to connect to these and no others.

    Raises Refused when one of them is in a private network and the host was not named, or when
    there is none. Blocks while the name is looked up.
    """
    try:
        found = socket.getaddrinfo(source.host, source.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(
            f"there is no host {source.host!r}", next="check the address of the repository"
        ) from error
    addresses = tuple(dict.fromkeys(str(info[4][0]).partition("%")[0] for info in found))
    if not source.named and not all(is_public(ipaddress.ip_address(a)) for a in addresses):
        raise Refused(
            f"{source.host} is in a private network",
            next="an administrator may name the host in PERIJOVE_GIT_HOSTS",
        )
    return addresses


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet, also when one is wrapped in another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def _check_web(parts: SplitResult, host: str, *, named: bool) -> None:
    if parts.scheme not in _PORTS:
        raise BadValue("material: only https addresses are fetched", next=_ASK)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadValue(
            "material: there is a name or a password in the address",
            next="take it out: everybody in the course would see it; the repository must be public",
        )
    if not (_HOST.fullmatch(host) or ":" in host) or parts.query or parts.fragment:
        raise BadValue("material: this is no address of a repository", next=_ASK)
    if parts.scheme == "http" and not named:
        raise BadValue(
            "material: only https addresses are fetched",
            next="use https; an administrator may allow a host in PERIJOVE_GIT_HOSTS",
        )


def _folder(url: str, allowed: Allowed) -> str:
    where = "an administrator may set PERIJOVE_MATERIALS to a folder of repositories"
    if allowed.folder is None:
        raise BadValue("material: folders of this machine are not fetched", next=where)
    top = allowed.folder.resolve()
    path = Path(url.removeprefix("file://")).resolve()
    if not path.is_relative_to(top) or path == top:
        raise BadValue("material: this folder is outside of PERIJOVE_MATERIALS", next=where)
    if not path.is_dir():
        raise BadValue("material: there is no such folder", next="check its name")
    return str(path)


def _host_entry(entry: str) -> tuple[str, str, int]:
    """Raises BadValue."""
    try:
        parts = urlsplit(entry if "://" in entry else f"https://{entry}")
        port = parts.port or 0
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), 0
    host = (parts.hostname or "").lower()
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in _PORTS or not host or not plain:
        raise BadValue(
            f"{entry!r} is no host", next="write git.example.edu or http://10.0.0.5:3000"
        )
    if parts.scheme == "http" and not port:
        port = _PORTS["http"]
    return parts.scheme, host, port
