"""What each command asks of the API and says of the answer."""

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import DENIED, WAITS, Site


def test_the_menu_shows_availability_and_says_what_is_emulated(site: Site, run: Run) -> None:
    shown = run("offers")
    assert shown.code == 0
    assert "5 of 8 free" in shown.out
    assert "1/4 GPU · 6 GiB, emulated" in shown.out
    assert run("offers", "--json").json["items"][0]["availability"]["free"] == 5


def test_what_is_piped_is_neither_coloured_nor_wrapped(site: Site, run: Run) -> None:
    site.add("w1", "a-name " * 30, "failed", reason="a reason that is long " * 30)
    lines = run("ps", "--all").out.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in "".join(lines)
    assert ("a reason that is long " * 30).strip() in lines[1]


def test_check_prints_the_verdict_itself(site: Site, run: Run) -> None:
    assert run("check", "--offer", "x", "--json").json["verdict"] == "fits"
    site.verdict = WAITS
    waits = run("check", "--offer", "x", "--set", "gpu=1/4", "--set", "duration=2h")
    assert waits.code == 0
    assert "waits: position 2 · starts by" in waits.out
    assert "perijove run --offer notebook-gpu-1-8 --set duration=1h" in waits.out
    assert site.bodies("POST", "/check")[-1]["set"] == {"gpu": "1/4", "duration": "2h"}
    site.verdict = DENIED
    denied = run("check", "--offer", "x", "--json")
    assert denied.code == 3
    assert denied.json["verdict"] == "denied"
    assert denied.json["reason"] == DENIED["reason"]


def test_run_returns_when_queued_and_the_address_is_absolute(
    site: Site, served_url: str, run: Run
) -> None:
    site.verdict = WAITS
    started = run("run", "--offer", "x", "--name", "my-lab", "--notify", "--json")
    assert started.code == 0
    assert started.json["status"] == "queued"
    assert started.json["url"] == f"{served_url}/user/ada/w1/"
    assert site.bodies("POST", "/workloads") == [
        {"offer": "x", "set": {}, "name": "my-lab", "notify": True}
    ]


def test_run_wait_tells_each_step_and_ends_when_it_runs(site: Site, run: Run) -> None:
    site.verdict = WAITS
    site.life = ["queued", "queued", "starting", "running"]
    done = run("run", "--offer", "x", "--wait", "--timeout", "60", "--json")
    assert done.code == 0
    assert done.json["status"] == "running"
    told = done.err.splitlines()
    assert told[0].startswith("queued: position 2 · starts by")
    assert "would start now: 1/8 GPU" in told[1]
    assert [line.split(":")[0] for line in told[2:]] == ["starting", "running"]


def test_run_wait_that_fails_says_why(site: Site, run: Run) -> None:
    site.life = ["starting", "failed"]
    failed = run("run", "--offer", "x", "--wait", "--json")
    assert failed.code == 1
    error = failed.json["error"]
    assert error["code"] == "out-of-memory"
    assert "it used 4 GiB of 4 GiB" in error["message"]
    assert error["next"] == "relaunch it larger"
    assert error["workload"]["status"] == "failed"


def test_a_wait_that_takes_too_long_says_how_to_cancel(site: Site, run: Run) -> None:
    site.life = []
    late = run("run", "--offer", "x", "--wait", "--timeout", "0.1", "--json")
    assert late.code == 4
    error = late.json["error"]
    assert error["code"] == "timeout"
    assert "perijove stop w1" in error["next"]
    assert error["workload"]["status"] == "queued"
    assert site.workloads["w1"]["target"] == "running"


def test_a_denied_launch_carries_the_verdict(site: Site, run: Run) -> None:
    site.verdict = DENIED
    denied = run("run", "--offer", "x", "--wait", "--json")
    assert denied.code == 3
    assert denied.json["error"]["code"] == "quota-gpu"
    assert denied.json["error"]["verdict"]["alternatives"][0]["offer"] == "notebook-gpu-1-8"
    in_words = run("run", "--offer", "x")
    assert in_words.code == 3
    assert DENIED["reason"] in in_words.err
    assert "perijove run --offer notebook-gpu-1-8" in in_words.err


@pytest.mark.parametrize("ref", ["abc123", "abc", "my-lab"])
def test_a_workload_is_named_by_id_prefix_or_name(site: Site, run: Run, ref: str) -> None:
    site.add("abc123", "my-lab", "running")
    site.add("xyz", "other", "running")
    assert run("extend", ref, "--by", "30m", "--json").json["id"] == "abc123"
    assert site.bodies("POST", "/workloads/abc123/extend") == [{"by": "30m"}]


def test_a_name_that_means_two_is_refused_with_both(site: Site, run: Run) -> None:
    site.add("abc1", "lab", "running")
    site.add("abc2", "lab", "running")
    for ref in ("lab", "abc"):
        refused = run("stop", ref, "--json")
        assert refused.code == 2
        assert "abc1, abc2" in refused.json["error"]["message"]
    assert not site.bodies("POST", "/workloads/abc1/stop")


