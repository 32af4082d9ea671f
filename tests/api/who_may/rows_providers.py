"""The ways to sign in."""

from tests.api.who_may.callers import EVERYBODY, Rows, nothing

ROWS: Rows = {("GET", "/providers"): (nothing, None, EVERYBODY)}
