"""A template of the real notebook environment, with all that a JupyterLab imports."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from blueprints.notebook import JUPYTER_CONFIG, MARKS, MODULES, OPTIONS, Environment
from spawners.engine import Template
from tests.live import ROOT
from tests.unit.forking.conftest import SOMEBODY, Forks

NOTEBOOKS = ROOT / ".envs" / "notebook"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NOTEBOOKS.exists(), reason="needs the notebook environment: make up"),
]


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    found = Environment.load(NOTEBOOKS.resolve())
    inside = (str(JUPYTER_CONFIG / "server"),)
    template = Template(str(found.python), MODULES, found.extra, MARKS, inside)
    forks = Forks(tmp_path_factory.mktemp("labs"), Path("/sys/fs/cgroup"), template)
    yield forks
    forks.close()


def env_of(forks: Forks, name: str) -> dict[str, str]:
    return {
        **forks.template.env, "HOME": f"/home/{name}", "USER": name, "LOGNAME": name,
        "JUPYTERHUB_SERVICE_PREFIX": f"/user/{name}/x/", "JUPYTERHUB_API_URL": f"http://{name}/hub/api",
    }  # fmt: skip


_LEFT = """
import gc, sys
marks = ["perijove-" + "template-" + word for word in ("home", "user", "logname", "prefix", "hub")]
own = [one for one in gc.get_objects() if type(one).__module__.startswith("spawners.")]
known = {id(part) for one in own for part in (one, *gc.get_referents(one), *gc.get_referents(
    *gc.get_referents(one)))} | {id(marks)}
planted = [marks[0] + " is found"]
told = [f"{type(one).__name__} {str(one)[:200]}" for one in gc.get_objects() if id(one) not in known
        for part in gc.get_referents(one)
        if isinstance(part, (str, bytes))
        and any(m in (part if isinstance(part, str) else part.decode("latin-1")) for m in marks)]
told = [sorted(told), len(sys.modules) > 500, "jupyterlab.labapp" in sys.modules]
"""


def test_no_mark_is_in_any_object_of_a_fork(labs: Forks) -> None:
    left, many, lab = labs.tell("marks", _LEFT, env_of(labs, "ada"), memory_bytes=2**30)
    (planted,) = left
    assert planted.endswith("is found']")
    assert (many, lab) == (True, True)


_AHEAD = """
import atexit, gc, logging, threading
from jupyterlab.commands import get_app_dir
from perijove_inside import kernels, pages
from traitlets.config import SingletonConfigurable
def below(kind): return {one for sub in kind.__subclasses__() for one in (sub, *below(sub))}
begun = sorted(kind.__name__ for kind in below(SingletonConfigurable) if kind.initialized())
known = [key for key in pages.of_lab._known]
folder = os.path.join(get_app_dir(), "static")
import pathlib
pages.translate(pathlib.Path(folder))
sys.path.append(os.path.dirname(os.path.dirname(kernels.__file__)))  # as a server does
kernels.provisioners()
import jinja2, types
from perijove_inside import lab_assets
lab = types.SimpleNamespace(templates_dir=folder, jinja2_env=jinja2.Environment(
    loader=jinja2.FileSystemLoader([folder]), bytecode_cache=pages.of_lab, extensions=["jinja2.ext.i18n"],
    autoescape=True))
lab_assets._name_scripts_at_once(lab)  # as a server does that points its page at the site's files
lab.jinja2_env.get_template("index.html")
told = ["perijove_inside.ahead" in sys.modules, begun, len(known), list(pages.of_lab._known) == known,
    kernels._provisioners_at.cache_info()[:2], logging.root.handlers, threading.active_count()]
"""


def test_what_was_done_ahead_is_found_and_nothing_was_begun(labs: Forks) -> None:
    told = labs.tell("ahead", _AHEAD, env_of(labs, "ada"), memory_bytes=2**30)
    imported, begun, pages, same, (hits, misses), handlers, threads = told
    assert (imported, begun, handlers, threads) == (True, [], [], 1)
    assert (pages, same) == (2, True)
    assert (hits, misses) == (1, 1)


def test_another_page_at_the_place_of_a_known_one_is_translated_anew(
    labs: Forks, tmp_path: Path
) -> None:
    code = f"""
