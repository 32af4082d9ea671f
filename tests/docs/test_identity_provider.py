"""What the page about identity providers shows can be used as it is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.auth.providers import Provider, load_providers
from tests.live import ROOT

PAGE = (ROOT / "docs" / "identity-provider.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(yaml|json)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OURS = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("providers:")]
OTHERS = [(kind, text) for kind, text in BLOCKS if text not in OURS]


def loaded(folder: Path, text: str) -> Provider:
    for name in re.findall(r"client_secret_file: (\S+)", text):
        (folder / name).write_text("a secret")
    (folder / "oidc.yaml").write_text(text, encoding="utf-8")
    (found,) = load_providers(folder / "oidc.yaml")
    return found


@pytest.fixture
def of(tmp_path: Path) -> Any:
    """The provider of an example, by a piece of its issuer."""
    return lambda piece: loaded(tmp_path, next(text for text in OURS if piece in text))


def test_each_provider_has_its_example() -> None:
    assert len(OURS) == 5
    for kind, text in OTHERS:
        assert yaml.safe_load(text) if kind == "yaml" else json.loads(text)


@pytest.mark.parametrize("text", OURS, ids=lambda text: text.split("issuer: ")[1].split("\n")[0])
def test_an_example_loads_and_lets_in_nobody_without_claims(tmp_path: Path, text: str) -> None:
    assert not loaded(tmp_path, text).admits({})


def test_keycloak(of: Any) -> None:
    found = of("/realms/main")
    assert found.standing({"groups": ["physics-staff", "staff"]}).roles == {
        "main": "member", "physics": "instructor",
    }  # fmt: skip
    assert found.standing({"groups": "perijove-admins"}).roles == {"main": "platform-admin"}
    assert "prompt" not in found.asked
    assert found.ends_by_refusal == "account"


def test_entra(of: Any) -> None:
    found = of("microsoftonline")
    assert found.admits({"groups": ["aaaaaaaa-0000-4000-8000-000000000001"]})
    assert found.roster_key({"upn": "ada@example.edu", "email": "x"}) == "ada@example.edu"
    assert found.asked == {"prompt": "select_account"}


def test_google(of: Any) -> None:
    found = of("accounts.google.com")
    assert found.admits({"hd": "example.edu", "email_verified": True})
    assert not found.admits({"email": "ada@example.edu", "email_verified": True})
    assert found.asked == {"access_type": "offline", "prompt": "consent"}


def test_cilogon(of: Any) -> None:
    found = of("cilogon.org")
    assert found.standing({"idp": "https://idp.example.edu/idp/shibboleth"}).home == "physics"
    assert not found.admits({"idp": "https://idp.evil.example/idp"})
    assert found.ends_by_refusal == "sessions"


def test_shibboleth(of: Any) -> None:
    found = of("satosa.example.edu")
    assert found.admits({"eduperson_scoped_affiliation": ["student@example.edu"]})
    assert not found.admits({"eduperson_scoped_affiliation": ["student@other.edu"]})
    assert found.refresh_span is None
