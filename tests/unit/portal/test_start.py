import json
import os
import subprocess
import sys
from pathlib import Path


def run(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portal"],
        env={**os.environ, "PERIJOVE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_set_up_error_is_one_line_of_json_and_exit_code_78(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 78
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "bad-setup"
    assert "perijove up" in error["next"]


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "run").mkdir()
        (tmp_path / "secrets").mkdir()
        port = taken.getsockname()[1]
        ports = {"portal": port, "hub": 1, "control": 1}
        (tmp_path / "run" / "ports.json").write_text(json.dumps(ports))
        for name in ("hub_portal", "portal_session"):
            (tmp_path / "secrets" / name).write_text("x")
        done = run(tmp_path)
    assert done.returncode == 78
    assert str(port) in json.loads(done.stderr)["error"]["message"]