import jinja2, pathlib
from perijove_inside import pages
folder = pathlib.Path({str(tmp_path)!r})
told = []
for word in ("one", "two"):
    (folder / "index.html").write_text(word + " {{{{ name }}}}")
    pages.translate(folder)
    jinja = jinja2.Environment(loader=jinja2.FileSystemLoader([str(folder)]), bytecode_cache=pages.of_lab,
        extensions=["jinja2.ext.i18n"], autoescape=True)
    told.append(jinja.get_template("index.html").render(name="<ada>"))
"""
    told = labs.tell("pages", code, env_of(labs, "ada"), memory_bytes=2**30)
    assert told == ["one &lt;ada&gt;", "two &lt;ada&gt;"]


_READ = """
from jupyter_server.serverapp import ServerApp
from perijove_inside import single_user
from traitlets.config import Application
argv = [*options, "--ServerApp.preferred_dir=/tmp", "--ServerApp.port=8123", "--HubAuth.x="]
def read(parse):
    app = ServerApp()
    parse(app, list(argv))
    values = {kind: {name: str(value) for name, value in of.items()} for kind, of in app.cli_config.items()}
    return [values, app.extra_args, app.argv, app.port, app.preferred_dir]
others = (["--debug"], ["/tmp"], ["--ServerApp.port", "1"], ["--port=1"], ["--ServerApp.port=1", "--", "x"],
    ["--ServerApp.x=a", "--ServerApp.x=b"], ["--ServerApp.x=['a', 'b']"], ['--ServerApp.x={"a": 1}'])
told = [read(single_user._parse_command_line), read(Application.parse_command_line),
    [single_user.settings_of(words) for words in others]]
"""


def test_a_command_line_of_values_is_read_as_jupyter_reads_it(labs: Forks) -> None:
    code = f"options = {list(OPTIONS)!r}\n{_READ}"
    ours, jupyters, others = labs.tell("read", code, env_of(labs, "ada"), memory_bytes=2**30)
    assert ours == jupyters
    assert ours[3:] == [8123, "/tmp"]
    assert others == [None] * 8


_LOOKS = """
import os, site
import jupyter_core.paths as paths, jupyterhub.services.auth as auth, jupyterlab.commands as commands
told = [paths.jupyter_data_dir(), paths.jupyter_runtime_dir(), paths.jupyter_config_dir(),
    commands.get_workspaces_dir(), commands.get_user_settings_dir(), site.getuserbase(),
    auth.HubAuth().api_url, os.path.expanduser("~/x")]
"""


def test_what_jupyterlab_decides_by_its_home_is_as_if_it_was_started_anew(labs: Forks) -> None:
    env = env_of(labs, "ada")
    forked = labs.tell("looks", _LOOKS, env, memory_bytes=2**30)
    anew = labs.tell_anew("anew", _LOOKS, env, memory_bytes=2**30)
    assert forked == anew
    assert [place for place in forked[:6] if not place.startswith("/home/")] == []


def test_the_kernel_holds_of_it_what_it_holds_of_one_that_is_started_anew(labs: Forks) -> None:
    """Limits, rights, signals, namespaces, priority, processors."""
    code = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
told = [{name: status[name] for name in ("Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed")},
    open("/proc/self/limits").read(), open("/proc/self/oom_score_adj").read(), os.nice(0),
    {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")},
    os.getpgrp() == os.getsid(0) == os.getpid(), os.sched_getscheduler(0)]
"""
    uid = SOMEBODY if os.geteuid() == 0 else None
    env = env_of(labs, "ada")
    held = labs.tell("held", code, env, uid=uid)
    assert held == labs.tell_anew("held-anew", code, env, uid=uid)
