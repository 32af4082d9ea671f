"""What a person does in a browser between the click on the start button and being at work."""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Locator, Page

from tests.bench.target import POLL_S, Target, checked, wait_for, wait_shown

SETTLE_S = 1.0
"""From a menu that is there to the click."""
KERNEL = "Python 3 (ipykernel)"
NOTEBOOK = "bench.ipynb"
_AGAIN_S = 0.5
_WORKSPACE = "lab/api/workspaces/default"
_CELL = ".jp-Notebook .cm-content"
_SOURCE = "print(6*7)"
_WRITTEN = {
    "cells": [
        {"cell_type": "code", "execution_count": None, "id": "bench", "metadata": {},
         "outputs": [], "source": _SOURCE}
    ],
    "metadata": {
        "kernelspec": {"display_name": KERNEL, "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Desk:
    """A person at one server, in one browser: `client` is the same person's, for the API."""

    target: Target
    client: httpx.Client
    context: BrowserContext

    def launcher(self) -> tuple[float, str]:
        """From the click until a card of the launcher is there to press; and the server's path."""
        begun, lab = self._start()
        wait_shown(lab.get_by_title(KERNEL).first)
        return time.perf_counter() - begun, _path(lab)

    def first_output(self) -> tuple[float, str]:
        """From the click until a new notebook shows what its first cell printed."""
        begun, lab = self._start()
        card = lab.get_by_title(KERNEL).first
        wait_shown(card)
        card.click()
        wait_shown(lab.locator(_CELL).first)
        output = lab.locator(".jp-OutputArea-output").get_by_text("42", exact=True).first
        wait_for(lambda: _run_first_cell(lab, output), "the first cell prints 42")
        return time.perf_counter() - begun, _path(lab)

    def come_back(self) -> tuple[float, str]:
        """With a notebook open the server is stopped, as idle ones are. From the click on the start
        button until the same notebook is open again and can be written in."""
        path = self.target.create(self.client)
        wait_for(lambda: self.client.get(f"{path}lab").status_code == 200, "/lab answers 200")
        self._open_notebook(path)
        self.target.remove(self.client)
        begun, lab = self._start()
        wait_shown(lab.locator(_CELL).get_by_text(_SOURCE).first)
        return time.perf_counter() - begun, _path(lab)

    def forget(self, path: str) -> None:
        """Leave nothing open and no notebook, so that the next start finds an empty desk. The
        server at `path` still runs; its page is closed."""
        items = checked(self.client.get(f"{path}api/contents/"))["content"]
        for item in items:
            if item["name"].endswith(".ipynb"):
                self.client.delete(f"{path}api/contents/{item['name']}")
        self.client.delete(f"{path}{_WORKSPACE}")

    def leave(self) -> str:
        """Close every page; the path of the server that one of them showed, or nothing."""
        found = ""
        for page in self.context.pages:
            if "/lab" in page.url:
                found = _path(page)
            page.close()
        return found

    def _start(self) -> tuple[float, Page]:
        page = self.context.new_page()
        self.target.show_menu(page)
        page.wait_for_timeout(SETTLE_S * 1000)
        begun = time.perf_counter()
        return begun, self.target.click_start(page)

    def _open_notebook(self, path: str) -> None:
        """Open it, and wait until JupyterLab has noted that it is open."""
        body = {"type": "notebook", "format": "json", "content": _WRITTEN}
        checked(self.client.put(f"{path}api/contents/{NOTEBOOK}", json=body))
        page = self.context.new_page()
        page.goto(f"{self.target.url}{path}lab/tree/{NOTEBOOK}")
        wait_shown(page.locator(_CELL).get_by_text(_SOURCE).first)
        wait_for(lambda: NOTEBOOK in str(self._layout(path)), "the layout is kept")
        self.leave()

    def _layout(self, path: str) -> Any:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            kept = self.client.get(f"{path}{_WORKSPACE}").json()
            return kept["data"].get("layout-restorer:data", "") if "data" in kept else ""
        return ""


def _run_first_cell(lab: Page, output: Locator) -> bool:
    """Whether its output is there. A cell that was not taken (the notebook had no kernel yet) is run
    once more after half a second, as a person would."""
    cell, prompt = lab.locator(_CELL).first, lab.locator(".jp-InputPrompt").first
    if "[ ]" in prompt.inner_text():
        cell.click()
        if _SOURCE not in cell.inner_text():
            lab.keyboard.insert_text(_SOURCE)
        lab.keyboard.press("Shift+Enter")
    until = time.monotonic() + _AGAIN_S
    while not output.is_visible():
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S)
    return True


def _path(lab: Page) -> str:
    return httpx.URL(lab.url).path.partition("lab")[0]
