"""The portal's pages in a real Chromium, in front of a Hub and a control with canned answers."""

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.live import wait_for
from tests.unit.portal.canned import Site, soon, workload
from tests.unit.portal.peers import Running, running_portal


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


class Behind:
    """The portal and its peers on a loop of their own, beside Playwright's."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def do(self, act: Any, *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(act, *arguments)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        async with running_portal(self.site, panel=True) as running:
            self.running: Running = running
            self._ready.set()
            await self._stop.wait()


@pytest.fixture
def site() -> Site:
    return Site(start_seconds=0.9)


@pytest.fixture
def behind(site: Site) -> Iterator[Behind]:
    with Behind(site) as behind:
        yield behind


@pytest.fixture
def page(browser: Browser, behind: Behind) -> Iterator[Page]:
    context = browser.new_context(base_url=behind.running.url)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield page
    context.close()
    assert not wrong


def test_one_click_starts_and_the_focus_waits_on_open(page: Page, site: Site) -> None:
    site.workloads.clear()
    held: list[Route] = []
    answered = threading.Event()

    def hold(route: Route) -> None:
        if route.request.method == "POST" and not answered.is_set():
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/workloads", hold)
    page.goto("/services/portal/", wait_until="commit")
    expect(page.get_by_role("heading", name="Nothing is running")).to_be_visible()
    page.get_by_role("button", name="Start: 1/4 GPU notebook").click()
    card = page.get_by_role("complementary").get_by_role("article", name="1/4 GPU notebook")
    expect(card).to_be_visible()
    while not held:
        page.wait_for_timeout(20)
    expect(card).to_be_visible()  # though nothing was answered
    answered.set()
    for route in held:
        route.continue_()
    expect(card.get_by_role("progressbar")).to_be_visible()
    opened = card.get_by_role("link", name="Open JupyterLab")
    expect(opened).to_be_focused()
    expect(page.get_by_text("1/4 GPU notebook is ready")).to_be_visible()
    expect(card).to_contain_text("time left")
    expect(card).to_contain_text("credits so far")


def test_a_start_that_is_refused_says_why_and_leaves_no_card(page: Page, site: Site) -> None:
    site.workloads.clear()
    site.offers[0]["verdict"]["verdict"] = "fits"
    page.goto("/services/portal/", wait_until="commit")
    button = page.get_by_role("button", name="Start: CPU notebook")
    expect(button).to_be_visible()
    site.offers[0]["verdict"].update(
        verdict="denied", reason="your credits are used up", next="ask your administrator"
    )
    button.click()
    expect(page.get_by_text("Your credits are used up").first).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing is running")).to_be_visible()


def test_stop_asks_first(page: Page, site: Site) -> None:
    site.workloads[:] = [workload("w-run", "running", "Vision lab")]
    page.goto("/services/portal/", wait_until="commit")
    page.get_by_role("button", name="Stop: Vision lab").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("link", name="Open JupyterLab: Vision lab")).to_be_visible()
    page.get_by_role("button", name="Stop: Vision lab").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("link", name="Open JupyterLab: Vision lab")).to_be_hidden()
    page.get_by_text("Ended (1)").click()
    expect(page.get_by_text("You stopped it")).to_be_visible()


def test_a_lease_that_ends_is_said_and_extended_with_one_click(page: Page) -> None:
    page.goto("/services/portal/usage", wait_until="commit")
    ending = page.get_by_role("region", name="Time that runs out")
    expect(ending).to_contain_text("Quick look ends in")
    ending.get_by_role("button", name="Extend by 1 hour").click()
    expect(ending).to_be_hidden()


def test_waiting_shows_place_reason_start_and_what_would_start_now(page: Page) -> None:
    page.goto("/services/portal/", wait_until="commit")
    card = page.get_by_role("complementary").get_by_role("article", name="Whole GPU notebook")
    for words in ("No. 2", "expected start", "All 2 devices are held", "Would start now instead"):
        expect(card).to_contain_text(words)
    expect(card.get_by_role("checkbox", name="Notify me")).to_be_checked()
    turn = page.get_by_role("article", name="Protein folding")
    expect(turn.get_by_role("button", name="Accept")).to_be_visible()
    failed = page.get_by_role("article", name="Big tables")
    expect(failed.get_by_role("button", name="Relaunch with memory 8Gi")).to_be_visible()


def test_what_changes_elsewhere_shows_at_once(page: Page, behind: Behind, site: Site) -> None:
    site.workloads[:] = [one for one in site.workloads if one["status"] == "running"]
    page.goto("/services/portal/", wait_until="commit")
    expect(page.get_by_role("article", name="Vision lab")).to_be_visible()
    wait_for("the page listens", lambda: site.listeners)
    site.workloads.append(workload("w-new", "running", "From the CLI"))
    behind.do(site.tell, "workloads")
    # Less than the half minute after which a page that listens asks by itself.
    expect(page.get_by_role("article", name="From the CLI")).to_be_visible(timeout=20_000)


def test_the_launch_form_shows_the_live_verdict_and_launches(page: Page, site: Site) -> None:
    page.goto("/services/portal/", wait_until="commit")
    page.get_by_role("link", name="Customise: 1/4 GPU notebook").click()
    form = page.frame_locator("iframe[title='Launch form']")
    expect(form.get_by_role("heading", name="Starts now")).to_be_visible()
    expect(form.get_by_text("0.64")).to_be_visible()
    form.get_by_label("CPU cores").select_option("4 cores")
    expect(form.get_by_text("0.68")).to_be_visible()
    form.get_by_role("button", name="Show as code").click()
    expect(form.get_by_text("perijove run --offer gpu-quarter --set cpu=4")).to_be_visible()
    form.get_by_role("button", name="YAML").click()
    expect(form.get_by_text("offer: gpu-quarter")).to_be_visible()
    form.get_by_label("Name").fill("My lab")
    form.get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url("**/services/portal/workloads/w-*", wait_until="commit")
    expect(page.get_by_role("heading", name="My lab", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="Open JupyterLab")).to_be_focused()


def test_a_form_for_an_offer_that_is_gone_says_so(page: Page) -> None:
    page.goto("/services/portal/launch?offer=gone", wait_until="commit")
    form = page.frame_locator("iframe[title='Launch form']")
    expect(form.get_by_text("This offer is not on your menu")).to_be_visible()


def test_a_workload_has_a_page_with_history_and_log(page: Page) -> None:
    page.goto("/services/portal/workloads/w-run", wait_until="commit")
    expect(page.get_by_role("heading", name="Vision lab", level=1)).to_be_visible()
    expect(page.get_by_text("1.20 credits held")).to_be_visible()
    expect(page.get_by_label("The end of the log")).to_contain_text("JupyterLab")


def test_idle_work_asks_on_every_page_and_one_press_keeps_it(page: Page, site: Site) -> None:
    idle = workload("w-run", "running", "Vision lab")
    site.workloads[:] = [idle | {"idle_stop_at": soon(minutes=9), "active_at": soon(minutes=-111)}]
    page.goto("/services/portal/usage", wait_until="commit")
    expect(page.get_by_text("Vision lab is idle and stops in")).to_be_visible()
    page.goto("/services/portal/workloads/w-run", wait_until="commit")
    card = page.get_by_role("article", name="Vision lab")
    expect(card.get_by_text("nothing has happened in it since")).to_be_visible()
    with page.expect_request("**/workloads/w-run/active"):
        card.get_by_role("button", name="I am still working").click()


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("lab%2Ftree%2Fa%20b.ipynb", "/lab/tree/a%20b.ipynb"),
        ("lab%2F..%2F..%2F..%2F..%2Fhub%2Flogout", "/lab"),
        ("%2F%2Fevil.example%2Flab", "/lab"),
    ],
)
def test_who_came_from_a_stopped_jupyterlab_is_led_back_to_their_place(
    page: Page, site: Site, back: str, leads_to: str
) -> None:
    site.workloads[:] = [workload("w-run", "running", "Vision lab")]
    page.route("**/user/ada/**", lambda route: route.fulfill(body="JupyterLab"))
    page.goto(f"/services/portal/workloads/w-run?back={back}", wait_until="commit")
    page.wait_for_url(lambda url: "/user/ada/w-run/" in url and url.endswith(leads_to))


def test_what_stopped_as_idle_starts_again_and_keeps_the_way_back(page: Page, site: Site) -> None:
    stopped = workload("w-old", "stopped", "Vision lab")
    site.workloads[:] = [stopped | {"reason": "it was idle for 2h", "reason_code": "idle"}]
    page.goto("/services/portal/workloads/w-old?back=lab", wait_until="commit")
    expect(page.get_by_text("It was idle for 2h")).to_be_visible()
    page.get_by_role("button", name="Start again: Vision lab").click()
    page.wait_for_url(re.compile(r"/services/portal/workloads/w-(?!old)\w+\?back=lab$"))


def test_a_workload_that_is_not_there_says_so(page: Page) -> None:
    page.goto("/services/portal/workloads/nope", wait_until="commit")
    expect(page.get_by_role("alert").get_by_role("heading")).to_contain_text("no such workload")


def test_plots_open_in_their_frames(page: Page) -> None:
    for path, title in (("usage", "Balance over time"), ("inventory", "Heat map of devices")):
        page.goto(f"/services/portal/{path}", wait_until="commit")
        inside = page.frame_locator(f"iframe[title='{title}']")
        expect(inside.locator("canvas").first).to_be_visible()


def test_an_administrator_invites_and_the_link_is_shown_once(page: Page) -> None:
    page.goto("/services/portal/people", wait_until="commit")
    page.get_by_role("button", name="Invite").click()
    page.get_by_role("button", name="Make the link").click()
    shown = page.get_by_role("dialog", name="Invitation link")
    expect(shown.get_by_label("Invitation link")).to_have_value(
        "http://127.0.0.1:8000/hub/invite?t=one-time"
    )


def test_who_is_no_administrator_sees_no_administration(page: Page, site: Site) -> None:
    site.admin = False
    page.goto("/services/portal/", wait_until="commit")
    expect(page.get_by_role("button", name="Your account: Ada Lovelace")).to_be_visible()
    expect(page.get_by_role("link", name="People")).to_be_hidden()


def test_emulated_is_labelled_on_every_screen(page: Page) -> None:
    for path in ("", "workloads", "usage", "inventory", "people", "launch?offer=cpu", "help/"):
        page.goto(f"/services/portal/{path}", wait_until="commit")
        expect(page.get_by_role("note")).to_contain_text("Emulated devices")


def test_an_ended_sign_in_leads_through_the_hub_and_back(page: Page, behind: Behind) -> None:
    page.goto("/services/portal/workloads", wait_until="commit")
    expect(page.get_by_role("article", name="Vision lab")).to_be_visible()
    sessions = behind.running.server.sessions
    for key in list(sessions._sessions):
        behind.do(sessions.close, key)
    page.get_by_role("button", name="Extend: Vision lab").click()
    page.wait_for_url("**/services/portal/workloads", wait_until="commit")
    expect(page.get_by_role("article", name="Vision lab")).to_be_visible()


def test_signing_out_ends_at_the_hub(page: Page) -> None:
    page.goto("/services/portal/", wait_until="commit")
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Signed out of the Hub")).to_be_visible()


def test_when_control_is_away_the_page_says_so_and_recovers(page: Page, site: Site) -> None:
    site.broken = True
    page.goto("/services/portal/", wait_until="commit")
    expect(page.get_by_text("gave an answer that makes no sense").first).to_be_visible()
    site.broken = False
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("article", name="CPU notebook")).to_be_visible()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_theme_is_kept(page: Page, theme: str) -> None:
    page.goto("/services/portal/", wait_until="commit")
    page.get_by_role("button", name="Your account").click()
    page.get_by_label(theme).check()
    page.goto("/services/portal/usage", wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-theme", theme.lower())


@pytest.mark.parametrize("path", ["", "workloads/w-run", "usage", "people", "launch?offer=cpu"])
def test_nothing_sticks_out_on_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"/services/portal/{path}", wait_until="commit")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("note")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_how_shares_are_kept_apart_is_told_by_their_names(page: Page) -> None:
    page.goto("/services/portal/inventory", wait_until="commit")
    expect(page.get_by_role("region", name="Isolation")).to_contain_text(
        "GPU: not enforced · CPU: hard limit · memory: soft limit"
    )


ANSWERS = ("offers", "workloads", "visits", "announcements", "me", "courses")
"""What the menu waits for, in an order in which what stands above comes late."""
WATCH_SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (!one.hadRecentInput) window.shifts += one.value;
}).observe({ type: "layout-shift", buffered: true });"""
PAINTED = "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
TOO_WIDE = """() => [...document.querySelectorAll("html, .scroll")]
  .filter((node) => node.scrollWidth > node.clientWidth).length"""
