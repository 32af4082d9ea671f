"""Whose tokens were good is remembered within bounds, and no token is."""

from hub.auth.remembered import RememberedTokens


def test_an_owner_is_remembered_until_others_need_the_room() -> None:
    known = RememberedTokens(most=2)
    known.remember("a", "u-1")
    known.remember("b", "u-2")
    known.remember("a", "u-1")
    known.remember("c", "u-3")
    assert [known.owner(token) for token in "abcd"] == ["u-1", "", "u-3", ""]


def test_no_token_is_kept() -> None:
    known = RememberedTokens()
    known.remember("a-secret-token", "u-1")
    assert "a-secret-token" not in str(vars(known))
