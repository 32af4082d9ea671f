"""YAML files of the operator that hold one list under one key: providers, learning systems."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from catalog.errors import BadSetup

MAX_FILE_BYTES = 256 * 1024
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ListFile(Generic[M]):
    """What such a file holds. Every method raises BadSetup that names the file, the field and what
    to do.

    `key` is the file's only key and `model` what each entry must be; `what` names them in words.
    `example` says where to find a file to begin with. `advice` is the next step for a field that is
    wrong and deserves words of its own, by its path; empty otherwise.
    """

    key: str
    model: type[M]
    what: str
    example: str
    advice: Callable[[str], str]

    def read(self, path: Path) -> list[M]:
        """Its entries, in order."""
        return [self._parse(path, index, entry) for index, entry in enumerate(self._entries(path))]

    def demand_single(self, path: Path, field: str, values: list[str]) -> None:
        """None of `values`, which are what the entries have for `field`, is there twice."""
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise BadSetup(
                f"{path}: {self.key}: the {field} {twice!r} is there twice",
                next=f"give each {self.key.removesuffix('s')} a {field} of its own",
            )

    def place(self, path: Path, index: int, name: str = "") -> str:
        """How an entry is called in a message."""
        return f"{path}: {self.key}[{index}]" + (f" ({name})" if name else "")

    def _entries(self, path: Path) -> list[Any]:
        content = self._content(path)
        if not isinstance(content, dict) or set(content) != {self.key}:
            raise BadSetup(
                f"{path}: must hold `{self.key}:` and nothing else beside it", next=self.example
            )
        if not isinstance(content[self.key], list):
            raise BadSetup(
                f"{path}: {self.key}: must be a list", next="begin each with `- name: …`"
            )
        return content[self.key]

    def _content(self, path: Path) -> Any:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise BadSetup(
                    f"{path} is larger than {MAX_FILE_BYTES // 1024} KiB",
                    next=f"keep to the {self.what} of this site",
                )
            return yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetup(f"{path} cannot be read: {error}", next="mend or remove it") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{path}:{mark.line + 1}" if mark else str(path)
            said = getattr(error, "problem", None) or "it cannot be read"
            raise BadSetup(f"{place}: not YAML: {said}", next="correct that line") from error

    def _parse(self, path: Path, index: int, entry: Any) -> M:
        try:
            return self.model.model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            named = entry.get("name") if isinstance(entry, dict) else None
            place = self.place(path, index, named if isinstance(named, str) else "")
            field = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            raise BadSetup(
                f"{place}: {field + ': ' if field else ''}{said}",
                next=self.advice(field) or _usual(field, first["type"]),
            ) from error


def _usual(field: str, kind: str) -> str:
    if kind == "extra_forbidden":
        return f"remove {field}, or correct its spelling"
    return "correct it and start again"
