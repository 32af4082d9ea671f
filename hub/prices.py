"""What an offer costs, and from when on.

The price that was shown when a workload was asked for holds for its whole life: extensions and
new attempts after a preemption too. A change is for what is asked for later, and is never made
for the past.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from catalog.clock import Clock
from catalog.errors import BadValue, NotFound
from catalog.offers import MAX_PRICE, Menu, Offer
from catalog.units import format_credits
from hub.control_context import Control
from hub.policy import ROOT_TENANT, Actor
from hub.store import audit
from hub.store.store import Store
from hub.store.tables import PriceRow

FARTHEST = timedelta(days=731)
"""How far ahead a price may be set; a year that is mistyped lies farther."""
SLACK = timedelta(seconds=60)
"""A time that has just passed while it was typed means now."""
READ_EVERY = timedelta(seconds=10)
"""Within this time a price that another control on the same database sets is known here."""


@dataclass(frozen=True, slots=True)
class Price:
    """A line of the price list. `starts_at` None: the menu's own, which holds before all others."""

    offer: Offer
    per_hour: int
    starts_at: datetime | None
    in_effect: bool


class KnownPrices:
    """The price list as it was read last. The menu is asked for within transactions, and whoever
    has a connection must not wait for a second one: then what is known is used as it is."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._reading = threading.Lock()
        self.read_again()

    def on(self, menu: Menu) -> Menu:
        """The menu at the prices in effect; a price takes effect at its time whenever it was read."""
        if not self._store.inside and self._is_old():
            with self._reading:
                if self._is_old():
                    self._read()
        now = self._clock.now()
        return _at_prices(menu, {r.offer_id: r.per_hour for r in self._rows if r.starts_at <= now})

    def read_again(self) -> None:
        """Read the list now."""
        with self._reading:  # or an older reading could end later
            self._read()

    def _read(self) -> None:
        with self._store.read() as session:
            self._rows = _rows(session)
        self._read_at = self._clock.now()

    def _is_old(self) -> bool:
        # A clock that went back says nothing about how old it is.
        return not timedelta() <= self._clock.now() - self._read_at < READ_EVERY


def attach(control: Control) -> None:
    """From now on the menu shows, and every ask is judged at, the prices in effect."""
    control.menu.prices = KnownPrices(control.store, control.clock)


def set_price(
    control: Control, actor: Actor, offer_id: str, per_hour: int, starts_at: datetime | None
) -> None:
    """A price from a time on, or from now. The same time again replaces it.

    Raises BadValue for the past, a time too far ahead and a price that is none; NotFound.
    """
    now = control.clock.now()
    if offer_id not in control.menu.get().offers:
        raise NotFound(f"there is no offer {offer_id!r}", next="see `perijove offers` for the menu")
    if not 0 <= per_hour <= MAX_PRICE:
        raise BadValue(
            f"per_hour: {format_credits(per_hour)} is not a price",
            next=f"use 0 to {format_credits(MAX_PRICE)}",
        )
    starts_at = _start(starts_at, now)
    with control.store.write() as session:
        session.merge(
            PriceRow(
                offer_id=offer_id, starts_at=starts_at, per_hour=per_hour,
                created_by=actor.person_id, created_at=now,
            )
        )  # fmt: skip
        audit.record(
            session, now, actor.person_id, "set-price", offer_id, ROOT_TENANT,
            {"per_hour": per_hour, "from": starts_at.isoformat()},
        )  # fmt: skip
    if control.menu.prices is not None:
        control.menu.prices.read_again()


def price_list(control: Control, offers: list[Offer]) -> list[Price]:
    """Of each offer all that was, is and will be, in the order of time."""
    now = control.clock.now()
    with control.store.read() as session:
        rows = _rows(session)
    menu = control.menu.unpriced.offers
    found: list[Price] = []
    for offer in offers:
        own = [row for row in rows if row.offer_id == offer.id]
        past = [row for row in own if row.starts_at <= now]
        found.append(Price(offer, menu[offer.id].price_per_hour, None, in_effect=not past))
        found += [
            Price(offer, row.per_hour, row.starts_at, in_effect=bool(past) and row is past[-1])
            for row in own
        ]
    return found


def _start(starts_at: datetime | None, now: datetime) -> datetime:
    if starts_at is None or now - SLACK <= starts_at <= now:
        return now
    if starts_at < now:
        raise BadValue(
            f"from: {starts_at:%Y-%m-%d %H:%M} UTC has passed, and what was asked for since keeps"
            " its price",
            next="give a time to come, or leave it out for now",
        )
    if starts_at > now + FARTHEST:
        raise BadValue(
            f"from: {starts_at:%Y-%m-%d} is more than two years ahead", next="give a nearer time"
        )
    return starts_at


def _rows(session: Session) -> list[PriceRow]:
    return list(session.exec(select(PriceRow).order_by(col(PriceRow.starts_at))))


def _at_prices(menu: Menu, prices: Mapping[str, int]) -> Menu:
    if not prices:
        return menu
    return Menu(
        {
            id: replace(offer, price_per_hour=prices.get(id, offer.price_per_hour))
            for id, offer in menu.offers.items()
        }
    )
