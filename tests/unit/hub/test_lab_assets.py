"""Which address a server is told, and what the portal finds by it."""

import gzip
import hashlib
from pathlib import Path

import pytest

from deploy import lab_assets as made
from hub import lab_assets
from hub.settings import Settings

PAGE = '<script src="{{x}}/main.aa11.js?v=aa11"></script>'
BUILD = hashlib.sha256(PAGE.encode()).hexdigest()[:16]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    static = tmp_path / "environment" / made.STATIC
    static.mkdir(parents=True)
    (static / "index.html").write_text(PAGE)
    (static / "main.aa11.js").write_text("t.e(12);" * 3000)
    (static / "12.cc33.js").write_text("chunk();" * 3000)
    (static / "0011.woff").write_bytes(b"font")
    return tmp_path / "environment"


def settings_of(tmp_path: Path, **more: object) -> Settings:
    spaces = tmp_path / "spaces"
    spaces.mkdir(exist_ok=True)
    return Settings(home=tmp_path / "home", spaces=spaces, **more)  # type: ignore[arg-type]


def test_the_folder_is_made_once_with_compressed_files(environment: Path) -> None:
    place = made.publish(environment)
    assert place is not None
    assert place == environment / "lab-assets" / BUILD
    names = {path.name for path in place.iterdir()}
    assert names == {
        "0011.woff", "12.cc33.js", "12.cc33.js.gz", "ahead.txt", "main.aa11.js", "main.aa11.js.gz"
    }  # fmt: skip
    assert gzip.decompress((place / "main.aa11.js.gz").read_bytes()) == b"t.e(12);" * 3000
    assert (place / "ahead.txt").read_text().split() == ["12.cc33.js", "main.aa11.js"]
    before = place.stat().st_mtime_ns
    assert made.publish(environment) == place
    assert place.stat().st_mtime_ns == before
    assert [path.name for path in place.parent.iterdir()] == [BUILD]


def test_an_environment_without_jupyterlab_has_none(tmp_path: Path) -> None:
    assert made.publish(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_names_no_script_has_nothing_to_fetch_ahead(environment: Path) -> None:
    (environment / made.STATIC / "index.html").write_text("<p>Another JupyterLab</p>")
    assert made.ahead(environment / made.STATIC) == []


def test_a_server_is_told_what_the_portal_finds(environment: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    place = made.publish(environment)
    told = lab_assets.told(settings, environment)
    assert told == {"PERIJOVE_LAB_ASSETS": f"/services/portal/lab/{BUILD}"}
    assert (lab_assets.folder_of(settings) / BUILD).resolve() == place
    assert lab_assets.told(settings, environment) == told


def test_with_subdomains_it_is_told_the_main_host(environment: Path, tmp_path: Path) -> None:
    made.publish(environment)
    settings = settings_of(tmp_path, subdomains=True, public_url="https://gpu.example.org")
    (address,) = lab_assets.told(settings, environment).values()
    assert address == f"https://gpu.example.org/services/portal/lab/{BUILD}"


def test_without_files_nothing_is_told(environment: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert lab_assets.told(settings, environment) == {}
    made.publish(environment)
    (environment / made.STATIC / "index.html").write_text("another JupyterLab was installed")
    assert lab_assets.told(settings, environment) == {}
    assert lab_assets.told(settings, tmp_path / "gone") == {}


def test_a_folder_that_cannot_be_written_ends_no_start(environment: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    made.publish(environment)
    lab_assets.folder_of(settings).write_text("a file is in the way")
    assert lab_assets.told(settings, environment) == {}


def test_the_sites_own_build_is_found_and_follows_the_environment(
    environment: Path, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, envs=environment)
    lab_assets.point_at_own(settings)
    assert not lab_assets.folder_of(settings).exists()
    made.publish(environment)
    lab_assets.point_at_own(settings)
    own = lab_assets.folder_of(settings) / "own"
    assert own.readlink().name == BUILD
    (environment / made.STATIC / "index.html").write_text("another")
    newer = made.publish(environment)
    assert newer is not None
    lab_assets.point_at_own(settings)
    assert own.resolve() == newer
    assert (lab_assets.folder_of(settings) / BUILD).is_dir(), "servers that run still use it"


def test_links_to_builds_that_are_gone_are_removed(environment: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    place = made.publish(environment)
    lab_assets.told(settings, environment)
    folder = lab_assets.folder_of(settings)
    (folder / "gone").symlink_to(tmp_path / "nothing")
    (folder / "own").symlink_to("gone")
    lab_assets.point_at_own(settings)
    left = {link.name: link.resolve() for link in folder.iterdir()}
    assert left.pop(BUILD) == place
    assert all(target.is_dir() for target in left.values())
