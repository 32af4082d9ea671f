import os
import stat
from pathlib import Path

import pytest

from catalog.errors import BadSetup
from hub.settings import Settings
from hub.up.exposure import demand_safe_exposure
from hub.up.home import prepare_home
from hub.up.secrets import NAMES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "h")


OPEN = ["0.0.0.0", "::", "192.0.2.7", "perijove.example", ""]  # noqa: S104 (nothing listens)


@pytest.mark.parametrize("ip", OPEN)
def test_an_open_address_demands_tls_or_a_declared_proxy(ip: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="not be encrypted"):
        demand_safe_exposure(Settings(ip=ip))
    with pytest.raises(BadSetup, match="not be encrypted"):
        demand_safe_exposure(Settings(ip=ip, public_url="http://perijove.example"))
    demand_safe_exposure(Settings(ip=ip, public_url="https://perijove.example"))
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    demand_safe_exposure(Settings(ip=ip, tls_cert=tmp_path / "cert", tls_key=tmp_path / "key"))


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_tls(ip: str) -> None:
    demand_safe_exposure(Settings(ip=ip))


def test_half_of_tls_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert").touch()
    with pytest.raises(BadSetup, match="without the other"):
        demand_safe_exposure(Settings(tls_cert=tmp_path / "cert"))
    with pytest.raises(BadSetup, match="key is not a file"):
        demand_safe_exposure(Settings(tls_cert=tmp_path / "cert", tls_key=tmp_path / "key"))


def test_the_first_start_makes_private_folders_and_secrets_that_stay(settings: Settings) -> None:
    prepare_home(settings)
    for folder in (settings.home, settings.run_dir, settings.home / "secrets"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = {name: settings.secret(name) for name in NAMES}
    assert all(len(bytes.fromhex(secret)) == 32 for secret in made.values())
    assert len(set(made.values())) == len(NAMES)
    (settings.home / "secrets" / "pepper").chmod(0o644)
    settings.menu_file.write_text("mine")
    prepare_home(settings)
    assert {name: settings.secret(name) for name in NAMES} == made
    assert stat.S_IMODE((settings.home / "secrets" / "pepper").stat().st_mode) == 0o600
    assert settings.menu_file.read_text() == "mine"


def test_a_damaged_secret_is_not_silently_replaced(settings: Settings) -> None:
    prepare_home(settings)
    (settings.home / "secrets" / "pepper").write_text("")
    with pytest.raises(BadSetup, match="pepper is empty"):
        prepare_home(settings)


def test_a_home_that_is_a_file_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "h").touch()
    with pytest.raises(BadSetup, match=str(tmp_path / "h")):
        prepare_home(Settings(home=tmp_path / "h"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_somebody_else_is_refused(settings: Settings) -> None:
    settings.home.mkdir()
    os.chown(settings.home, 12345, -1)
    with pytest.raises(BadSetup, match="belongs to uid 12345"):
        prepare_home(settings)


def test_a_home_too_deep_for_a_socket_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="too long") as caught:
        prepare_home(Settings(home=tmp_path / ("d" * 120)))
    assert "PERIJOVE_HOME" in caught.value.next
