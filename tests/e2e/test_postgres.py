"""The same product on a real PostgreSQL: launch, a killed control, stop, the ledger, restarts."""

from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest

from tests.e2e.conftest import Api, groups_left, problems, processes_of
from tests.live import LiveSite, wait_for
from tests.store.conftest import postgres

__all__ = ["postgres"]  # a fixture; found by its name
pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite], postgres: str) -> LiveSite:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE DATABASE live")
    url = postgres.replace("/postgres?", "/live?")
    return make_site(PERIJOVE_DATABASE_URL=url).start()


def test_run_kill_stop_usage(site: LiveSite, postgres: str) -> None:
    started = site.cli("run", "--offer", "gpu-quarter", "--wait")
    assert (started["status"], started["share"]["milli"]) == ("running", 250)
    assert not (site.home / "control.sqlite").exists()
    held = Decimal(site.cli("usage")["held"])
    assert held == 36

    pid = site.kill("control")
    wait_for("another control", lambda: site.pid_of("control") not in {0, pid}, 30)
    site.wait_ready()
    address = f"/user/admin/{started['id']}/api"
    assert site.get(address)[0] == 200
    assert Decimal(site.cli("usage")["held"]) == held
    extended = site.cli("extend", started["id"], "--by", "15m")
    assert Decimal(extended["held"]) == 45

    ended = site.cli("stop", started["id"], "--wait")
    assert ended["status"] == "stopped"
    usage = site.cli("usage")
    assert Decimal(usage["held"]) == 0
    assert Decimal(ended["cost"]) > 0
    assert Decimal(usage["balance"]) == 100 - Decimal(ended["cost"])
    assert not processes_of(started["id"])
    assert groups_left(site) == []
    assert problems(site) == []
    with psycopg.connect(postgres.replace("/postgres?", "/live?")) as database:
        row = database.execute("SELECT status, cost FROM workload").fetchone()
    assert row == ("stopped", int(Decimal(ended["cost"]) * 1_000_000))


def test_a_database_that_hangs_up_is_said_and_comes_back(site: LiveSite, postgres: str) -> None:
    api = Api(site)
    started = api.run("cpu")
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'live'"
        )
    statuses = {api.http.get("/usage").status_code for _ in range(5)}
    assert statuses <= {200, 503}
    wait_for("all is well", site.is_ready, 30)
    assert site.get(f"/user/admin/{started['id']}/api")[0] == 200
    assert api.stop(started["id"])["status"] == "stopped"
    assert problems(site) == []
