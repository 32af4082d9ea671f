"""Python kernels of the server's own environment are forked from a process that is ready for it.

All others, and those where anything stands against it, start as they do without Perijove.
"""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from traitlets.config import SingletonConfigurable

from .kernel_fork import Forked, Zygote

log = logging.getLogger("perijove.kernels")

NAME = "perijove-forking"
_DEFAULT = "local-provisioner"
_LAUNCHER = ["-m", "ipykernel_launcher"]
_KNOWN = {"env", "cwd", "kernel_id", "extra_arguments"}
"""Options of a start that a fork follows; with any other, the kernel starts as without it."""
AGAIN_S = 30.0
"""So long after a zygote was started the next one may be."""


class Keeper:
    """The zygote of this server, once a page has been opened or a kernel was wanted."""

    def __init__(self) -> None:
        self._zygote: Zygote | None = None
        self._began = -AGAIN_S

    def have_ready(self) -> None:
        """Start it, where there is none that is any good. Repeatable; waits for nothing."""
        gone = self._zygote is None or self._zygote.worn_out
        if not gone or time.monotonic() - self._began < AGAIN_S:
            return
        self._began = time.monotonic()
        try:
            self._zygote = Zygote()
        except OSError:
            log.exception("kernel-zygote-failed")

    async def fork(self, command: list[str], options: dict[str, Any]) -> Forked | None:
        """The kernel that runs this command; None where it has to be started anew."""
        if command[:3] != [sys.executable, *_LAUNCHER] or options.keys() - _KNOWN:
            return None
        env = options.get("env") or dict(os.environ)
        self.have_ready()
        if self._zygote is None or not await self._zygote.suits(env):
            return None
        forked = await self._zygote.fork(command, env, options.get("cwd"))
        if isinstance(forked, str):
            log.warning("kernel-not-forked: %s", forked)
            return None
        return forked


keeper = Keeper()


class ForkingProvisioner(LocalProvisioner):
    """Jupyter's own way to start a kernel, and a fork in its place where that means the same."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        forked = await keeper.fork(cmd, kwargs)
        if forked is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process, self.pid, self.pgid = forked, forked.pid, forked.pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        return self.connection_info


class KnowingFactory(KernelProvisionerFactory):
    """It knows what is installed, where nothing has been installed since somebody looked."""

    def __init__(self, **kwargs: Any) -> None:
        # Not that of its class, which looks for itself.
        SingletonConfigurable.__init__(self, **kwargs)
        self.provisioners.update({one.name: one for one in provisioners()})


def provisioners() -> Sequence[EntryPoint]:
    """All that are installed. The first look reads a file of every package."""
    stamps = set[tuple[str, int]]()
    for place in sys.path:
        with contextlib.suppress(OSError):
            stamps.add((place, Path(place).stat().st_mtime_ns))
    return _provisioners_at(frozenset(stamps))


@lru_cache(maxsize=1)
def _provisioners_at(stamps: frozenset[tuple[str, int]]) -> Sequence[EntryPoint]:
    """While those folders were changed last at those times."""
    del stamps
    return tuple(entry_points(group=KernelProvisionerFactory.GROUP_NAME))


def offer(app: Any) -> None:
    """Let kernels be forked that name no provisioner of their own. A default that somebody chose
    stays."""
    KernelProvisionerFactory.provisioners[NAME] = EntryPoint(
        NAME, f"{__name__}:ForkingProvisioner", KernelProvisionerFactory.GROUP_NAME
    )
    begun = KernelProvisionerFactory.initialized()
    factory = (KernelProvisionerFactory if begun else KnowingFactory).instance(parent=app)
    if factory.default_provisioner_name == _DEFAULT:
        factory.default_provisioner_name = NAME
