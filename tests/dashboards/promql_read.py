"""Reads the PromQL of the dashboard as a tree: what it selects, by what it groups, and what labels it keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from promql_parser import (
    AggModifierType,
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatchOp,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)

#: What stands for Grafana's variables while an expression is read: times that nobody writes out.
RATE_INTERVAL: Final = timedelta(hours=73, minutes=19, seconds=7)
RANGE: Final = timedelta(hours=97, minutes=23, seconds=11)
_VARIABLES: Final = (("$__rate_interval", "73h19m7s"), ("$__range", "97h23m11s"))
_OPERATORS: Final = ((MatchOp.Equal, "="), (MatchOp.NotEqual, "!="), (MatchOp.Re, "=~"), (MatchOp.NotRe, "!~"))
#: What a menu asks: the labels' values of what a selector finds, or of every metric.
_MENU: Final = re.compile(r"label_values\((?:(?P<inner>.+),\s*)?(?P<label>\w+)\)")
_SET_OPERATORS: Final = frozenset({"and", "unless"})


@dataclass(frozen=True, slots=True)
class Selector:
    """One `metric{label="value"}` of an expression."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]  #: label, operator, value

    def literals(self) -> Iterator[tuple[str, str]]:
        """Yield each label with each value that is written out, not chosen in a menu."""
        for label, operator, value in self.matchers:
            if not value.startswith("$"):
                for alternative in value.split("|") if "~" in operator else (value,):
                    yield label, alternative


def parsed(expression: str) -> Expr:
    """Return the tree of an expression of the dashboard.

    Raises:
        ValueError: It is no PromQL.
    """
    for variable, duration in _VARIABLES:
        expression = expression.replace(variable, duration)
    return parse(expression)


def of_menu(query: str) -> tuple[str, str]:
    """Return the PromQL in a menu's `label_values(…)`, empty where it asks for any metric, and its label.

    Raises:
        ValueError: It is nothing of the kind.
    """
    found = _MENU.fullmatch(query)
    if found is None:
        raise ValueError(f"not label_values(…): {query}")
    return found["inner"] or "", found["label"]


def nodes(tree: Expr, above: tuple[Expr, ...] = ()) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Yield every node of a tree with the nodes above it, the nearest last."""
    yield tree, above
    for child in _children(tree):
        yield from nodes(child, (*above, tree))


def selectors(expression: str) -> list[Selector]:
    """Return every selector of an expression."""
    return [_selector(node) for node, _above in nodes(parsed(expression)) if isinstance(node, VectorSelector)]


def windows(expression: str, *functions: str) -> list[timedelta]:
    """Return over how long each call of these functions looks back."""
    found = []
    for node, above in nodes(parsed(expression)):
        if isinstance(node, (MatrixSelector, SubqueryExpr)) and above:
            match above[-1]:
                case Call(func=function) if function.name in functions:
                    assert node.range is not None  # the type's word; a window has a length
                    found.append(node.range)
    return found


def kept(tree: Expr, labels_of: Callable[[str], frozenset[str]]) -> frozenset[str]:
    """Return the labels that what an expression answers can have.

    Args:
        tree: The expression.
        labels_of: Tells the labels of a metric.

    Raises:
        ValueError: Something is grouped, or joined, by a label that it does not have.
    """
    match tree:
        case VectorSelector():
            return labels_of(tree.name or "")
        case AggregateExpr():
            return _grouped(tree, kept(tree.expr, labels_of))
        case BinaryExpr():
            return _joined(tree, kept(tree.lhs, labels_of), kept(tree.rhs, labels_of))
        case Call(func=function) if function.name == "histogram_quantile":
            return kept(tree.args[1], labels_of) - {"le"}
        case _:
            return frozenset().union(*(kept(child, labels_of) for child in _children(tree)))


def _grouped(tree: AggregateExpr, inner: frozenset[str]) -> frozenset[str]:
    if tree.modifier is None:
        return frozenset()
    labels = frozenset(tree.modifier.labels)
    if not labels <= inner:
        raise ValueError(f"grouped by {sorted(labels - inner)}, which it does not have: {tree.prettify()}")
    return labels if tree.modifier.type == AggModifierType.By else inner - labels


def _joined(tree: BinaryExpr, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    matching = tree.modifier.matching if tree.modifier is not None else None
    if matching is not None and not frozenset(matching.labels) <= left & right:
        raise ValueError(f"joined by {matching.labels}, which not both sides have: {tree.prettify()}")
    if str(tree.op) in _SET_OPERATORS:
        return left
    if str(tree.op) == "or":
        return left & right
    return left or right  # of a number and a vector the vector's; of two vectors they are the same, or joined above


def _selector(node: VectorSelector) -> Selector:
    matchers = tuple(
        (matcher.name, next(text for operator, text in _OPERATORS if operator == matcher.op), matcher.value)
        for matcher in node.matchers.matchers
    )
    return Selector(node.name or "", matchers)


def _children(tree: Expr) -> list[Expr]:
    match tree:
        case BinaryExpr():
            return [tree.lhs, tree.rhs]
        case AggregateExpr():
            return [tree.expr, *([tree.param] if isinstance(tree.param, Expr) else [])]
        case Call():
            return list(tree.args)
        case MatrixSelector():
            return [tree.vector_selector]
        case ParenExpr() | UnaryExpr() | SubqueryExpr():
            return [tree.expr]
        case _:
            return []
