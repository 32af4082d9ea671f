"""A git server for tests: git's own ``http-backend`` on 127.0.0.1, and what a hostile one does.

``/repos/NAME`` are the repositories of a folder; ``/moved/NAME`` leads to them; ``/endless`` never
ends; ``/hang`` never answers.
"""

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ENV = {
    "PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
}  # fmt: skip


def git(*args: str, asked: bytes = b"") -> str:
    """Run git as a teacher does; what it printed."""
    done = subprocess.run(["git", *args], env=_ENV, input=asked, capture_output=True, check=True)
    return done.stdout.decode().strip()


class Repository:
    """A teacher's repository with a work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git("init", "-q", "-b", "main", str(folder))

    def publish(self, **files: str | bytes) -> str:
        """Write files (``a__txt`` is ``a.txt``) and commit; the commit's id."""
        for name, content in files.items():
            path = self.folder / name.replace("__", ".")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit()

    def commit(self) -> str:
        git("-C", str(self.folder), "add", "-A")
        git("-C", str(self.folder), "commit", "-q", "--allow-empty", "-m", "x")
        return git("-C", str(self.folder), "rev-parse", "HEAD")

    def publish_tree(self, listing: str) -> str:
        """A commit of a tree that ``git add`` would not make, as ``git mktree`` reads it."""
        folder = ("-C", str(self.folder))
        tree = git(*folder, "mktree", "--missing", asked=listing.encode())
        commit = git(*folder, "commit-tree", "-m", "x", tree)
        git(*folder, "update-ref", "refs/heads/main", commit)
        return commit

    def blob(self, content: str) -> str:
        return git("-C", str(self.folder), "hash-object", "-w", "--stdin", asked=content.encode())


class GitHttp(ThreadingHTTPServer):
    """Counts what it is asked for."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    @property
    def site(self) -> GitHttp:
        assert isinstance(self.server, GitHttp)
        return self.server

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        self.site.asked.append(self.path)
        with contextlib.suppress(OSError):
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.replace("/moved/", "/repos/", 1))
                self.end_headers()
            elif self.path.startswith("/endless"):
                self._endless()
            elif self.path.startswith("/hang"):
                self.site.over.wait(30)
            elif self.path.startswith("/repos/"):
                self._backend(body)
            else:
                self.send_error(404)

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.end_headers()
        while not self.site.over.is_set():
            self.wfile.write(b"0100" + b"x" * 252)

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = _ENV | {
            "GIT_PROJECT_ROOT": str(self.site.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.removeprefix("/repos"), "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(
            ["git", "http-backend"], env=env, input=body, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
        status = next((v for n, _, v in lines if n == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, _, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        pass


@contextmanager
def serving(folder: Path) -> Iterator[GitHttp]:
    """A server of the repositories in `folder`, in a thread."""
    with GitHttp(folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join(5)
