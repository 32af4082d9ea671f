"""A notebook that must go and waits again, on a real Hub and a real engine: one name, two attempts."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Api, Visitor, in_kernel, problems, server_of
from tests.leftovers import attempts_left
from tests.live import LiveSite, overload, wait_for

SAY_SAVED = """
import os, urllib.request
url = os.environ["PERIJOVE_API_URL"] + "/workloads/" + os.environ["PERIJOVE_WORKLOAD"] + "/saved"
token = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]}
print(urllib.request.urlopen(urllib.request.Request(url, b"", token)).status)
"""


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site().start()


@pytest.fixture(scope="module")
def api(site: LiveSite) -> Api:
    return Api(site)


def answers(site: LiveSite, workload: str) -> bool:
    return site.get(f"/user/admin/{workload}/api", timeout_s=3)[0] == 200


def node_of(site: LiveSite) -> dict[str, Any]:
    (node,) = site.cli("node", "list")["items"]
    return node


@pytest.mark.parametrize("killed", ["", "control", "hub"])
def test_it_goes_in_time_and_starts_again_under_its_name(
    site: LiveSite, api: Api, killed: str
) -> None:
    workload = site.cli("run", "--offer", "gpu-quarter", "--wait")["id"]
    wait_for("the notebook answers", lambda: answers(site, workload))
    first = server_of(workload)
    name = node_of(site)["name"]
    began = time.monotonic()
    drained = site.cli("node", "drain", name, "--by", "50s", "--reason", "a new driver")
    assert (drained["state"], drained["reason"]) == ("draining", "a new driver")
    wait_for("it is told", lambda: api.workload(workload)["goes_at"])
    if killed:
        site.kill(killed)
    wait_for("the node is empty", lambda: _state(site) == "empty", 70)
    assert time.monotonic() - began <= 50 + 5 * min(overload(), 3)
    seen = api.workload(workload)
    assert (seen["status"], "a new driver" in seen["again"]) == ("queued", True)
    assert not attempts_left(site)
    site.wait_ready()
    assert site.cli("node", "resume", name)["state"] == "in service"
    api.until(workload, "running")
    wait_for("the notebook answers", lambda: answers(site, workload), 30)
    assert server_of(workload) != first
    assert problems(site) == []
    api.stop(workload)
    api.until(workload, "stopped")
    wait_for("nothing is left", lambda: not attempts_left(site), 20)


def _state(site: LiveSite) -> str:
    done = site.run("node", "list", "--json")
    return json.loads(done.stdout)["items"][0]["state"] if done.returncode == 0 else ""


def test_a_notebook_says_that_it_saved(site: LiveSite, api: Api) -> None:
    own_token = Visitor(site).use_admin_link().token("admin")
    workload = site.cli("run", "--offer", "cpu", "--wait")["id"]
    assert api.workload(workload)["saved_at"] is None
    assert in_kernel(f"{site.url}/user/admin/{workload}", own_token, SAY_SAVED) == "200\n"
    assert api.workload(workload)["saved_at"]
    api.stop(workload)
