"""YAML from a person: plain values only, and the line of each, for errors that name the place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

MAX_DEPTH = 20
MAX_CHARACTERS = 1000
"""In one value."""
_YAML: Any = yaml  # its types are partly unknown
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where built


class Mistake(Exception):
    """The text is no YAML, or more of YAML than a setting needs. `line` from 1; 0: unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a text, and its nodes, which know their lines."""

    value: object
    root: yaml.Node | None

    def line_of(self, path: Sequence[str | int]) -> int:
        """The line of a field, or of the nearest thing around it that is in the text."""
        node, line = self.root, self.root.start_mark.line + 1 if self.root else 0
        for part in path:
            step = _step(node, part)
            if step is None:
                break
            line, node = step
        return line


def parse(text: str) -> Document:
    """Reads one document. Aliases, deep nesting, repeated keys and very long values are
    mistakes: a setting needs none of them, and they make small files costly. Raises `Mistake`."""
    try:
        _refuse_excess(text)
        loader = _LOADER(text)
        try:
            root: yaml.Node | None = loader.get_single_node()
            _refuse_repeats(root)
            return Document(loader.construct_document(root) if root else None, root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Mistake(error.problem or "it is not YAML", mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Mistake(str(error).splitlines()[0]) from error


def _refuse_excess(text: str) -> None:
    depth = 0
    for event in _YAML.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise Mistake("aliases (*name) are not used here", line)
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_CHARACTERS:
            raise Mistake(f"a value is longer than {MAX_CHARACTERS} characters", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise Mistake("it is nested too deeply", line)


def _refuse_repeats(node: yaml.Node | None) -> None:
    """YAML itself keeps the last of two equal keys without a word."""
    for child in _children(node):
        _refuse_repeats(child)
    seen: set[str] = set()
    for key, _ in _pairs(node):
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise Mistake(f"{key.value!r} is there twice", key.start_mark.line + 1)
            seen.add(key.value)


def _step(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(part, int):
        items = _items(node)
        return (items[part].start_mark.line + 1, items[part]) if part < len(items) else None
    for key, value in _pairs(node):
        if isinstance(key, yaml.ScalarNode) and key.value == part:
            return key.start_mark.line + 1, value
    return None


def _children(node: yaml.Node | None) -> list[yaml.Node]:
    return [*_items(node), *(value for _, value in _pairs(node))]


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []
