"""The launch form: adjustable fields, the live Verdict beside them, and the same as code."""

import asyncio
import secrets
from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

import panel as pn

from catalog.errors import PerijoveError
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.code import as_cli, as_python, as_yaml
from portal.panels.fields import choices
from portal.panels.look import WIDGETS, framed, opened_page, text, trouble

DEBOUNCE = 0.25
"""Seconds without a change before the Verdict is asked for again."""
SHORT = 12
"""A list of up to this many values is a select; a longer one is a slider."""
_HEADINGS = {"fits": "Starts now", "waits": "Waits for its turn", "denied": "Not possible"}


def launch_page(portal: Portal) -> pn.Template:
    """The page of ``?offer=ID``."""
    asked = pn.state.session_args.get("offer", [b""])[0].decode(errors="replace")
    form = LaunchForm(portal, ControlClient(portal, opened_page()), asked)
    pn.state.onload(form.load)
    return framed(portal, form.view)


class LaunchForm:
    """One open form. Every callback makes one client call and shows the answer."""

    def __init__(self, portal: Portal, client: ControlClient, offer: str) -> None:
        self._client = client
        self._offer = offer
        self._url = portal.config.public_url
        self._fields: dict[str, Any] = {}
        self._asked = 0
        self._key = secrets.token_urlsafe(16)
        self._name = pn.widgets.TextInput(
            label="Name", placeholder="What you will call it (optional)", max_length=60,
            stylesheets=[WIDGETS], sizing_mode="stretch_width",
        )  # fmt: skip
        self._notify = pn.widgets.Checkbox(
            label="Tell me when it is my turn and hold it for ten minutes",
            visible=False, stylesheets=[WIDGETS],
        )  # fmt: skip
        self._launch = pn.widgets.Button(
            label="Launch", color="primary", disabled=True, stylesheets=[WIDGETS],
            sizing_mode="stretch_width",
        )  # fmt: skip
        self._language = pn.widgets.RadioButtonGroup(
            options=["CLI", "YAML", "Python"], value="CLI", stylesheets=[WIDGETS],
        )  # fmt: skip
        self._show_code = pn.widgets.Toggle(
            label="Show as code", value=False, stylesheets=[WIDGETS]
        )
        self._code = text("")
        self._verdict = text('<div class="verdict" role="status"><h2>Checking…</h2></div>')
        self._alternatives = pn.Row(sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})
        self._goto = pn.widgets.TextInput(value="", visible=False)
        self._goto.jscallback(
            value="if (cb_obj.value) window.parent.postMessage({perijove: cb_obj.value}, "
            "window.location.origin)"
        )
        self._form = pn.Column(sizing_mode="stretch_width", styles={"gap": "6px"})
        self._launch.on_click(self._start)
        self._name.param.watch(lambda _: self._write_code(), "value")
        self._language.param.watch(lambda _: self._write_code(), "value")
        self._show_code.param.watch(lambda _: self._write_code(), "value")
        self.view = self._lay_out()

    async def load(self) -> None:
        """Fill the form from the menu."""
        try:
            offers = (await self._client.get("offers"))["items"]
        except PerijoveError as error:
            self._form[:] = [text(trouble(error.message, error.next))]
            return
        found = next((one for one in offers if one["id"] == self._offer), None)
        if found is None:
            self._form[:] = [text(trouble("This offer is not on your menu",
                                          "Choose another one from the menu."))]  # fmt: skip
            self._verdict.object = ""
            return
        self._fill(found)
        self._write_code()
        await self._check()

    def _lay_out(self) -> pn.Column:
        side = pn.Column(
            self._verdict, self._alternatives, self._notify, self._launch,
            sizing_mode="stretch_width", styles={"gap": "10px"}, css_classes=["side"],
        )  # fmt: skip
        both = pn.FlexBox(
            pn.Column(self._form, styles={"flex": "1 1 320px"}),
            pn.Column(side, styles={"flex": "1 1 300px"}),
            gap="32px", sizing_mode="stretch_width",
        )  # fmt: skip
        code = pn.Column(
            self._show_code, self._language, self._code, sizing_mode="stretch_width",
            styles={"gap": "8px", "margin-top": "18px"},
        )  # fmt: skip
        self._language.visible = self._code.visible = False
        return pn.Column(both, code, self._goto, sizing_mode="stretch_width")

    def _fill(self, offer: Mapping[str, Any]) -> None:
        fixed = [f for f in offer["fields"] if f["mode"] == "fixed"]
        facts = "".join(
            f"<div><dt>{escape(f['label'])}</dt><dd>{escape(next(iter(choices(f))))}</dd></div>"
            for f in fixed
        )
        self._fields = {f["name"]: _widget(f) for f in offer["fields"] if f["mode"] == "adjustable"}
        for widget in self._fields.values():
            widget.param.watch(self._changed, "value")
        self._form[:] = [
            self._name,
            *self._fields.values(),
            *([text(f"<dl>{facts}</dl>")] if facts else []),
        ]

    def _answers(self) -> dict[str, str]:
        return {name: widget.value for name, widget in self._fields.items()}

    async def _changed(self, _: object) -> None:
        self._write_code()
        await self._check()

    async def _check(self) -> None:
        """Ask for the Verdict once the person pauses; an older answer never covers a newer one."""
        self._asked += 1
        mine = self._asked
        self._key = secrets.token_urlsafe(16)
        await asyncio.sleep(DEBOUNCE)
        if mine != self._asked:
            return
        try:
            verdict = await self._client.post(
                "check", {"offer": self._offer, "set": self._answers()}
            )
        except PerijoveError as error:
            if mine == self._asked:
                self._verdict.object = trouble(error.message, error.next)
                self._launch.disabled = True
            return
        if mine == self._asked:
            self._show(verdict)

    def _show(self, verdict: Mapping[str, Any]) -> None:
        kind = verdict["verdict"]
        self._verdict.object = verdict_html(verdict)
        self._notify.visible = kind == "waits"
        self._launch.disabled = kind == "denied"
        self._launch.label = "Join the queue" if kind == "waits" else "Launch"
        self._alternatives[:] = [self._alternative(one) for one in verdict["alternatives"][:4]]

    def _alternative(self, one: Mapping[str, Any]) -> pn.widgets.Button:
        button = pn.widgets.Button(label=one["text"], stylesheets=[WIDGETS])
        button.on_click(partial(self._take, one))
        return button

    async def _take(self, one: Mapping[str, Any], _: object) -> None:
        """An alternative on another offer opens that form; on this one it sets the fields."""
        if one["offer"] != self._offer:
            self._goto.value = f"launch?offer={one['offer']}"
            return
        for name, value in one["set"].items():
            if name in self._fields:
                widget = self._fields[name]
                if str(value) in widget.options.values():
                    widget.value = str(value)

    async def _start(self, _: object) -> None:
        self._launch.disabled = True
        body = {"offer": self._offer, "set": self._answers(), "name": self._name.value_input or ""}
        body["notify"] = bool(self._notify.visible and self._notify.value)
        try:
            made = await self._client.post("workloads", body, key=self._key)
        except PerijoveError as error:
            self._verdict.object = trouble(error.message, error.next)
            self._launch.disabled = False
            return
        self._goto.value = f"workloads/{made['id']}"

    def _write_code(self) -> None:
        shown = bool(self._show_code.value)
        self._language.visible = self._code.visible = shown
        if not shown:
            return
        answers, name = self._answers(), self._name.value or ""
        code = {
            "CLI": lambda: as_cli(self._offer, answers, name),
            "YAML": lambda: as_yaml(self._offer, answers, name),
            "Python": lambda: as_python(self._offer, answers, name, self._url),
        }[self._language.value]()
        self._code.object = f"<pre><code>{escape(code)}</code></pre>"


