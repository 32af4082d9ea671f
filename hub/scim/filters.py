"""Filters of SCIM as conditions of the database, so that lists are filtered and paged there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from sqlalchemy import ColumnElement, and_, false, func, not_, or_, true
from sqlmodel import col, select

from hub.scim.shapes import folded
from hub.store.access_tables import ScimGroupRow, ScimMemberRow, ScimUserRow
from hub.store.tables import PersonRow

Condition = ColumnElement[bool]
Compare = Callable[[CompareOperator, Any], Condition]
MAX_FILTER = 2000
_MAX_TERMS = 50


def users(text: str) -> Condition:
    """A condition on `ScimUserRow` joined with `PersonRow`. Raises InvalidFilterException."""
    return _Transpiler(_USER).of(text)


def groups(text: str) -> Condition:
    """A condition on `ScimGroupRow`. Raises InvalidFilterException."""
    return _Transpiler(_GROUP).of(text)


class _Transpiler(FilterVisitor[Condition]):
    def __init__(self, attributes: Mapping[str, Compare]) -> None:
        self._attributes, self._terms = attributes, 0

    def of(self, text: str) -> Condition:
        if len(text) > MAX_FILTER:
            raise InvalidFilterException(detail="the filter is too long")
        try:
            return self.visit(ScimFilter(text).ast)
        except RecursionError as error:
            raise InvalidFilterException(detail="the filter is too deep") from error

    def visit_comparison(self, node: Comparison) -> Condition:
        return self._compare(node.attr_path)(node.op, node.value)

    def visit_present(self, node: Present) -> Condition:
        return self._compare(node.attr_path)(CompareOperator.ne, None)

    def visit_not(self, node: Not) -> Condition:
        return not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        join = and_ if node.op == LogicalOperator.and_ else or_
        return join(*(self.visit(term) for term in node.terms))

    def visit_value_path(self, node: ValuePath) -> Condition:
        """``members[value eq "…"]``: the attribute's one comparable part."""
        inner = node.val_filter
        if isinstance(inner, Comparison) and str(inner.attr_path).casefold() == "value":
            return self._compare(node.attr_path)(inner.op, inner.value)
        raise InvalidFilterException(detail=f"{node} cannot be used in a filter here")

    def _compare(self, path: Any) -> Compare:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            raise InvalidFilterException(detail=f"a filter has at most {_MAX_TERMS} comparisons")
        name = str(path).casefold()
        if name.startswith("urn:"):
            name = name.rpartition(":")[2]
        found = self._attributes.get(name)
        if found is None:
            known = ", ".join(sorted(self._attributes))
            raise InvalidFilterException(detail=f"{path} cannot be filtered by; use {known}")
        return found


def _text(column: Any, *, fold: Callable[[str], str] | None = None) -> Compare:
    """Comparisons of text; with `fold`, of a column that holds folded text."""

    def compare(op: CompareOperator, value: Any) -> Condition:
        if value is None:
            return column == "" if op is CompareOperator.eq else column != ""
        if not isinstance(value, str):
            raise InvalidFilterException(detail=f"{value!r} is not text")
        return _compared(column, op, fold(value) if fold else value)

    return compare


def _any_case(column: Any) -> Compare:
    """Text whose case does not count, in a column that holds it as it was written: the database
    knows the case of ASCII letters at least."""

    def compare(op: CompareOperator, value: Any) -> Condition:
        if value is None or not isinstance(value, str):
            return _text(column)(op, value)
        exact, lower = _compared(column, op, value), _compared(
            func.lower(column), op, value.lower()
        )  # fmt: skip
        return and_(exact, lower) if op is CompareOperator.ne else or_(exact, lower)

    return compare


def _compared(column: Any, op: CompareOperator, value: str) -> Condition:
    match op:
        case CompareOperator.eq:
            return column == value
        case CompareOperator.ne:
            return column != value
        case CompareOperator.co:
            return column.contains(value, autoescape=True, escape="/")
        case CompareOperator.sw:
            return column.startswith(value, autoescape=True, escape="/")
        case CompareOperator.ew:
            return column.endswith(value, autoescape=True, escape="/")
        case _:
            return _ordered(column, op, value)


def _ordered(column: Any, op: CompareOperator, value: Any) -> Condition:
    match op:
        case CompareOperator.gt:
            return column > value
        case CompareOperator.ge:
            return column >= value
        case CompareOperator.lt:
            return column < value
        case CompareOperator.le:
            return column <= value
        case _:
            raise InvalidFilterException(detail=f"{op} does not fit this attribute")


def _active(op: CompareOperator, value: Any) -> Condition:
    if value is None:
        return true() if op is CompareOperator.ne else false()
    wanted = {"true": True, "false": False}.get(str(value).casefold())
    if wanted is None or op not in {CompareOperator.eq, CompareOperator.ne}:
        raise InvalidFilterException(detail="active is compared with true or false")
    return col(PersonRow.active).is_(wanted if op is CompareOperator.eq else not wanted)


def _moment(column: Any) -> Compare:
    def compare(op: CompareOperator, value: Any) -> Condition:
        if value is None:
            return true() if op is CompareOperator.ne else false()
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise InvalidFilterException(detail=f"{value!r} is not a time") from error
        if at.tzinfo is None:
            raise InvalidFilterException(detail=f"{value!r} has no time zone")
        match op:
            case CompareOperator.eq:
                return column == at
            case CompareOperator.ne:
                return column != at
            case _:
                return _ordered(column, op, at)

    return compare


def _member(op: CompareOperator, value: Any) -> Condition:
    found = select(ScimMemberRow.group_id).where(ScimMemberRow.group_id == ScimGroupRow.id)
    if value is not None:
        if op is not CompareOperator.eq:
            raise InvalidFilterException(detail="members are compared by eq alone")
        found = found.where(ScimMemberRow.person_id == str(value))
    return found.exists()


def _group_of_user(op: CompareOperator, value: Any) -> Condition:
    found = select(ScimMemberRow.person_id).where(ScimMemberRow.person_id == ScimUserRow.id)
    if value is not None:
        if op is not CompareOperator.eq:
            raise InvalidFilterException(detail="groups are compared by eq alone")
        found = found.where(ScimMemberRow.group_id == str(value))
    return found.exists()


_USER: Mapping[str, Compare] = {
    "id": _text(col(ScimUserRow.id)),
    "username": _text(col(ScimUserRow.user_name), fold=folded),
    "externalid": _text(col(ScimUserRow.external_id)),
    "displayname": _any_case(col(PersonRow.display_name)),
    "emails": _any_case(col(PersonRow.email)),
    "emails.value": _any_case(col(PersonRow.email)),
    "active": _active,
    "groups": _group_of_user,
    "groups.value": _group_of_user,
    "meta.created": _moment(col(ScimUserRow.created_at)),
    "meta.lastmodified": _moment(col(ScimUserRow.changed_at)),
}
_GROUP: Mapping[str, Compare] = {
    "id": _text(col(ScimGroupRow.id)),
    "externalid": _text(col(ScimGroupRow.external_id)),
    "displayname": _any_case(col(ScimGroupRow.display_name)),
    "members": _member,
    "members.value": _member,
    "meta.created": _moment(col(ScimGroupRow.created_at)),
    "meta.lastmodified": _moment(col(ScimGroupRow.changed_at)),
}
