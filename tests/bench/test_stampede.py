"""What the stampede makes of its options and measurements, and how its browsers behave."""

from collections import Counter

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.api.course_schema import CourseBody
from tests.bench.course import course, links_of
from tests.bench.stampede import Options, Phase, moments, result, spread, table
from tests.bench.student import Record
from tests.bench.visitor import Tally, Visitor


def test_options_name_what_is_wrong() -> None:
    assert Options.read({}) == Options(120, 10.0)
    for name, value in (("PEOPLE", "0"), ("PEOPLE", "many"), ("SPREAD", "-1"), ("SPREAD", "61")):
        with pytest.raises(ValueError, match=name):
            Options.read({name: value})


def test_moments_are_the_same_each_time_and_in_time() -> None:
    drawn = moments(120, 10)
    assert drawn == moments(120, 10)
    assert 0 <= min(drawn) < 1
    assert 9 < max(drawn) <= 10


def test_percentiles_are_values_that_were_measured() -> None:
    assert spread([float(n) for n in range(1, 201)]) == {
        "n": 200, "p50_s": 100.0, "p99_s": 198.0, "worst_s": 200.0,
    }  # fmt: skip
    assert spread([3.0]) == {"n": 1, "p50_s": 3.0, "p99_s": 3.0, "worst_s": 3.0}
    assert spread([]) == {"n": 0, "p50_s": None, "p99_s": None, "worst_s": None}


def test_the_result_says_what_went_wrong_and_who_took_the_processor() -> None:
    record = Record(
        Tally(50, 1, Counter({"503 /services/portal/": 2, "404 /x": 1, "none /y: TimeoutError": 1})),
        sign_in_s=[0.5, 0.7], usable_s=[2.0], shell_s=[0.01], problems=["s001: failed"],
    )  # fmt: skip
    phases = {"sign_in": Phase(10.0, 1.0, {"control": 0.6, "hub": 0.4})}
    found = result(Options(2, 10), record, phases, check_s=0.25)
    assert (found["usable"], found["error_answers"], found["faults_5xx"]) == (1, 4, 3)
    assert found["password_share_of_sign_in"] == 0.25  # two checks of a quarter second, of two
    assert found["phases"]["sign_in"]["site_cpu_s"] == {"control": 0.6, "hub": 0.4}
    said = table(found)
    assert "1 of 2 usable" in said
    assert "25% of the work of signing in" in said


def test_the_course_is_one_that_the_api_takes() -> None:
    body = CourseBody.model_validate(course(["s000", "s001"]))
    assert body.roster is not None
    assert body.roster.csv.splitlines()[1:] == ["s000,s000", "s001,s001"]
    text = "\ufeffid,name,link\n1,Ada,http://x/hub/invitation?token=a\n2,Bob,http://x/hub/invitation?token=b\n"
    assert [link[-1] for link in links_of(text)] == ["a", "b"]


async def test_a_visitor_keeps_cookies_sends_forms_and_counts() -> None:
    async def form(_: web.Request) -> web.Response:
        text = '<form action="sent"><input type="hidden" name="_xsrf" value="a&amp;b"></form>'
        answer = web.Response(text=text, content_type="text/html")
        answer.set_cookie("who", "ada")
        return answer

    async def sent(request: web.Request) -> web.Response:
        given = await request.post()
        assert (given["_xsrf"], given["name"]) == ("a&b", "ada")
        raise web.HTTPFound("/there")

    async def there(request: web.Request) -> web.Response:
        return web.Response(text=request.cookies["who"])

    app = web.Application()
    app.add_routes([web.get("/form", form), web.post("/sent", sent), web.get("/there", there)])
    tally = Tally()
    async with TestServer(app) as server, Visitor(str(server.make_url("/")), tally) as visitor:
        answer = await visitor.submit(await visitor.page("/form"), name="ada")
        missing = await visitor.ask("GET", "/missing")
    assert (answer.status, answer.text, answer.url[-6:]) == (200, "ada", "/there")
    assert missing.status == 404
    assert (tally.requests, tally.faults) == (4, 0)
    assert tally.errors == {"404 /missing": 1}
