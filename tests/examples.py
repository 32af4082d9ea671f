"""How many examples a property is tried with: all under `make test`, some under `make check`."""

from hypothesis import HealthCheck, settings

THOROUGH = "thorough"
QUICK = "quick"
_SHARE = 8


def load_profiles() -> None:
    """Thorough, unless pytest's ``--hypothesis-profile`` names the quick one."""
    # A shared machine may stop for a second in the middle of any example.
    calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(THOROUGH, calm)
    settings.register_profile(QUICK, calm, max_examples=calm.max_examples // _SHARE)
    settings.load_profile(THOROUGH)


def examples(thorough: int) -> int:
    """That many; an eighth of it, and five at least, under the quick profile."""
    if settings.get_current_profile_name() == QUICK:
        return max(5, thorough // _SHARE)
    return thorough
