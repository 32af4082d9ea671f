from datetime import timedelta

import pytest

from catalog.clock import ManualClock
from portal.sessions import IDLE, PENDING, Sessions


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_session_is_found_by_its_cookie_and_the_hubs_sign_in(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    cookie = sessions.open("token", "hub-1")
    found = sessions.find(cookie, "hub-1")
    assert found is not None
    assert found.token == "token"
    assert sessions.find("x" + cookie, "hub-1") is None
    assert sessions.find("", "hub-1") is None


def test_the_cookie_itself_is_kept_nowhere(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    cookie = sessions.open("token", "hub-1")
    found = sessions.find(cookie, "hub-1")
    assert found is not None
    assert cookie not in repr(found)


def test_signing_out_of_the_hub_or_in_as_another_ends_it_for_good(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    cookie = sessions.open("token", "hub-1")
    assert sessions.find(cookie, "hub-2") is None
    assert sessions.find(cookie, "hub-1") is None


def test_it_idles_out_after_twelve_hours_and_use_keeps_it(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    cookie = sessions.open("token", "")
    for _ in range(3):
        clock.advance(IDLE - timedelta(seconds=1))
        assert sessions.find(cookie, "") is not None
    clock.advance(IDLE + timedelta(seconds=1))
    assert sessions.find(cookie, "") is None


def test_pages_end_with_their_session(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    session = sessions.find(sessions.open("token", ""), "")
    assert session is not None
    page = sessions.mint_page(session)
    assert sessions.of_page(page) is session
    assert sessions.of_page("forged") is None
    sessions.close(session.key)
    assert sessions.of_page(page) is None


def test_the_one_unused_longest_goes_first(clock: ManualClock) -> None:
    sessions = Sessions(clock, most=2)
    first, second = sessions.open("1", ""), sessions.open("2", "")
    assert sessions.find(first, "") is not None
    third = sessions.open("3", "")
    assert sessions.find(second, "") is None
    assert sessions.find(first, "") is not None
    assert sessions.find(third, "") is not None


def test_a_trip_to_the_hub_ends_once_in_its_own_browser_and_in_time(clock: ManualClock) -> None:
    sessions = Sessions(clock)
    state = sessions.begin_sign_in("browser", "verifier", "/services/portal/usage")
    assert sessions.end_sign_in(state, "another") is None
    assert sessions.end_sign_in(state, "browser") is None, "a wrong try uses it up"
    state = sessions.begin_sign_in("browser", "verifier", "/services/portal/usage")
    trip = sessions.end_sign_in(state, "browser")
    assert trip is not None
    assert trip.verifier == "verifier"
    assert sessions.end_sign_in(state, "browser") is None
    late = sessions.begin_sign_in("browser", "verifier", "/")
    clock.advance(PENDING + timedelta(seconds=1))
    assert sessions.end_sign_in(late, "browser") is None
