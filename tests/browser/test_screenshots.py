"""The handbook's pictures, of a real site. `PERIJOVE_WRITE_IMAGES=1` puts them into docs/images."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.live import ROOT, LiveSite, wait_for

DOCS = ROOT / "docs" / "images"
MAX_BYTES = 200_000
"""A README is read over slow lines too."""
PORTAL = "/services/portal/"
CELL = """import os
for name in ("SHARE_MILLI", "GPU_MEMORY_MIB", "GPU_MODE", "GPU_MODEL"):
    print(f"{name:15}", os.environ["PERIJOVE_" + name])"""
NEWCOMERS = (("ada", "Ada Lovelace", "instructor"), ("grace", "Grace Hopper", "member"))
PNG = b"\x89PNG"


@dataclass
class Camera:
    """Takes a picture when what it should show is there, and keeps it small."""

    page: Page
    folder: Path

    def take(self, name: str) -> None:
        self.page.mouse.move(0, 0)
        picture = self.page.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        assert picture.startswith(PNG)
        assert len(picture) < MAX_BYTES, f"{name}.png has {len(picture)} bytes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return DOCS if os.environ.get("PERIJOVE_WRITE_IMAGES") == "1" else tmp_path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_every_picture_of_the_handbook(
    page: Page, browser: Browser, site: LiveSite, folder: Path
) -> None:
    camera = Camera(page, folder)
    _sign_in(camera, site)
    if os.geteuid() == 0:  # without root there is one person only
        for newcomer in NEWCOMERS:
            _join(browser, site, *newcomer)
    _some_history(site)
    _menu_and_form(camera, site)
    running = _start_a_quarter(camera, site)
    _jupyterlab(camera, running)
    _pages(camera, site)
    _dark(camera, site)
    _phone(camera, site)
    taken = {path.stem for path in folder.glob("*.png")}
    assert taken >= {
        "welcome", "menu", "launch", "starting", "jupyterlab", "workload", "usage", "inventory",
        "people", "menu-dark", "menu-phone",
    }  # fmt: skip


def _sign_in(camera: Camera, site: LiveSite) -> None:
    page = camera.page
    page.goto(site.cli("admin-link")["url"])
    button = page.get_by_role("button", name="Sign in as administrator")
    expect(button).to_be_visible()
    camera.take("welcome")
    button.click()
    expect(page.get_by_role("heading", name="Start something")).to_be_visible()


def _join(browser: Browser, site: LiveSite, login: str, name: str, role: str) -> None:
    """A newcomer opens an invitation in a browser of their own."""
    link = site.cli("invite", "--role", role, "--email", f"{login}@example.org")["url"]
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.get_by_label(re.compile("name to sign in|login", re.IGNORECASE)).fill(login)
    page.get_by_label(re.compile("your name|display|shown", re.IGNORECASE)).fill(name)
    for box in page.get_by_label(re.compile("password|same again", re.IGNORECASE)).all():
        box.fill("correct horse battery")
    page.get_by_role("button").last.click()
    expect(page.get_by_role("heading", name="Start something")).to_be_visible()
    context.close()


def _some_history(site: LiveSite) -> None:
    """What has run before, so that plots and lists have something to show."""
    for name in ("warm-up", "first model"):
        started = site.cli("run", "--offer", "cpu", "--name", name, "--wait")
        site.cli("stop", started["id"], "--wait")
    site.cli("run", "--offer", "gpu-half", "--name", "protein folding", "--wait")


def _menu_and_form(camera: Camera, site: LiveSite) -> None:
    page = camera.page
    page.goto(site.url + PORTAL, wait_until="commit")
    expect(page.get_by_role("article", name="protein folding")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Start: Whole GPU"))).to_be_visible()
    camera.take("menu")
    page.get_by_role("link", name="Customise: 1/4 GPU notebook").click()
    form = page.frame_locator("iframe[title='Launch form']")
    expect(form.get_by_role("heading", name="Starts now")).to_be_visible()
    form.get_by_label("Name").fill("Vision lab")
    form.get_by_role("button", name="Show as code").click()
    expect(form.get_by_text("perijove run")).to_be_visible()
    camera.take("launch")


def _start_a_quarter(camera: Camera, site: LiveSite) -> Page:
    """From the menu's button to the open JupyterLab."""
    page = camera.page
    page.goto(site.url + PORTAL, wait_until="commit")
    page.get_by_role("button", name="Start: 1/4 GPU notebook").click()
    card = page.get_by_role("complementary").get_by_role("article", name="1/4 GPU notebook")
    expect(card.get_by_role("progressbar")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    camera.take("starting")
    opener = card.get_by_role("link", name=re.compile("Open JupyterLab"))
    expect(opener).to_be_visible()
    with page.context.expect_page() as opened:
        opener.click()
    return opened.value


def _jupyterlab(camera: Camera, lab: Page) -> None:
    lab.set_viewport_size({"width": 1280, "height": 800})
    lab.get_by_title("Python 3 (ipykernel)").first.click()
    editor = lab.get_by_role("feed", name="Cells").get_by_role("textbox").first
    # An editor that is typed into before its kernel is there is drawn again, empty.
    expect(lab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    editor.click()
    lab.keyboard.insert_text(CELL)
    expect(editor).to_contain_text("GPU_MEMORY_MIB")
    lab.keyboard.press("Shift+Enter")
    expect(lab.get_by_text(re.compile(r"GPU_MEMORY_MIB\s+6144"))).to_be_visible()
    Camera(lab, camera.folder).take("jupyterlab")
    lab.close()


def _pages(camera: Camera, site: LiveSite) -> None:
    page = camera.page
    page.get_by_role("article", name="1/4 GPU notebook").get_by_role(
        "link", name="1/4 GPU notebook", exact=True
    ).first.click()
    expect(page.get_by_role("heading", name="1/4 GPU notebook", level=1)).to_be_visible()
    expect(page.get_by_label("The end of the log")).to_contain_text("Jupyter")
    camera.take("workload")
    for path, frame in (("usage", "Balance over time"), ("inventory", "Heat map of devices")):
        page.goto(site.url + PORTAL + path, wait_until="commit")
        inside = page.frame_locator(f"iframe[title='{frame}']")
        expect(inside.locator("canvas").first).to_be_visible()
        camera.take(path)
    page.goto(site.url + PORTAL + "people", wait_until="commit")
    expect(page.get_by_role("row", name=re.compile("Administrator"))).to_be_visible()
    camera.take("people")


def _dark(camera: Camera, site: LiveSite) -> None:
    page = camera.page
    page.emulate_media(color_scheme="dark")
    page.goto(site.url + PORTAL, wait_until="commit")
    expect(page.get_by_role("article", name="protein folding")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Start: Whole GPU"))).to_be_visible()
    camera.take("menu-dark")
    page.emulate_media(color_scheme="light")


def _phone(camera: Camera, site: LiveSite) -> None:
    page = camera.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.url + PORTAL, wait_until="commit")
    expect(page.get_by_role("article", name="protein folding")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Emulated")
    expect(page.get_by_role("group", name="Your quota")).to_contain_text("credits left")
    wait_for("nothing sticks out", lambda: _width(page) <= 390)
    camera.take("menu-phone")


def _width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")
