"""Lists of people as they come: encodings, delimiters, headers, and what is wrong with them."""

import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.courses.roster_csv import LONGEST_CELL, MOST_BYTES, MOST_ROWS, Roster, parse
from hub.csv_text import csv_text

TEXT = "id;name;email;group\n7;Zoë Müller;zoe@x.edu;Quiz\n8;Bob;bob@x.edu;\n"


def only(roster: Roster) -> tuple[int, str, str]:
    (trouble,) = roster.fatal
    return trouble.line, trouble.column, trouble.text


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"), ("latin-1", "cp1252"), ("cp1252", "cp1252"),
        ("utf-32", "utf-32"),
    ],
)  # fmt: skip
def test_the_encoding_is_found(encoding: str, named: str) -> None:
    roster = parse(TEXT.encode(encoding))
    assert roster.troubles == ()
    assert (roster.encoding, roster.delimiter) == (named, "semicolon")
    assert [(e.key, e.name, e.email, e.group) for e in roster.entries] == [
        ("7", "Zoë Müller", "zoe@x.edu", "Quiz"), ("8", "Bob", "bob@x.edu", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK\x03\x04rest", "workbook"), (b"\x00\x01\x02\x03" * 9, "not text"),
        (b"id,name\n1,a\x81\x8d\n", "not text"), (b"", "empty"), ("\ufeff\n ,,\n", "empty"),
        (b"id,name\n", "nobody below"), ("x,y\n1,2\n", "no column that is known (x, y)"),
        ("name,group\nAda,Quiz\n", "no column with an id or an e-mail"),
        (b"a" * (MOST_BYTES + 1), "larger than 2 MiB"),
        ("id\n" + "\n".join(map(str, range(MOST_ROWS + 1))), "more than 5,000 people"),
        ('id,name\n1,"Ada\n', "quotation marks"), ('id,name\n1,"A"da\n', "quotation marks"),
        ("id\n" + '"' + "a" * 140_000 + '"', "far too long"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_said_in_words(raw: bytes | str, said: str) -> None:
    assert said in only(parse(raw))[2]


@pytest.mark.parametrize(
    ("line", "column", "said"),
    [
        ("9,Eve,not-an-address,", "email", "no e-mail address"),
        ("9,Eve,=cmd@x,", "email", "no e-mail address"),
        ("9,E\x07ve,e@x.edu,", "name", "cannot be shown"),
        ('9,"E\nve",e@x.edu,', "name", "line break"),
        ("9,Eve\u202egnp,e@x.edu,", "name", "cannot be shown"),
        (f"9,{'e' * (LONGEST_CELL + 1)},e@x.edu,", "name", "more than 200"),
        ("9,Eve,e@x.edu,boss", "role", "not a role"),
        (",Eve,,", "", "neither an id nor an e-mail"),
        ("9,Eve,e@x.edu,,extra", "", "more cells"),
    ],
)  # fmt: skip
def test_every_problem_names_line_and_column(line: str, column: str, said: str) -> None:
    roster = parse(f"id,name,email,role\n1,Ada,ada@x.edu,student\n\n{line}\n")
    assert only(roster)[:2] == (4, column)
    assert said in only(roster)[2]
    assert [entry.key for entry in roster.entries] == ["1"]


def test_headers_have_many_names_and_lines_may_have_none() -> None:
    text = "Matrikelnummer\tE-Mail-Adresse\tNachname\tVorname\tRolle\tStadt\n1\ta@b.c\tL\tAda\tTutor\tX\n"
    roster = parse(text)
    (ada,) = roster.entries
    assert (ada.id, ada.name, ada.role) == ("1", "Ada L", "assistant")
    assert [(t.column, t.fatal) for t in roster.troubles] == [("Stadt", False)]
    assert [e.key for e in parse("ada@x.edu,Ada\nbob@x.edu,Bob\n").entries] == [
        "ada@x.edu", "bob@x.edu",
    ]  # fmt: skip
    assert parse('sep=;\nid;name\n="007";Bond\n').entries[0].id == "007"


def test_twice_the_same_is_one_and_told() -> None:
    roster = parse("email,name,role\nADA@x.edu,Ada,\nada@X.edu,,TA\n", "email")
    (ada,) = roster.entries
    assert (ada.name, ada.role, ada.line) == ("Ada", "assistant", 2)
    (told,) = roster.troubles
    assert (told.line, told.fatal) == (3, False)
    assert "line 2 already" in told.text


def test_formulas_are_kept_as_text_and_never_leave_as_formulas() -> None:
    roster = parse("id,name\n1,=1+1\n2,-5\n3,@SUM(A1)\n4,+49\n")
    assert [entry.name for entry in roster.entries] == ["=1+1", "-5", "@SUM(A1)", "+49"]
    assert roster.fatal == ()
    written = csv_text(("id", "name"), ((e.id, e.name) for e in roster.entries))
    for row in list(csv.reader(io.StringIO(written)))[1:]:
        assert row[1].startswith("'")
    assert [e.name for e in parse(written).entries] == [e.name for e in roster.entries]


@given(st.one_of(st.binary(max_size=400), st.text(max_size=400)))
def test_whatever_comes_in_nothing_is_raised(raw: bytes | str) -> None:
    roster = parse(raw)
    assert roster.entries or roster.troubles
    for entry in roster.entries:
        assert entry.key
        assert (entry.id + entry.name + entry.email + entry.group).isprintable()
        assert max(map(len, (entry.id, entry.name, entry.email, entry.group))) <= LONGEST_CELL


WORD = st.text(string.ascii_letters + "äöüßéñ'- ,;\"", min_size=1, max_size=20).map(str.strip)
PERSON = st.tuples(st.integers(1, 10**9).map(str), WORD.filter(lambda w: w[:1].isalpha()))


@given(
    st.lists(PERSON, min_size=1, max_size=20, unique_by=lambda p: p[0]),
    st.sampled_from([",", ";", "\t"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_what_was_written_is_read(
    people: list[tuple[str, str]], delimiter: str, encoding: str, end: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(("id", "name"))
    writer.writerows(people)
    roster = parse(text.getvalue().encode(encoding))
    assert roster.fatal == ()
    assert [(entry.key, entry.name) for entry in roster.entries] == people
