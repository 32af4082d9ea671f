"""The main job, as a newcomer does it: link, menu, notebook, a cell on a quarter of a GPU."""

import re
from decimal import Decimal

from playwright.sync_api import Page, expect

from tests.browser.signed_in import sign_in
from tests.live import LiveSite, wait_for

LINES = "import os; print('share', os.environ['PERIJOVE_SHARE_MILLI'], os.environ['PERIJOVE_GPU_MEMORY_MIB'])"


def run_cell(lab: Page, code: str, output: str) -> None:
    """A new notebook from the launcher; one cell; its output."""
    lab.get_by_title("Python 3 (ipykernel)").first.click()
    editor = lab.get_by_role("feed", name="Cells").get_by_role("textbox").first
    # An editor that is typed into before its kernel is there is drawn again, empty.
    expect(lab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    editor.click()
    lab.keyboard.insert_text(code)
    expect(editor).to_contain_text("PERIJOVE_GPU_MEMORY_MIB")
    lab.keyboard.press("Shift+Enter")
    expect(lab.get_by_text(output).last).to_be_visible()


def test_from_the_first_link_to_a_cell_on_a_quarter_of_a_gpu(page: Page, site: LiveSite) -> None:
    sign_in(page, site)
    before = Decimal(site.cli("usage")["balance"])

    card = page.get_by_role("article").filter(has_text="1/4 GPU notebook").first
    card.get_by_role("button", name=re.compile("^Start")).click()
    opener = page.get_by_role("link", name=re.compile("Open JupyterLab"))
    expect(opener.first).to_be_visible()

    with page.context.expect_page() as opened:
        opener.first.click()
    run_cell(opened.value, LINES, "share 250 6144")

    mine = page.get_by_role("article", name="1/4 GPU notebook").filter(has_text="Running")
    expect(mine.get_by_text("time left")).to_be_visible()
    expect(mine.get_by_text("credits so far")).to_be_visible()

    mine.get_by_role("button", name=re.compile("^Stop")).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Stop")).click()
    ended = wait_for("it has stopped", lambda: _only(site, "stopped"))

    usage = site.cli("usage")
    assert Decimal(ended["cost"]) > 0
    assert Decimal(usage["held"]) == 0
    assert Decimal(usage["balance"]) == before - Decimal(ended["cost"])
    assert not site.cli("doctor", ok=False).get("problems")


def test_the_same_from_the_command_line(page: Page, site: LiveSite) -> None:
    sign_in(page, site)
    started = site.cli("run", "--offer", "gpu-quarter", "--name", "from the shell", "--wait")
    assert started["status"] == "running"
    assert started["share"] == {
        "milli": 250, "memory_mib": 6144, "mode": "emulated", "emulated": True,
        "model": "Emulated 24G",
    }  # fmt: skip
    page.goto(started["url"] + "?reset")  # not the notebook that the first test left open
    run_cell(page, LINES, "share 250 6144")
    ended = site.cli("stop", started["id"], "--wait")
    assert ended["status"] == "stopped"
    assert Decimal(site.cli("usage")["held"]) == 0


def _only(site: LiveSite, status: str) -> dict[str, str] | None:
    rows = site.cli("ps", "--all")["items"]
    return rows[0] if rows[0]["status"] == status else None
