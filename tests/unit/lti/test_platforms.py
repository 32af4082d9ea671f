"""The file of learning systems: a good one, and mistakes told by file, entry and field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.errors import BadSetup
from hub.lti.guide import addresses, developer_key, entry
from hub.lti.platforms import Platform, load_platforms
from hub.settings import PACKAGE_ROOT

ENTRY = {
    "name": "moodle", "title": "Moodle", "issuer": "https://moodle.example.edu",
    "client_id": "abc", "deployments": ["1"],
    "auth_login_url": "https://moodle.example.edu/mod/lti/auth.php",
    "auth_token_url": "https://moodle.example.edu/mod/lti/token.php",
    "jwks_url": "https://moodle.example.edu/mod/lti/certs.php",
}  # fmt: skip


def written(folder: Path, content: Any) -> Path:
    path = folder / "lti.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_one_issuer_may_have_several_clients(tmp_path: Path) -> None:
    other = {**ENTRY, "name": "two", "client_id": "def", "deployments": "any"}
    first, second = load_platforms(written(tmp_path, {"platforms": [ENTRY, other]}))
    assert first.identity_issuer == "lti:https://moodle.example.edu#abc"
    assert second.identity_issuer == "lti:https://moodle.example.edu#def"
    assert first.knows("1")
    assert not first.knows("2")
    assert second.knows("2")
    assert first.audience == ENTRY["auth_token_url"]
    assert first.source == "lti:moodle"
    assert load_platforms(None) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"issuers": "x"}, "issuers"),
        ({"deployments": None}, "deployments"),
        ({"deployments": []}, "deployments"),
        ({"deployments": [1]}, "deployments"),
        ({"deployments": "all"}, "deployments"),
        ({"name": "Moodle!"}, "name"),
        ({"issuer": "http://moodle.example.edu"}, "issuer"),
        ({"issuer": "https://moodle.example.edu/#x"}, "issuer"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"jwks_url": "http://moodle.example.edu/certs"}, "jwks_url"),
        ({"jwks_url": "http://127.0.0.1/certs"}, "jwks_url"),
        ({"auth_token_url": "file:///etc/passwd"}, "auth_token_url"),
        ({"auth_login_url": None}, "auth_login_url"),
        ({"teachers": "instructor"}, "teachers needs home"),
        ({"teachers": "admin", "home": "main"}, "teachers"),
    ],
)
def test_a_mistake_names_file_entry_and_field(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    changed = {key: value for key, value in {**ENTRY, **change}.items() if value is not None}
    path = written(tmp_path, {"platforms": [changed]})
    with pytest.raises(BadSetup) as wrong:
        load_platforms(path)
    assert wrong.value.message.startswith(f"{path}: platforms[0]")
    assert place in wrong.value.message
    assert wrong.value.next


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("platforms: [", "lti.yaml:"),
        ("", "must hold `platforms:`"),
        ("providers: []", "must hold `platforms:`"),
        ("platforms: {}", "must be a list"),
        ("platforms: [7]", "platforms[0]"),
        ({"platforms": [ENTRY, {**ENTRY, "client_id": "x"}]}, "the name 'moodle'"),
        ({"platforms": [ENTRY, {**ENTRY, "name": "b"}]}, "the issuer and client_id"),
        ("x: " + "y" * 2**18, "larger than 256 KiB"),
        ("\x00", "lti.yaml"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(
    tmp_path: Path, content: Any, words: str
) -> None:
    with pytest.raises(BadSetup) as wrong:
        load_platforms(written(tmp_path, content))
    assert words in wrong.value.message
    assert wrong.value.next


@pytest.mark.parametrize(
    ("kind", "address", "issuer"),
    [
        ("moodle", "https://moodle.example.edu", "https://moodle.example.edu"),
        ("canvas", "https://uni.instructure.com", "https://canvas.instructure.com"),
        ("canvas", "https://canvas.example.edu", "https://canvas.example.edu"),
    ],
)
def test_a_template_is_valid_once_it_is_filled_in(kind: str, address: str, issuer: str) -> None:
    assert Platform.model_validate(entry(kind, address, kind)).issuer == issuer


def test_what_is_registered_is_where_the_pages_are() -> None:
    ours = addresses("https://lab.example", "lms")
    key = developer_key("https://lab.example", "lms")
    assert ours["login_initiation"] == key["oidc_initiation_url"]
    assert key["target_link_uri"] == ours["redirection"] == "https://lab.example/hub/lti/lms/launch"
    assert key["public_jwk_url"] == "https://lab.example/hub/lti/jwks"


def test_the_handbooks_example_is_valid(tmp_path: Path) -> None:
    page = (PACKAGE_ROOT / "docs" / "learning-system.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    moodle, canvas = load_platforms(written(tmp_path, example))
    assert (moodle.home, moodle.knows("1"), moodle.knows("2")) == ("main", True, False)
    assert canvas.knows("anything")
    shown = {**addresses("…", "moodle"), "site": "…/hub/lti/jwks"}
    assert all(address in page for address in shown.values())
