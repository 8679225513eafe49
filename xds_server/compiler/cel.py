"""A few constructors for CEL syntax trees, as Envoy's RBAC wants conditions parsed.

Syntax: https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
"""

from __future__ import annotations

from envoy_data_plane.google.api.expr.v1alpha1 import (
    Constant,
    Expr,
    ExprCall,
    ExprCreateList,
    ExprIdent,
    ExprSelect,
)


def ident(name: str) -> Expr:
    """A variable."""
    return Expr(ident_expr=ExprIdent(name=name))


def text(value: str) -> Expr:
    """A string constant."""
    return Expr(const_expr=Constant(string_value=value))


def number(value: int) -> Expr:
    """An integer constant."""
    return Expr(const_expr=Constant(int64_value=value))


def never() -> Expr:
    """The constant ``false``."""
    return Expr(const_expr=Constant(bool_value=False))


def select(operand: Expr, *fields: str) -> Expr:
    """``operand.field.field``."""
    for name in fields:
        operand = Expr(select_expr=ExprSelect(operand=operand, field=name))
    return operand


def index(operand: Expr, *keys: str | int) -> Expr:
    """``operand[key][key]``."""
    for key in keys:
        operand = call("_[_]", operand, text(key) if isinstance(key, str) else number(key))
    return operand


def call(function: str, *args: Expr, target: Expr | None = None) -> Expr:
    """``function(args)``, or ``target.function(args)``."""
    return Expr(call_expr=ExprCall(target=target, function=function, args=list(args)))


def any_of(*terms: Expr) -> Expr:
    """``a || b || c``; false when there are none."""
    return _join("_||_", terms) if terms else never()


def all_of(*terms: Expr) -> Expr:
    """``a && b && c`` of at least one term."""
    return _join("_&&_", terms)


def negate(term: Expr) -> Expr:
    """``!a``."""
    return call("!_", term)


def equals(left: Expr, right: Expr) -> Expr:
    """``left == right``."""
    return call("_==_", left, right)


def contains(collection: Expr, item: Expr) -> Expr:
    """``item in collection``."""
    return call("@in", item, collection)


def texts(values: list[str]) -> Expr:
    """A list of string constants."""
    return Expr(list_expr=ExprCreateList(elements=[text(value) for value in values]))


def _join(operator: str, terms: tuple[Expr, ...]) -> Expr:
    joined = terms[0]
    for term in terms[1:]:
        joined = call(operator, joined, term)
    return joined
