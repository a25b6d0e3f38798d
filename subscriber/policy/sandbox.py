"""Where a template's text runs: Jinja2 with less in it than Jinja2 has, so that no template harms the daemon. Pure.

A list says what a template may do: write values, choose, loop, assign, use a few filters and methods of texts. There
are no macros, no includes, no powers. No value and no output grows beyond 20,000 characters, and one rendering has a
budget of 10,000 turns, which loops, filters, methods and comparisons take from; the seconds that it takes follow from
these, and are not measured. Nothing is calculated when a template is only compiled.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial, wraps
from typing import Any, Final, cast

import jinja2
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from subscriber.policy.template_budget import (
    CHARACTERS_A_TURN,
    OUTPUT_LIMIT,
    TURNS_LIMIT,
    Budget,
    TemplateFault,
    check_integers,
    check_size,
)

__all__ = [
    "OUTPUT_LIMIT",
    "RANGE_LIMIT",
    "ROUND_LIMIT",
    "TEMPLATE_LIMIT",
    "TURNS_LIMIT",
    "Compiled",
    "Sandbox",
    "TemplateFault",
]

#: Characters of a template.
TEMPLATE_LIMIT: Final = 10_000
RANGE_LIMIT: Final = 1_000
#: Digits that a number is rounded to, on both sides of the point: an integer takes longer the more there are.
ROUND_LIMIT: Final = 20
_BUDGET: Final = "_budget"
_COUNTED: Final = "_counted"
_CHARGED: Final = "_charged"
_BUILT: Final = "_built"
_JOINED: Final = "_joined"
_SYNTAX: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.With),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr),
    *(nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_FILTERS: Final = (
    *("abs", "capitalize", "first", "float", "int", "items", "last", "length", "list", "lower", "max", "min"),
    *("sort", "title", "trim", "truncate", "unique", "upper"),
)
#: What these do takes as long for a long list as for a short one.
_FREE: Final = frozenset({"first", "items", "last", "length"})
#: What these do with a text, they do with each of its characters.
_BY_ITEM: Final = frozenset({"join", "list", "max", "min", "sort", "unique"})
_TESTS: Final = ("defined", "undefined", "none", "number", "string", "mapping", "sequence", "boolean", "in")
_TEXT_METHODS: Final = frozenset(
    {"endswith", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip", "split", "startswith", "strip", "upper"}
)
_LOOP_METHODS: Final = frozenset({"changed", "cycle"})

Compiled = jinja2.Template
#: Errors whose words name types and names, never what stood in an alert: a fault is logged.
_SPEAKING: Final = (TemplateError, TypeError, ZeroDivisionError, OverflowError)


class Sandbox(ImmutableSandboxedEnvironment):
    """Compiles templates and fills them in."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(
        self, names: Collection[str], filters: Mapping[str, Callable[..., object]], shown: Callable[[object], str]
    ) -> None:
        """Take the names and filters that templates may use; `shown` writes a value."""
        told = partial(_shown, shown)
        super().__init__(
            undefined=StrictUndefined,
            finalize=_at_run_time(told),
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
        )
        self._names = frozenset(names)
        given: dict[str, Callable[..., Any]] = self.filters
        free = {name: given[name] for name in _FREE}
        own: dict[str, Callable[..., Any]] = {
            "join": partial(_joined, told),
            "replace": _replaced,
            "round": _rounded,
        }
        own |= {name: _passing_none(each) for name, each in filters.items()}
        charged = {name: given[name] for name in _FILTERS if name not in _FREE} | own
        self.filters = free | {name: _charging(each, by_item=name in _BY_ITEM) for name, each in charged.items()}
        self.filters |= {"count": given["length"], "default": _default, "d": _default}
        self.filters |= {_COUNTED: _counted, _CHARGED: _charged, _BUILT: _built}
        self.filters[_JOINED] = self.filters["join"]
        self.tests = {name: self.tests[name] for name in _TESTS}
        self.globals.clear()
        self.globals["range"] = _range

    def compiled(self, text: str) -> Compiled:
        """Check a template and make it ready to be filled in.

        Raises:
            TemplateFault: It is wrong; the message names the line.
        """
        if len(text) > TEMPLATE_LIMIT:
            raise TemplateFault(f"it has {len(text)} characters, at most {TEMPLATE_LIMIT} may be")
        try:
            tree = self.parse(text)
            self._check(tree)
            return Compiled.from_code(self, self.compile(_Bounding().visit(tree)), {**self.globals})
        except TemplateSyntaxError as error:
            raise TemplateFault(f"line {error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError, SyntaxError):  # Python's own limits
            raise TemplateFault("it is nested too deeply") from None
        except TemplateFault:
            raise
        except ValueError:  # Python reads and writes no longer ones
            raise TemplateFault("it has a number of too many digits") from None

    def filled(self, template: Compiled, values: Mapping[str, object]) -> str:
        """Write a template with these values.

        Raises:
            TemplateFault: It can't be; the message names the line.
        """
        parts: list[str] = []
        length = 0
        try:
            for part in template.generate({**values, _BUDGET: Budget()}):
                parts.append(part)
                length += len(part)
                check_size(length)
        except Exception as error:  # noqa: BLE001 - a template is code, and may raise anything
            lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if _is_template(frame.f_code)]
            place = f"line {lines[-1]}: " if lines else ""
            raise TemplateFault(place + _words_of(error)) from None
        return "".join(parts)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Let nothing be called but a few methods of texts and of loops."""
        if callable(value):
            allowed = _TEXT_METHODS if isinstance(obj, str) else _LOOP_METHODS
            return isinstance(obj, str | LoopContext) and attr in allowed
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Let `format` be as unsafe as any other method: a width of its own makes any length."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look into a mapping by its keys alone; what it does not have is nothing, and no fault."""
        return obj.get(attribute) if isinstance(obj, Mapping) else super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """As `getattr`; what is missing is not named, since the name may have stood in an alert."""
        if not isinstance(argument, str):
            return super().getitem(obj, argument)
        return obj.get(argument) if isinstance(obj, Mapping) else self.undefined("there is no such item")

    def call(self, context: Context, obj: Any, /, *arguments: Any, **options: Any) -> Any:
        """Call what may be called; what a method of a text goes through is charged, and the list that it makes."""
        budget = _budget_of(context)
        budget.charge(getattr(obj, "__self__", None), *arguments)
        result = super().call(context, obj, *arguments, **options)
        if isinstance(result, list):
            budget.charge(result)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, but let no text, list or number become large, and format nothing by a text's own orders."""
        check_integers(left, right)
        sized = [each for each in (left, right) if isinstance(each, str | list | tuple)]
        if sized and operator == "%":
            raise TypeError("% is for numbers; write texts with ~")
        budget = _budget_of(context)
        size = budget.charge(*sized)
        if operator == "*":
            size *= max((each for each in (left, right) if isinstance(each, int)), default=1)
        check_size(size)
        result = super().call_binop(context, operator, left, right)
        check_integers(result)
        budget.charge(result)
        return result

    def _check(self, tree: nodes.Template) -> None:
        for node in tree.find_all(nodes.Node):
            if not isinstance(node, (*_SYNTAX, nodes.Helper)) or (isinstance(node, nodes.For) and node.recursive):
                raise TemplateFault(f"line {node.lineno}: {type(node).__name__.lower()} is not for templates of alerts")
            if isinstance(node, nodes.Name) and (node.name.startswith("_") or node.name == "self"):
                raise TemplateFault(f"line {node.lineno}: {node.name} is not for templates of alerts")
        for name in sorted(find_undeclared_variables(tree) - self._names - set(self.globals)):
            line = next(node.lineno for node in tree.find_all(nodes.Name) if node.name == name)
            there_are = ", ".join(sorted(self._names))
            raise TemplateFault(f"line {line}: there is no {name}; there are: {there_are}")


