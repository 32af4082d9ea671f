"""What the portal has to know to start; read once, never changed after."""

from dataclasses import dataclass
from urllib.parse import urlsplit

PREFIX = "/services/portal/"
"""Every path of the portal begins with this."""


@dataclass(frozen=True, slots=True)
class PortalConfig:
    """Addresses are without a trailing slash; `public_url` is the one that people type."""

    port: int
    public_url: str
    hub_url: str
    control_url: str
    client_secret: str
    page_secret: str
    docs: str
    """Folder of the handbook."""
    lab_assets: str = ""
    """Folder with a link to each build of JupyterLab that servers run."""

    @property
    def secure(self) -> bool:
        """Whether people come over https: cookies then travel over nothing else."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_url).netloc.lower()

    def cookie(self, name: str) -> tuple[str, str]:
        """Name and path of a cookie. Over https its name lets nobody else set it: a page on a
        subdomain (a notebook) could otherwise set one for the whole domain."""
        return (f"__Host-{name}", "/") if self.secure else (name, PREFIX)
