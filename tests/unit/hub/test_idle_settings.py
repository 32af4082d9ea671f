"""How long work may be idle, and how long its owner has to answer."""

import pytest
from pydantic import ValidationError

from hub.settings import Settings


@pytest.mark.parametrize(
    "wrong",
    [{"idle": "soon"}, {"idle": "5s"}, {"idle_ask": "0s"}, {"idle_ask": "5s"}, {"idle_ask": "off"}],
)
def test_a_time_that_would_stop_work_unasked_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_a_site_may_never_stop_what_is_idle() -> None:
    assert Settings(idle="off").idle_span is None
