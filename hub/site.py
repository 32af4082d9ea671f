"""What every screen has to say about this site."""

from importlib.metadata import version

from hub.api import schema
from hub.control_context import Control


def site_view(control: Control, *, admin: bool) -> schema.Site:
    """Warnings of the set-up go to administrators; what concerns everybody goes to all."""
    warnings: list[str] = []
    if admin:
        warnings += [*control.limits.reasons, *control.inventory_warnings()]
        control.menu.get()
        if control.menu.problem:
            warnings.append(f"the menu file has a mistake: {control.menu.problem.message}")
    return schema.Site(
        emulated=control.emulated,
        trust_everyone=control.settings.trust_everyone and not control.settings.is_root,
        warnings=warnings,
        version=version("perijove"),
    )