def test_what_runs_comes_before_what_ended_with_the_same_name(site: Site, run: Run) -> None:
    site.add("old", "lab", "stopped")
    site.add("new", "lab", "running")
    assert run("stop", "lab", "--json").json["id"] == "new"


def test_an_unknown_workload_is_not_found(site: Site, run: Run) -> None:
    missing = run("logs", "../../../etc", "--json")
    assert missing.code == 1
    assert missing.json["error"]["code"] == "not-found"
    assert "perijove ps --all" in missing.json["error"]["next"]


def test_stop_wait_ends_when_nothing_runs(site: Site, run: Run) -> None:
    site.add("w1", "lab", "running")
    assert run("stop", "w1", "--json").json["status"] == "stopping"
    assert run("stop", "w1", "--wait", "--json").json["status"] == "stopped"


def test_attach_waits_and_prints_the_address_alone(site: Site, served_url: str, run: Run) -> None:
    site.add("w1", "lab")
    assert run("attach", "lab").out == f"{served_url}/user/ada/w1/\n"


def test_relaunch_changes_answers(site: Site, run: Run) -> None:
    site.add("w1", "lab", "failed")
    again = run("relaunch", "lab", "--set", "memory=8Gi", "--wait", "--json")
    assert again.json["id"] == "again-w1"
    assert again.json["status"] == "running"
    assert site.bodies("POST", "/workloads/w1/relaunch") == [{"set": {"memory": "8Gi"}}]


def test_what_ran_out_of_memory_offers_a_larger_relaunch(site: Site, run: Run) -> None:
    site.add("w1", "lab", "failed", suggestion={"memory": "8Gi"})
    assert "perijove relaunch w1 --set memory=8Gi" in run("accept", "w1").out


def test_ps_shows_pages(site: Site, run: Run) -> None:
    for number in range(5):
        site.add(f"w{number}", f"lab{number}", "running" if number < 3 else "stopped")
    assert len(run("ps", "--json").json["items"]) == 3
    first = run("ps", "--all", "--limit", "4", "--json").json
    assert (len(first["items"]), first["next"]) == (4, "4")
    assert "add --cursor 4" in run("ps", "--all", "--limit", "4").err
    rest = run("ps", "--all", "--limit", "4", "--cursor", first["next"], "--json").json
    assert [w["id"] for w in rest["items"]] == ["w4"]


def test_logs_show_the_last_lines(site: Site, run: Run) -> None:
    site.add("w1", "lab", "running")
    site.log = "one\ntwo\nthree\x1b[2J\x07"
    assert run("logs", "lab", "--tail", "2").out == "two\nthree\n"
    assert run("logs", "lab", "--json").json == {"text": site.log}


def test_logs_follow_ends_with_the_workload(site: Site, run: Run) -> None:
    site.add("w1", "lab", "stopping")
    assert run("logs", "lab", "--follow").out == "one\ntwo\nthree\n"


def test_events_are_told_once_each_over_broken_streams(site: Site, run: Run) -> None:
    site.add("w1", "lab", "running")
    site.stream_breaks = 2
    told = run("events", "lab")
    assert [line.split()[-1] for line in told.out.splitlines()] == ["1", "2", "3"]
    assert run("events", "lab", "--json").out.count("\n") == 3


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("whoami", "99.60 to spend"),
        ("whoami", "the accelerators here are emulated"),
        ("usage", "held for my-lab"),
        ("notices", "new"),
        ("inventory", "emulated E24 [emulated]"),
        ("inventory", "4 GiB of 16 GiB"),
        ("inventory", "isolation of GPU: none"),
        ("quota", "1/2 GPU"),
        ("people", "admin of Main"),
        ("audit", "launch"),
    ],
)
def test_lists_for_people(site: Site, run: Run, command: str, word: str) -> None:
    shown = run(command)
    assert (shown.code, shown.err) == (0, "")
    assert word in shown.out
    assert run(command, "--json").json


def test_notices_can_be_marked_as_read(site: Site, run: Run) -> None:
    assert run("notices", "--mark-read", "--json").code == 0
    assert len(site.bodies("POST", "/notices/n1/read")) == 1


def test_administration(site: Site, served_url: str, run: Run) -> None:
    assert run("invite", "--role", "instructor").out == f"{served_url}/hub/invite?code=abc\n"
    assert run("people", "deactivate", "grace", "--json").json["active"] is False
    assert run("people", "activate", "grace").out == "grace may sign in again\n"
    assert run("people", "grant", "grace", "12.5").code == 0
    assert site.bodies("POST", "/people/grace/grant") == [{"credits": "12.5"}]
    assert run("quota", "set", "--dimension", "gpu", "--limit", "none").code == 0
    assert run("quota", "set", "--dimension", "gpu", "--limit", "1/2", "--person", "ada").code == 0
    assert [body["limit"] for body in site.bodies("PUT", "/quotas")] == [None, "1/2"]
    assert run("menu", "reload", "--json").json == {"offers": 5}
