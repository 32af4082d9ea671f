"""Somebody forgot the password: an administrator's link sets a new one, and ends what was before."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import PASSWORD, Api, Visitor
from tests.live import LiveSite

NEW = "quite another password"


@pytest.fixture(scope="module")
def site(make_site: Callable[..., LiveSite]) -> LiveSite:
    return make_site().start()


def signed_in(visitor: Visitor) -> bool:
    return visitor.http.get("/hub/token").url.path == "/hub/token"


def test_a_new_password_by_link_signs_in_here_and_out_elsewhere(
    site: LiveSite,
) -> None:
    admin, visitor = Api(site), Visitor(site)
    invited = admin.post("/invitations", {"tenant": "main"})["url"]
    visitor.accept_invitation(invited, "forgetful")
    url = admin.post("/people/forgetful/password-link")["url"]
    elsewhere = Visitor(site)
    page = elsewhere.http.get(url)
    assert "forgetful" in page.text
    wrong = elsewhere.submit(page, password=NEW, password_again="a different one")
    assert (wrong.status_code, "not the same" in wrong.text) == (400, True)
    done = elsewhere.submit(elsewhere.http.get(url), password=NEW, password_again=NEW)
    assert done.url.path == "/services/portal/"
    assert "used already" in elsewhere.http.get(url).text
    assert not signed_in(visitor)
    assert signed_in(elsewhere)
    assert Visitor(site).sign_in("forgetful", PASSWORD).url.path == "/hub/login"
    assert Visitor(site).sign_in("forgetful", NEW).url.path == "/services/portal/"
