"""Where imported modules keep what they took from the environment, so that a fork can correct it.

A template imports under values that nobody has, the marks. Whatever holds one of them afterwards is
found here, and each person's process puts the person's own value in.
"""

import functools
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import CellType, CodeType, FrameType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any


class UnreachableError(Exception):
    """A mark is where it cannot be replaced; the text says where."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value in a dict or a list."""

    holder: Any
    key: Any

    def swap(self, marks: Mapping[str, str]) -> None:
        self.holder[self.key] = swapped(self.holder[self.key], marks)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a class, a function, a cell, or one with a slot."""

    holder: Any
    name: str

    def swap(self, marks: Mapping[str, str]) -> None:
        value = swapped(getattr(self.holder, self.name), marks)
        if isinstance(self.holder, (type, FunctionType, CellType)):
            setattr(self.holder, self.name, value)
        else:
            object.__setattr__(self.holder, self.name, value)


@dataclass(frozen=True, slots=True)
class Members:
    """Members of a set."""

    holder: set[Any]

    def swap(self, marks: Mapping[str, str]) -> None:
        for member in [one for one in self.holder if holds(one, marks)]:
            self.holder.discard(member)
            self.holder.add(swapped(member, marks))


Place = Item | Attribute | Members
_SEEN_ELSEWHERE = (tuple, frozenset, PurePath, FrameType, ModuleType, CodeType)
"""What is replaced whole where it is kept, or is nobody's own."""


def swapped(value: Any, marks: Mapping[str, str]) -> Any:
    """`value` with each mark replaced; the same kind of value."""
    match value:
        case str():
            for mark, text in marks.items():
                value = value.replace(mark, text)
            return value
        case bytes():
            for mark, text in marks.items():
                value = value.replace(os.fsencode(mark), os.fsencode(text))
            return value
        case PurePath():
            return type(value)(swapped(str(value), marks))
        case tuple() | frozenset():
            inner = [swapped(one, marks) for one in value]
            make: Callable[[Any], Any] = getattr(type(value), "_make", type(value))
            return make(inner)
        case _:
            return value


def holds(value: Any, marks: Iterable[str]) -> bool:
    """Whether `swapped` would change it."""
    kind = type(value)
    if kind is str:
        return any(mark in value for mark in marks)
    if kind is bytes:
        return any(os.fsencode(mark) in value for mark in marks)
    if kind is tuple or isinstance(value, (tuple, frozenset)):
        return any(holds(one, marks) for one in value)
    return isinstance(value, (str, PurePath)) and any(mark in str(value) for mark in marks)


def find(marks: Iterable[str], apart_from: Iterable[object] = ()) -> list[Place]:
    """Every place that holds a mark. Caches of functions that do are emptied.

    Raises UnreachableError for one that cannot be replaced. Takes about 0.2 s.
    """
    wanted = tuple(marks)
    skipped = {id(one) for one in apart_from}
    everything = [one for one in gc.get_objects() if id(one) not in skipped]
    classes = {
        id(inner): one
        for one in everything
        if isinstance(one, type)
        for inner in gc.get_referents(one)
        if type(inner) is dict
    }
    found: list[Place] = []
    for one in everything:
        found += _in_object(one, wanted, classes)
        # What holds only text is not known to the collector itself.
        for inner in gc.get_referents(one):
            if type(inner) is dict and not gc.is_tracked(inner) and id(inner) not in skipped:
                found += _in_object(inner, wanted, classes)
    return found


def _in_object(one: Any, marks: tuple[str, ...], classes: Mapping[int, type]) -> Iterator[Place]:
    kind = type(one)
    if isinstance(one, dict):
        yield from _in_dict(one, marks, classes.get(id(one)))
    elif isinstance(one, list):
        yield from (Item(one, at) for at, value in enumerate(one) if holds(value, marks))
    elif isinstance(one, set):
        if any(holds(value, marks) for value in one):
            yield Members(one)
    elif kind is FunctionType:
        if holds(one.__defaults__, marks):
            yield Attribute(one, "__defaults__")
    elif not isinstance(one, _SEEN_ELSEWHERE) and any(
        holds(inner, marks) for inner in gc.get_referents(one)
    ):
        yield from _in_instance(one, marks)


def _in_dict(one: dict[Any, Any], marks: tuple[str, ...], owner: type | None) -> Iterator[Place]:
    for key, value in list(one.items()):
        if holds(key, marks):
            raise UnreachableError(f"{key!r} is a key of a dict with {sorted(map(str, one))[:5]}")
        if holds(value, marks):
            yield Attribute(owner, str(key)) if owner is not None else Item(one, key)


def _settable(one: Any, name: str) -> Attribute:
    try:
        object.__setattr__(one, name, getattr(one, name))
    except (AttributeError, TypeError) as error:
        raise UnreachableError(f"{name} of a {type(one).__qualname__} holds it") from error
    return Attribute(one, name)


def _in_instance(one: Any, marks: tuple[str, ...]) -> Iterator[Place]:
    if isinstance(one, functools._lru_cache_wrapper):
        one.cache_clear()
        return
    if type(one) is CellType:
        yield Attribute(one, "cell_contents")
        return
    places: list[Place] = [
        Item(vars(one), key)
        for key, value in getattr(one, "__dict__", {}).items()
        if holds(value, marks)
    ]
    for cls in type(one).__mro__:
        for name, slot in vars(cls).items():
            if isinstance(slot, MemberDescriptorType) and holds(getattr(one, name, None), marks):
                places.append(_settable(one, name))
    if not places:
        raise UnreachableError(f"a {type(one).__module__}.{type(one).__qualname__} holds it")
    yield from places
