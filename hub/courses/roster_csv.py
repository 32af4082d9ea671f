"""Lists of people as learning systems, spreadsheets and typing hands write them: CSV → entries.

Pure: bytes or text in, entries and troubles out. Whatever comes in, nothing is raised; what is wrong
is placed by line and column. The encoding is found (UTF-8 with or without a mark, UTF-16, Windows-1252
or Latin-1), the delimiter too (comma, semicolon, tab), and the columns by their many names.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

MOST_BYTES = 2 * 2**20
MOST_ROWS = 5000
LONGEST_CELL = 200
MOST_TROUBLES = 200
"""Of those that are told; a file that is wrong all over is known by then."""

By = Literal["email", "id", "any"]
"""What tells people apart: the e-mail, the id, or whichever is there, the id first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody on the list. `key` tells them apart; `group` is as it was written."""

    line: int
    key: str
    id: str = ""
    name: str = ""
    email: str = ""
    role: str = "member"
    group: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something about the list. `line` counts from 1, 0 is the whole file. With `fatal` the list
    cannot be taken; else it is taken as `text` says."""

    line: int
    column: str
    text: str
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Roster:
    """What a list says, and how it was read."""

    entries: tuple[Entry, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()

    @property
    def fatal(self) -> tuple[Trouble, ...]:
        return tuple(trouble for trouble in self.troubles if trouble.fatal)


_NAMES = {
    "id": "id,student id,student no,student number,student,studentid,sis id,sis user id,user id,userid,"
    "username,user name,login,login id,sis login id,id number,net id,netid,eppn,unique name,uid,kennung,"
    "nutzername,benutzername,matrikelnummer,matrikelnr,matriculation number,matricule,matricula",
    "email": "email,e mail,mail,email address,e mail address,emailaddress,e mail adresse,email adresse,"
    "correo,correo electronico,courriel,adresse e mail",
    "name": "name,full name,fullname,display name,displayname,student name,nombre completo,nom complet",
    "first": "first name,firstname,first,given name,givenname,forename,vorname,prenom,nombre",
    "last": "last name,lastname,last,surname,family name,familyname,nachname,familienname,nom,"
    "apellido,apellidos",
    "group": "group,groups,group name,section,sections,team,gruppe,grupo,groupe",
    "role": "role,roles,rolle,rol",
}
_COLUMN = {name: column for column, names in _NAMES.items() for name in names.split(",")}
_ROLES = {
    name: role
    for role, names in {
        "member": ",member,student,students,learner,participant,studierende,studierender,estudiante,"
        "etudiant,teilnehmer",
        "assistant": "assistant,ta,teaching assistant,tutor,grader,mentor,assistent,non editing teacher",
        "instructor": "instructor,teacher,lecturer,professor,faculty,editing teacher,dozent,enseignant,"
        "profesor,lehrende",
    }.items()
    for name in names.split(",")
}
_EMAIL = re.compile(r"[^@\s\"'<>(),;:\\]+@[^@\s\"'<>(),;:\\]+")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u202f\u3000"), " ") | dict.fromkeys(
    map(ord, "\u200b\u200e\u200f\ufeff\u00ad"), ""
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")
_EMPTY = "it is empty: begin with a line like  id,name,email,group"
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


def parse(raw: bytes | str, by: By = "any") -> Roster:
    """Read a list. Lines about the same person are taken as one; whatever cannot be understood is a
    trouble, and with a fatal one nobody should be taken in."""
    if len(raw) > MOST_BYTES:
        return _unread(
            f"it is larger than {MOST_BYTES // 2**20} MiB: a list of {MOST_ROWS:,} people is smaller;"
            " leave out the columns that say nothing about who they are"
        )
    text, encoding = (raw, "text") if isinstance(raw, str) else _decoded(raw)
    if text is None:
        return _unread(encoding)
    if not text.strip("\ufeff \t\r\n,;"):
        return _unread(_EMPTY)
    delimiter, text = _delimiter(text.removeprefix("\ufeff"))
    reading = _Reading(by)
    reading.read(_records(text, delimiter))
    return Roster(
        tuple(reading.entries.values()), tuple(reading.troubles), encoding,
        _DELIMITERS[delimiter], tuple(reading.columns.values()),
    )  # fmt: skip


# ---- bytes and text --------------------------------------------------------------------------------


def _unread(text: str) -> Roster:
    return Roster(troubles=(Trouble(0, "", text),))


def _decoded(raw: bytes) -> tuple[str | None, str]:
    """The text and the name of its encoding, or None and what is wrong."""
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return None, "it is a workbook, not CSV: save it as “CSV UTF-8” in your spreadsheet program"
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        tries = ["utf-32"]
    elif raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        tries = ["utf-16"]
    elif b"\0" in raw[:1000]:
        # Latin letters in UTF-16 have a zero in every other byte.
        tries = ["utf-16-be" if raw[:2000:2].count(0) > raw[1:2000:2].count(0) else "utf-16-le"]
    else:
        tries = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in tries:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(_is_noise(letter) for letter in text[:100_000]):
            return text, encoding.removesuffix("-sig")
    return None, (
        "it is not text in UTF-8, UTF-16, Windows-1252 or Latin-1: save it as “CSV UTF-8” in your"
        " spreadsheet program"
    )


def _is_noise(letter: str) -> bool:
    """A character that no list of people has: the encoding was another, or it is no text."""
    code = ord(letter)
    return (code < 32 and letter not in "\t\r\n\x0b\x0c") or 0x7F <= code < 0xA0 or code == 0xFFFE


def _delimiter(text: str) -> tuple[str, str]:
    """The delimiter of the first line that has anything, and the text without a line that names it."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if (named := re.fullmatch(r"\s*sep=([,;\t])\s*", first, re.IGNORECASE)) is not None:
        return named[1], text.replace(first, "", 1)
    plain = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=plain.count), text


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: Sequence[str]
    broken: str = ""


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """Lines with anything in them; the last one may say why nothing can be read after it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _Record(line, (), _said(error))
            return
        if any(cell.strip() for cell in cells):
            yield _Record(line, cells)
        line = reader.line_num + 1


def _said(error: csv.Error) -> str:
    said = str(error)
    if "field limit" in said:
        return "a cell is far too long; perhaps a quotation mark is missing"
    return "its quotation marks do not match; a mark within a quoted cell is written twice"


# ---- lines and people ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reading:
    """What was understood so far."""

    by: By
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    columns: dict[int, str] = field(default_factory=dict[int, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """By column: how the list calls it."""
    width: int = 0
    """How many cells the first line has."""

    def read(self, records: Iterable[_Record]) -> None:
        rows = 0
        for record in records:
            if record.broken:
                self._tell(record.line, "", record.broken)
                return
            if not self.columns:
                named = self._head(record)
                if any(trouble.fatal for trouble in self.troubles):
                    return
                if named:
                    continue
            rows += 1
            if rows > MOST_ROWS:
                self._tell(
                    record.line, "",
                    f"it has more than {MOST_ROWS:,} people: make a course for each part of them",
                )  # fmt: skip
                return
            self._row(record)
        if not rows:
            said = "it has a first line and nobody below it" if self.columns else _EMPTY
            self._tell(0, "", said)

    def _head(self, record: _Record) -> bool:
        """Whether the first line names columns; one that does not may be a person already."""
        self.width = len(record.cells)
        for number, cell in enumerate(record.cells):
            column = _COLUMN.get(_plain(cell))
            if column is None:
                continue
            if column in self.columns.values():
                self._tell(
                    record.line, cell, "there is such a column already; it is left out", fatal=False
                )
                continue
            self.columns[number], self.names[column] = column, _clean(cell)
        if self.columns:
            self._demand_columns(record)
            return True
        mails = [n for n, cell in enumerate(record.cells) if _EMAIL.fullmatch(_clean(cell))]
        if mails:
            self.columns[mails[0]] = "email"
            others = [n for n in range(len(record.cells)) if n != mails[0]]
            if others:
                self.columns[others[0]] = "name"
            return False
        found = ", ".join(_clean(cell)[:30] for cell in record.cells[:8])
        self._tell(
            record.line, "",
            f"its first line names no column that is known ({found}): name them like"
            "  id,name,email,group,role",
        )  # fmt: skip
        return False

    def _demand_columns(self, record: _Record) -> None:
        found = set(self.columns.values())
        if not found & ({"id", "email"} if self.by == "any" else {self.by}):
            wanted = {"any": "an id or an e-mail", "id": "an id", "email": "an e-mail"}[self.by]
            self._tell(record.line, "", f"it has no column with {wanted}, which tells people apart")
        for number, cell in enumerate(record.cells):
            if number not in self.columns and _COLUMN.get(_plain(cell)) is None and cell.strip():
                self._tell(record.line, _clean(cell)[:40], "this column is not used", fatal=False)

    def _row(self, record: _Record) -> None:
        before = sum(trouble.fatal for trouble in self.troubles)
        if any(cell.strip() for cell in record.cells[self.width :]):
            self._tell(
                record.line, "",
                "it has more cells than the first line; put quotation marks around a cell with a"
                " delimiter in it",
            )  # fmt: skip
        cells = {
            column: self._cell(record, column, record.cells[number])
            for number, column in self.columns.items()
            if number < len(record.cells)
        }
        entry = self._entry(record.line, cells)
        if sum(trouble.fatal for trouble in self.troubles) == before and entry is not None:
            self._add(entry)

    def _cell(self, record: _Record, column: str, raw: str) -> str:
        text = _clean(raw)
        name = self.names.get(column, column)
        if len(text) > LONGEST_CELL:
            self._tell(record.line, name, f"it has more than {LONGEST_CELL} characters")
            return text[:LONGEST_CELL]
        if not text.isprintable():
            self._tell(
                record.line, name, "it has a character that cannot be shown, or a line break"
            )
            return "".join(letter for letter in text if letter.isprintable())
        if text.startswith(_FORMULA) and column not in {"role", "email"}:
            self._tell(
                record.line, name, f"{text[:20]!r} begins like a formula and is kept as text",
                fatal=False,
            )  # fmt: skip
        return text

    def _entry(self, line: int, cells: dict[str, str]) -> Entry | None:
        id_, email = cells.get("id", ""), cells.get("email", "")
        if email and (_EMAIL.fullmatch(email) is None or email.startswith(_FORMULA)):
            self._tell(
                line, self.names.get("email", "email"), f"{email[:40]!r} is no e-mail address"
            )
            return None
        role = _ROLES.get(_plain(cells.get("role", "")))
        if role is None:
            self._tell(
                line, self.names.get("role", "role"),
                f"{cells['role'][:30]!r} is not a role: write student, assistant or instructor",
            )  # fmt: skip
            return None
        key = {"id": id_, "email": email.casefold(), "any": id_ or email.casefold()}[self.by]
        if not key:
            wanted = {"any": "neither an id nor an e-mail", "id": "no id", "email": "no e-mail"}
            self._tell(line, "", f"it has {wanted[self.by]}, which tells people apart")
            return None
        name = cells.get("name", "")
        parts = " ".join(part for part in (cells.get("first", ""), cells.get("last", "")) if part)
        return Entry(line, key, id_, name or parts, email, role, cells.get("group", ""))

    def _add(self, entry: Entry) -> None:
        known = self.entries.get(entry.key)
        if known is None:
            self.entries[entry.key] = entry
            return
        self._tell(
            entry.line, "",
            f"{entry.key[:60]!r} is on line {known.line} already: the two are taken as one",
            fatal=False,
        )  # fmt: skip
        self.entries[entry.key] = replace(
            known, id=known.id or entry.id, name=entry.name or known.name,
            email=entry.email or known.email, group=entry.group or known.group,
            role=entry.role if entry.role != "member" else known.role,
        )  # fmt: skip

    def _tell(self, line: int, column: str, text: str, *, fatal: bool = True) -> None:
        first_fatal = fatal and not any(trouble.fatal for trouble in self.troubles)
        if first_fatal or len(self.troubles) < MOST_TROUBLES:
            self.troubles.append(Trouble(line, column, text, fatal))


def _clean(cell: str) -> str:
    """A cell as text: no spaces around it, one form for each letter, no apostrophe or ``="…"`` with
    which spreadsheets say that it is text."""
    text = unicodedata.normalize("NFC", cell.translate(_SPACES)).strip()
    if (quoted := _EXCEL_TEXT.fullmatch(text)) is not None:
        text = quoted[1].strip()
    if text.startswith("'") and text[1:].startswith(_FORMULA):
        text = text[1:]
    return text


def _plain(text: str) -> str:
    """``"E-Mail_Adresse"`` → ``"e mail adresse"``; accents do not count."""
    bare = unicodedata.normalize("NFKD", _clean(text).casefold())
    bare = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())
