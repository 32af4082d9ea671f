"""The tool's keys: made once, turned, published two at a time, and what is signed with them."""

import threading
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from catalog.clock import ManualClock
from catalog.errors import BadSetup
from hub.lti.keys import CURRENT, ToolKeys, name_of
from hub.lti.messages import LINKS, Launch, Linking, Services
from hub.lti.platforms import Platform
from hub.lti.signing import assertion, course_item, links_response
from tests.unit.lti.test_platforms import ENTRY

PLATFORM = Platform.model_validate(ENTRY)


def published(keys: ToolKeys) -> list[str]:
    return [key["kid"] for key in keys.published()["keys"]]


def test_a_key_is_made_when_it_is_first_needed_and_stays(tmp_path: Path) -> None:
    keys = ToolKeys(tmp_path)
    first = name_of(keys.current())
    assert name_of(ToolKeys(tmp_path).current()) == first
    assert published(keys) == [first]
    assert (tmp_path / CURRENT).stat().st_mode & 0o777 == 0o600


def test_two_processes_that_are_first_at_once_use_the_same_key(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(name_of(ToolKeys(tmp_path).current())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert set(found) == {name_of(ToolKeys(tmp_path).current())}
    assert [path.name for path in tmp_path.iterdir()] == [CURRENT]


def test_a_rotation_keeps_the_one_before_published(tmp_path: Path) -> None:
    keys = ToolKeys(tmp_path)
    names = [name_of(keys.current())]
    for _ in range(2):
        current, before = keys.rotate()
        assert before == names[-1]
        names.append(current)
    assert published(keys) == [names[2], names[1]]
    assert name_of(keys.current()) == names[2]


def test_only_public_parts_are_published(tmp_path: Path) -> None:
    (key,) = ToolKeys(tmp_path).published()["keys"]
    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe"])
def test_a_damaged_key_is_told_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CURRENT).write_bytes(content)
    with pytest.raises(BadSetup, match=CURRENT):
        ToolKeys(tmp_path).current()
    assert (tmp_path / CURRENT).read_bytes() == content


def test_a_request_for_a_token_is_proved_once_and_shortly(tmp_path: Path) -> None:
    clock, key = ManualClock(), ToolKeys(tmp_path).current()
    found = [jwt.decode(assertion(PLATFORM, key, clock.now()), key) for _ in range(2)]
    claims = found[0].claims
    assert claims["iss"] == claims["sub"] == "abc"
    assert claims["aud"] == ENTRY["auth_token_url"]
    assert claims["exp"] - claims["iat"] == 300
    assert claims["jti"] != found[1].claims["jti"]
    assert found[0].header["kid"] == name_of(key)


def test_the_answer_to_a_request_for_links_carries_what_has_to_come_back(tmp_path: Path) -> None:
    key: RSAKey = ToolKeys(tmp_path).current()
    launch = Launch(
        "moodle", "7", "grace", "", "", "instructor", None, Services(),
        linking=Linking("https://moodle.example.edu/return", "opaque"),
    )  # fmt: skip
    item = course_item("physics", "Physics", "https://lab.example/hub/lti/moodle/launch")
    signed = links_response(PLATFORM, key, ManualClock().now(), launch, [item])
    claims = jwt.decode(signed, key).claims
    assert (claims["iss"], claims["aud"]) == ("abc", "https://moodle.example.edu")
    assert claims[LINKS + "data"] == "opaque"
    assert claims[LINKS + "content_items"] == [item]
    assert claims["https://purl.imsglobal.org/spec/lti/claim/deployment_id"] == "7"