class _Bounding(NodeTransformer):
    """Puts the limits into a template: whatever goes through a list or a text takes from the budget."""

    def generic_visit(self, node: nodes.Node, *arguments: Any, **options: Any) -> nodes.Node:
        """Change a node after all that is below it."""
        node = super().generic_visit(node, *arguments, **options)
        match node:
            case nodes.For():
                node.iter = _filter(node.iter, _COUNTED)
            case nodes.Compare() | nodes.Operand():
                node.expr = _filter(node.expr, _CHARGED)
            case nodes.Test(args=list(given)):
                node.args = [_filter(each, _CHARGED) for each in given]
            case nodes.Getitem(arg=nodes.Slice()):
                node.node = _filter(node.node, _CHARGED)
            case nodes.Concat():
                return _filter(nodes.List(node.nodes), _JOINED)
            case nodes.List() | nodes.Dict() | nodes.Tuple(ctx="load"):
                return _filter(node, _BUILT)
        return node


def _filter(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


def _at_run_time(told: Callable[[object], str]) -> Callable[[Context, object], str]:
    """Write values only where there is a rendering: Jinja2 would write constants while it compiles."""

    @pass_context
    def finalize(_context: Context, value: object) -> str:
        return told(value)

    return finalize


def _budget_of(context: Context) -> Budget:
    return cast("Budget", context.resolve(_BUDGET))


@pass_context
def _counted(context: Context, items: Iterable[object]) -> Iterator[object]:
    budget = _budget_of(context)
    for item in items:
        budget.spend(1)
        yield item


@pass_context
def _charged(context: Context, value: object) -> object:
    _budget_of(context).charge(value)
    return value


@pass_context
def _built(context: Context, value: object) -> object:
    check_size(_budget_of(context).charge(value))
    return value


def _charging(function: Callable[..., object], *, by_item: bool) -> Callable[..., object]:
    """Let a filter take from the budget by the length of what it gets, once more for each long orders of a text.

    With `pass_context` Jinja2 calculates nothing by it while it compiles.
    """
    wanted = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    @pass_context
    @wraps(function)
    def charging(context: Context, value: object, *arguments: object, **options: object) -> object:
        orders = sum(len(each) for each in (*arguments, *options.values()) if isinstance(each, str))
        if isinstance(value, Iterator) or (by_item and isinstance(value, str)):
            value = _counted(context, value)
        else:
            _budget_of(context).charge(value, times=1 + orders // CHARACTERS_A_TURN)
        passed = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        return function(*([passed[wanted]] if wanted else []), value, *arguments, **options)

    return charging


def _shown(shown: Callable[[object], str], value: object) -> str:
    return str(value) if isinstance(value, Undefined) else shown(value)  # the first raises: it is a strict one


def _joined(shown: Callable[[object], str], items: Iterable[object], separator: str = "") -> str:
    parts: list[str] = []
    length = 0
    for item in items:
        parts.append(shown(item))
        length += len(parts[-1]) + len(separator)
        check_size(length - len(separator))
    return separator.join(parts)


def _replaced(text: str, old: str, new: str) -> str:
    if not old:
        raise TemplateFault("replace needs what to replace")
    check_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _rounded(number: float | None, digits: int = 0) -> float | None:
    if not -ROUND_LIMIT <= digits <= ROUND_LIMIT:
        raise TemplateFault(f"round takes -{ROUND_LIMIT} to {ROUND_LIMIT} digits")
    return None if number is None else round(number, digits)


def _default(value: object, instead: object = "") -> object:
    return instead if value is None or value == "" or isinstance(value, Undefined) else value


def _passing_none(function: Callable[..., object]) -> Callable[..., object]:
    """Let nothing stay nothing: most fields of an alert may be left out."""

    @wraps(function)
    def passing(value: object, *arguments: object) -> object:
        return None if value is None else function(value, *arguments)

    return passing


def _range(*arguments: int) -> range:
    items = range(*arguments)
    if len(items) > RANGE_LIMIT:
        raise TemplateFault(f"a range has more than {RANGE_LIMIT} items")
    return items


def _is_template(code: Any) -> bool:
    return bool(code.co_filename == "<template>")


def _words_of(error: Exception) -> str:
    if isinstance(error, (TemplateFault, *_SPEAKING)):
        return str(error)
    return type(error).__name__