KEPT = "() => JSON.parse(localStorage.getItem('perijove-kept'))?.rooms.mine?.height > 0"


def _shift_of_the_menu(page: Page) -> float:
    """How far the menu jumps (Cumulative Layout Shift) where each answer is painted by itself."""
    held: dict[str, Route] = {}

    def hold(route: Route) -> None:
        name = route.request.url.partition("/api/v1/")[2].partition("?")[0]
        if name in ANSWERS:
            held[name] = route
        else:
            route.continue_()

    def all_held() -> bool:
        page.evaluate(PAINTED)
        return held.keys() >= set(ANSWERS)

    page.route("**/api/v1/**", hold)
    page.goto("/services/portal/", wait_until="commit")
    wait_for("the menu asks for its answers", all_held)
    for name in ANSWERS:
        with page.expect_response(f"**/api/v1/{name}*"):
            held[name].continue_()
        page.evaluate(PAINTED)
    page.unroute("**/api/v1/**")
    expect(page.get_by_role("heading", name="My courses")).to_be_visible()
    expect(page.get_by_role("button", name="Start: CPU notebook")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Emulated devices")
    wait_for("what stands there is kept", lambda: page.evaluate(KEPT))
    page.evaluate(PAINTED)
    return page.evaluate("window.shifts")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_menu_does_not_jump_while_it_loads(page: Page, site: Site, width: int) -> None:
    site.workloads[:] = [workload("w-run", "running", "Vision lab")]
    page.set_viewport_size({"width": width, "height": 844})
    page.add_init_script(WATCH_SHIFTS)
    assert _shift_of_the_menu(page) < 0.1
    assert _shift_of_the_menu(page) < 0.02, "the second time its parts have their room"


def test_lists_of_people_fit_a_phone_and_keep_their_headings(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/services/portal/people", wait_until="commit")
    for name in ("People", "What groups hold", "Quotas"):
        expect(page.get_by_role("region", name=name).get_by_role("row").nth(1)).to_be_visible()
    people = page.get_by_role("region", name="People")
    assert people.get_by_role("columnheader").all_inner_texts() == [
        "Name", "Role", "Credits", "State", "",
    ]  # fmt: skip
    assert page.evaluate(TOO_WIDE) == 0
