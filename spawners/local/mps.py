"""One MPS control daemon for each attempt with a part of an NVIDIA device.

A client's own variables can only tighten the limits of its daemon. So each tenant has a daemon
of its own that carries the limits in its environment; the shim starts it before the command and
tells it to quit at the end.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catalog.inventory import Mode, Share
from spawners.engine import PermanentError
from spawners.local.gpu import mps_limits

COMMAND = "nvidia-cuda-mps-control"
START_TIMEOUT_S = 15


@dataclass(frozen=True, slots=True)
class MpsDaemon:
    """How to run one daemon: `env` is all of its environment."""

    command: str
    directory: Path
    env: dict[str, str]

    def as_run(self) -> dict[str, object]:
        """What the shim needs, for the run file."""
        return {"command": self.command, "env": self.env, "timeout_s": START_TIMEOUT_S}


def needs_mps(shares: Sequence[Share]) -> bool:
    """Whether a share is a part of a real NVIDIA device."""
    return any(share.mode is Mode.MPS and not share.emulated for share in shares)


def find_command() -> str | None:
    """The control program, or None where NVIDIA's driver does not bring it."""
    return shutil.which(COMMAND)


def plan_daemon(
    shares: Sequence[Share], directory: Path, command: str, marker: tuple[str, str]
) -> MpsDaemon:
    """The daemon for `shares` with its pipes under `directory`; pure.

    `marker` is an environment variable by which the engine finds a daemon that its shim left.
    """
    env = {
        "PATH": os.defpath,
        "CUDA_VISIBLE_DEVICES": ",".join(share.device_id for share in shares),
        "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(directory / "log"),
        **mps_limits(shares),
        marker[0]: marker[1],
    }
    return MpsDaemon(command, directory, env)


def make_places(directory: Path, gid: int | None) -> None:
    """Make the daemon's directories: only the group `gid` reaches the pipes, nobody the logs.

    Whoever reaches the pipes can use the share. They stay the daemon's own, so that the person
    cannot put a link where the daemon writes. Raises PermanentError.
    """
    try:
        for above in (directory.parent.parent, directory.parent):
            if not above.is_dir():
                above.mkdir(parents=True, exist_ok=True)
                # Whatever this process's umask is, the person must get through.
                above.chmod(0o711)
        directory.mkdir(mode=0o700, exist_ok=True)
        if gid is not None:
            os.chown(directory, -1, gid)
            directory.chmod(0o710)
        (directory / "log").mkdir(mode=0o700, exist_ok=True)
        (directory / "pipe").mkdir(exist_ok=True)
        (directory / "pipe").chmod(0o755)
    except OSError as error:
        text = f"could not make the MPS pipes in {error.filename or directory}: {error.strerror}"
        raise PermanentError(text) from error


def quit_daemon(directory: Path, timeout_s: float = 5) -> None:
    """Tell a daemon that its shim left behind to quit, and remove its places. Repeatable."""
    command = find_command()
    if command and (directory / "pipe").is_dir():
        env = {"PATH": os.defpath, "CUDA_MPS_PIPE_DIRECTORY": str(directory / "pipe")}
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [command],
                env=env,
                input=b"quit\n",
                timeout=timeout_s,
                check=False,
                capture_output=True,
            )
    shutil.rmtree(directory, ignore_errors=True)