def verdict_html(verdict: Mapping[str, Any]) -> str:
    """The Verdict's own words, with the price and the most that the lease can cost."""
    kind = verdict["verdict"]
    more = [verdict["reason"]] if verdict["reason"] and kind != "fits" else []
    if verdict["position"]:
        more.append(f"Number {verdict['position']} in the queue.")
    if verdict["next"] and kind != "fits":
        more.append(verdict["next"])
    lines = "".join(f"<p>{escape(_sentence(line))}</p>" for line in more)
    return (
        f'<div class="verdict {kind}" role="status"><h2>{_HEADINGS[kind]}</h2>{lines}'
        f'<div class="sum"><div><strong>{escape(verdict["price"]["per_hour"])}</strong>'
        f"credits per hour</div><div><strong>{escape(verdict['cost'])}</strong>"
        "credits for the whole time</div></div></div>"
    )


def _sentence(line: str) -> str:
    return line[:1].upper() + line[1:]


def _widget(field: Mapping[str, Any]) -> Any:
    options = choices(field)
    kind = pn.widgets.Select if len(options) <= SHORT else pn.widgets.DiscreteSlider
    extra = {"description": field["help"]} if field.get("help") and len(options) <= SHORT else {}
    return kind(
        label=field["label"], options=options, value=field["value"], stylesheets=[WIDGETS],
        sizing_mode="stretch_width", **extra,
    )  # fmt: skip
