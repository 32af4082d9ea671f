"""What the quota commands ask of the API and say of the answer."""

import json

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_control import Site


def test_the_tree_is_asked_for_and_shown_in_one_dimension(site: Site, run: Run) -> None:
    done = run("quota", "tree", "--below", "main", "--sort=-used", "--search", "phy")
    assert done.code == 0, done
    assert "Main › Physics" in done.out  # noqa: RUF001 (as it is shown)
    assert "1/2 GPU used, 4 GPUs, 1 GPU guaranteed" in done.out
    assert json.loads(run("quota", "tree", "--json").out)["items"][0]["children"] == 2


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (("--limit", "4"), {"limit": "4", "period": ""}),
        (("--limit", "none"), {"limit": None, "period": ""}),
        (("--guaranteed", "1"), {"guaranteed": "1"}),
        (("--limit", "9", "--period", "week"), {"limit": "9", "period": "week"}),
    ],
)
def test_a_preview_asks_for_what_is_given_alone(
    site: Site, run: Run, given: tuple[str, ...], asked: dict[str, str | None]
) -> None:
    done = run("quota", "preview", "--tenant", "physics", "--dimension", "gpu", *given)
    assert "GPU of Physics: no limit → 4 GPUs" in done.out
    assert "- lab of grace would start now" in done.out
    (body,) = site.bodies("POST", "/quotas/preview")
    assert body["changes"] == [{"tenant": "physics", "person": "", "dimension": "gpu"} | asked]


def test_a_dimension_may_be_written_as_it_is_shown(site: Site, run: Run) -> None:
    shown = run("quota", "set", "--dimension", "GPU", "--limit", "1/2", "--person", "ada")
    assert shown.out == "GPU of ada: 1/2\n"
    assert site.bodies("PUT", "/quotas")[-1]["dimension"] == "gpu"
    assert run("quota", "preview", "--tenant", "physics", "--dimension", "GPU", "--limit", "4").out
    assert site.bodies("POST", "/quotas/preview")[-1]["changes"][0]["dimension"] == "gpu"


def test_changes_are_listed_and_several_taken_back_together(site: Site, run: Run) -> None:
    assert "GPU of Physics" in run("quota", "changes").out
    assert run("quota", "undo", "7", "6").code == 0
    assert site.bodies("POST", "/quotas/changes/undo") == [{"changes": [7, 6]}]
    assert run("quota", "undo", "seven").code == 2


def test_requests_are_made_listed_and_answered(site: Site, run: Run) -> None:
    assert "my thesis" in run("quota", "requests").out
    asked = run("quota", "ask", "--dimension", "gpu", "--amount", "2", "--reason", "my thesis")
    assert "you asked for 2 GPUs in Physics" in asked.out
    approved = run("quota", "approve", "q-7k2m9q4t1x", "--amount", "1.5")
    assert "grace may now have 1.5 GPU" in approved.out
    assert run("quota", "deny", "q-7k2m9q4t1x").code == 2  # not without a word
    denied = run("quota", "deny", "q-7k2m9q4t1x", "--answer", "the term is over")
    assert "grace's request for 2 GPUs is denied" in denied.out
    assert "withdrawn" in run("quota", "withdraw", "q-7k2m9q4t1x").out
    bodies = site.bodies("POST", "/quota-requests/q-7k2m9q4t1x/decide")
    assert [(b["approve"], b["amount"], b["answer"]) for b in bodies] == [
        (True, "1.5", ""), (False, "", "the term is over"),
    ]  # fmt: skip
