"""The learning systems of this site, as control speaks with them."""

from catalog.clock import Clock
from catalog.errors import NotFound
from hub.lti.keys import ToolKeys
from hub.lti.platforms import Platform, load_platforms
from hub.lti.services import PlatformServices
from hub.settings import Settings


class Systems:
    """Reads ``lti.yaml`` when it is first needed; a mistake in it stops the Hub, and so the start,
    before anybody comes here."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._found: dict[str, tuple[Platform, PlatformServices]] | None = None

    def platform(self, name: str) -> Platform:
        """Raises NotFound for a name that the file does not have (any more)."""
        return self._of(name)[0]

    def services(self, name: str) -> PlatformServices:
        """As `platform`."""
        return self._of(name)[1]

    def _of(self, name: str) -> tuple[Platform, PlatformServices]:
        if self._found is None:
            keys = ToolKeys(self._settings.home / "secrets")
            self._found = {
                platform.name: (platform, PlatformServices(platform, keys, self._clock))
                for platform in load_platforms(self._settings.lti_file)
            }
        if name not in self._found:
            raise NotFound(
                f"there is no learning system {name[:40]!r}",
                next="see the names in lti.yaml, and start again after a change",
            )
        return self._found[name]
