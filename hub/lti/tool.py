"""This site as a tool of one platform: off to it, and back with a launch that holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from authlib.common.urls import add_params_to_uri
from joserfc.jwk import Key

from catalog.clock import Clock
from catalog.errors import NotSignedIn, Unavailable
from hub.auth.discovery import KEEP, KEEP_FAILURE, NEW_KEYS_AFTER, fetch_json
from hub.auth.tokens import UnknownKey, read_keys, untrue
from hub.auth.trips import Once
from hub.lti.messages import Launch, is_ours, read_launch
from hub.lti.platforms import Platform
from hub.lti.signing import read_message
from hub.lti.trips import Trip

MAX_HINT = 4000


class PlatformKeys:
    """A platform's public keys, fetched when they are needed and kept for an hour."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self._platform = platform
        self._clock = clock
        self._kept: tuple[datetime, list[Key]] | None = None
        self._failed: tuple[datetime, Unavailable] | None = None

    async def get(self, *, newer: bool = False) -> list[Key]:
        """With `newer`, fetched again if that was a while ago. Raises Unavailable."""
        if self._kept and not self._older(self._kept[0], NEW_KEYS_AFTER if newer else KEEP):
            return self._kept[1]
        if self._failed and not self._older(self._failed[0], KEEP_FAILURE):
            raise self._failed[1]
        try:
            document = await fetch_json(self._platform.party, self._platform.jwks_url)
        except Unavailable as error:
            self._failed = (self._clock.now(), error)
            raise
        listed = document.get("keys")
        self._kept = (self._clock.now(), read_keys(listed if isinstance(listed, list) else []))
        return self._kept[1]

    def _older(self, at: datetime, limit: timedelta) -> bool:
        return self._clock.now() - at > limit


class LtiTool:
    """One per platform; `site` is this site's public address."""

    def __init__(self, platform: Platform, site: str, clock: Clock) -> None:
        self.platform = platform
        self.site = site
        self.path = f"/hub/lti/{platform.name}"
        self._clock = clock
        self._keys = PlatformKeys(platform, clock)
        self._once = Once()

    @property
    def launch_url(self) -> str:
        return f"{self.site}{self.path}/launch"

    @property
    def linking_url(self) -> str:
        """Where requests for links are made out to: those may be shown in a frame."""
        return f"{self.site}{self.path}/deep-link"

    def check_login(self, asked: Mapping[str, str]) -> None:
        """Raises NotSignedIn unless this is how the platform begins a launch into this site."""
        platform = self.platform
        if asked.get("iss") != platform.issuer:
            raise untrue(platform.party, "it comes from another issuer")
        if asked.get("client_id", platform.client_id) != platform.client_id:
            raise untrue(platform.party, "it was made for another tool")
        deployment = asked.get("lti_deployment_id") or asked.get("deployment_id")
        if deployment is not None and not platform.knows(deployment):
            raise untrue(platform.party, "its deployment is not one that this site trusts")
        if not asked.get("login_hint"):
            raise untrue(platform.party, "it does not hint at who comes")
        if not is_ours(asked.get("target_link_uri"), self.site):
            raise untrue(platform.party, "it leads to another site than this one")
        if any(len(asked.get(hint, "")) > MAX_HINT for hint in ("login_hint", "lti_message_hint")):
            raise untrue(platform.party, "its hints are too long")

    def address(self, trip: Trip, asked: Mapping[str, str]) -> str:
        """Where the browser goes to be told who it is."""
        given = {
            "scope": "openid", "response_type": "id_token", "response_mode": "form_post",
            "prompt": "none", "client_id": self.platform.client_id,
            "redirect_uri": self.launch_url, "state": trip.state, "nonce": trip.nonce,
            "login_hint": asked["login_hint"],
        }  # fmt: skip
        if hint := asked.get("lti_message_hint"):
            given["lti_message_hint"] = hint
        return add_params_to_uri(self.platform.auth_login_url, list(given.items()))

    async def finish(self, trip: Trip | None, answer: Mapping[str, str]) -> Launch:
        """The launch that came back on a trip which this browser began. Works once for each trip.

        Raises NotSignedIn, Forbidden, Unavailable.
        """
        if trip is None or not self._once.first("trip", trip.nonce):
            raise NotSignedIn(
                "this launch did not begin in this browser, or it took too long",
                next="go back to the course and open the link again, in a new window if you can",
            )
        if "error" in answer:
            said = "".join(c for c in answer["error"] if c.isprintable())[:80]
            raise NotSignedIn(
                f"{self.platform.title} did not let you through: {said}",
                next="go back to the course and open the link again",
            )
        claims = await self._claims(answer.get("id_token", ""), trip.nonce)
        return read_launch(self.platform, claims, self.site)

    async def _claims(self, token: str, nonce: str) -> dict[str, object]:
        now = self._clock.now()
        try:
            return read_message(self.platform, token, await self._keys.get(), now, nonce)
        except UnknownKey:
            pass
        try:
            keys = await self._keys.get(newer=True)
            return read_message(self.platform, token, keys, now, nonce)
        except UnknownKey as error:
            raise untrue(self.platform.party, "its signature is not the platform's") from error
