"""Notices by e-mail, through a real SMTP conversation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from hub.mail import Mailer
from hub.store.tables import PersonRow
from tests.peers.smtp import Postbox
from tests.site import Site


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    with Postbox() as box:
        yield box


async def a_turn_for_noa(site: Site) -> str:
    """Noa's turn has come and is held for her; she has an address."""
    site.person("mia")
    site.person("noa")
    with site.control.store.write() as session:
        noa = session.exec(select(PersonRow).where(PersonRow.login == "noa")).one()
        noa.email = "noa@example.org"
        session.add(noa)
    running = [await site.run("mia", "gpu-whole") for _ in range(2)]
    waiting = await site.launch("noa", "gpu-whole", notify=True)
    await site.call("mia", "POST", f"/workloads/{running[0]}/stop")
    await site.until_status("noa", waiting, "offered")
    return waiting


async def test_my_turn_is_told_once_with_the_way_there(tmp_path: Path, postbox: Postbox) -> None:
    async with Site(tmp_path, smtp_url=postbox.url, smtp_from="gpu@example.org") as site:
        waiting = await a_turn_for_noa(site)
        mailer = Mailer(site.control)
        assert mailer.send_due() == 1
        assert mailer.send_due() == 0
        (letter,) = postbox.letters
        assert (letter["To"], letter["From"]) == ("noa@example.org", "gpu@example.org")
        assert "it is your turn" in letter["Subject"]
        assert f"/services/portal/workloads/{waiting}" in letter.get_content()


async def test_a_server_that_refuses_is_tried_again_for_a_day(
    tmp_path: Path, postbox: Postbox
) -> None:
    async with Site(tmp_path, smtp_url=postbox.url) as site:
        await a_turn_for_noa(site)
        mailer = Mailer(site.control)
        postbox.refuse = True
        assert mailer.send_due() == 0
        postbox.refuse = False
        assert mailer.send_due() == 1

        site.later(minutes=10)  # the turn is missed, which is told too
        await site.beat()
        postbox.refuse = True
        mailer.send_due()
        site.later(days=1, minutes=1)
        postbox.refuse = False
        assert mailer.send_due() == 0
        assert len(postbox.letters) == 1
