"""Where templates run: nothing of the program is in reach, and no template can hang or eat memory.

Everything in the language (``templates.language``) costs: each turn of a loop the parts of its body, each
operation the size of what it handles; a filling that would cost more than ``WORK`` is given up. So the time
of a filling is bounded whatever the values are, without a clock on which an answer would depend.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateAssertionError, Undefined, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.visitor import NodeTransformer

from templates.language import FILTERS, METHODS, OF_A_LOOP, SOURCE_LIMIT, TESTS, look_through

VALUE_LIMIT = 32 * 1024
WORK = 50_000
_TURNS = 1_000
_NUMBER_LIMIT = 10**18
WORKING = " work"  # where a filling has its ``Work``: no template can name it
_SCALARS = (str, int, float)


class Work:
    """What one filling may still cost."""

    def __init__(self) -> None:
        self.left = WORK

    def spend(self, cost: int) -> None:
        """Raises SecurityError where the filling costs too much."""
        self.left -= cost
        if self.left < 0:
            raise SecurityError("the template does too much work")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 with this module's language; ``html`` escapes every value for HTML."""

    # Numbers only are multiplied, and texts are put together within a limit.
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self, day: Callable[[str], str], *, html: bool) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=html, optimized=False, finalize=_final)
        plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=html)
        plain.filters["day"] = lambda text: day(str(text))
        self.globals.clear()
        self.filters = {name: _costing(plain, name) for name in FILTERS}
        self.filters |= {"~joined": _joined, "~each": _each, "~call": _call, "~list": _list}
        self.tests = {name: JINJA_TESTS[name] for name in TESTS}

    def program(self, source: str) -> Compiled:
        """The text, ready to be filled. Raises TemplateError for what is no template or is not allowed."""
        tree = self.tree(source)
        try:
            return self.from_string(tree)
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise TemplateAssertionError(f"the text is nested too deeply ({error})", 1) from error

    def tree(self, source: str) -> nodes.Template:
        """The parts of the text, looked through. Raises as ``program``."""
        if len(source) > SOURCE_LIMIT:
            raise TemplateAssertionError(f"the text has more than {SOURCE_LIMIT} characters", 1)
        try:
            tree = self.parse(source)
            look_through(tree)
            return _Costed().visit(tree)  # type: ignore[no-any-return]
        except RecursionError:
            raise TemplateAssertionError("the text is nested too deeply", 1) from None
        except (ValueError, OverflowError) as error:
            # A number of thousands of digits, for one.
            raise TemplateAssertionError(str(error), 1) from error

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An entry of a mapping or something of a loop: never an attribute of anything else."""
        if isinstance(obj, LoopContext) and attribute in OF_A_LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An entry of a mapping, text or list."""
        if isinstance(obj, Undefined | Mapping | str | list | tuple):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=argument)
        return self.unsafe_undefined(obj, str(argument))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of ``+ - * / // %``, of numbers or (``+``) texts, within limits."""
        _work(context).spend(1)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _within(context, len(left) + len(right), lambda: left + right)
        for value in (left, right):
            if isinstance(value, Undefined):
                str(value)  # says what is not defined
            if not isinstance(value, int | float) or abs(value) > _NUMBER_LIMIT:
                raise SecurityError(f"{operator} takes numbers up to 10^18, not {type(value).__name__}")
        return super().call_binop(context, operator, left, right)


class _Costed(NodeTransformer):
    """Puts our own filters where the language's constructs would go unwatched."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        first, *rest = (self.visit(part) for part in node.nodes)
        return _filter(node, first, "~joined", rest)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        cost = 1 + sum(1 for _ in _below(node))
        node = self.generic_visit(node)  # type: ignore[assignment]
        node.iter = _filter(node, cast(nodes.Expr, node.iter), "~each", [nodes.Const(cost)])
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        assert isinstance(node.node, nodes.Getattr)  # noqa: S101 - looked at before
        called, args = self.visit(node.node.node), [self.visit(arg) for arg in node.args]
        return _filter(node, called, "~call", [nodes.Const(node.node.attr), *args])

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return _filter(node, nodes.Const(0), "~list", [self.visit(item) for item in node.items])

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        return node if node.ctx == "store" else self.visit_List(node)  # type: ignore[arg-type]


def _filter(at: nodes.Node, value: nodes.Expr, name: str, args: list[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(value, name, args, [], None, None, lineno=at.lineno)


def _below(node: nodes.Node) -> Iterable[nodes.Node]:
    for child in node.iter_child_nodes():
        yield child
        yield from _below(child)


def _work(context: Context) -> Work:
    work = context.parent[WORKING]
    assert isinstance(work, Work)  # noqa: S101 - who fills puts it there
    return work


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(_size, value)) + len(value) if isinstance(value, list | tuple) else 1


def _within(context: Context, size: int, make: Callable[[], Any]) -> Any:
    """What ``make`` gives, whose size is known before it is made."""
    if size > VALUE_LIMIT:
        raise SecurityError(f"a value would have more than {VALUE_LIMIT} characters")
    _work(context).spend(1 + size // 32)
    return make()


@pass_context
def _final(context: Context, value: Any) -> Any:
    """What is written out: scalars only, so that no address in memory ever stands in a message."""
    if isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        return str(value)  # says what is not defined
    if value is None:
        # A customer must never read "Dear None".
        raise TemplateRuntimeError("a value that is not there would be written out")
    if not isinstance(value, _SCALARS):
        raise SecurityError(f"a {type(value).__name__} cannot be written out")
    if isinstance(value, int) and abs(value) > _NUMBER_LIMIT**2:
        raise SecurityError("the number is too large")
    return value


@pass_context
def _joined(context: Context, *parts: Any) -> str:
    texts = [part if isinstance(part, str) else str(_final(context, part)) for part in parts]
    join = markup_join if context.eval_ctx.autoescape else str_join
    joined: str = _within(context, sum(map(len, texts)), lambda: join(texts))
    return joined


@pass_context
def _each(context: Context, value: Any, cost: int) -> Sequence[Any]:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, str | list | tuple | Mapping) or len(value) > _TURNS:
        raise SecurityError(f"a loop goes through a list or text of at most {_TURNS} items")
    _work(context).spend(cost * len(value))
    return list(value)


@pass_context
def _list(context: Context, _: int, *items: Any) -> list[Any]:
    """A list whose items are plain, or lists of what is plain: no deeper, so that none grows in secret."""
    for item in items:
        below = item if isinstance(item, list | tuple) else [item]
        if not all(isinstance(part, _SCALARS) for part in below):
            raise SecurityError("a list is of texts and numbers")
    _work(context).spend(1 + _size(items) // 32)
    return list(items)


@pass_context
def _call(context: Context, value: Any, name: str, *args: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    owner = next((kind for kind in METHODS if isinstance(value, kind)), None)
    if owner is None or name not in METHODS[owner]:
        raise SecurityError(f"{name} of {type(value).__name__} cannot be called")
    if name == "replace" and owner is str:
        return _replaced(context, value, args, lambda: value.replace(*args))
    found = getattr(value, name)(*args)
    if owner is not str:
        return found if isinstance(found, _SCALARS) else list(found)
    return _within(context, _size(value) + _size(found), lambda: found)


def _replaced(context: Context, text: str, args: Sequence[Any], make: Callable[[], Any]) -> Any:
    if len(args) != 2 or not all(isinstance(part, str) for part in args):
        raise SecurityError("replace takes two texts")
    return _within(context, len(text) + text.count(args[0]) * len(args[1]), make)


def _costing(plain: ImmutableSandboxedEnvironment, name: str) -> Callable[..., Any]:
    """A filter of Jinja2's that pays for what it does, before where it could make much out of little."""

    @pass_context
    def costing(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        def make() -> Any:
            return plain.call_filter(name, value, args, kwargs, context, context.eval_ctx)

        _work(context).spend(1 + _size(value) // 32)
        if name == "round" and not all(abs(n) < 10 for n in (*args, *kwargs.values()) if isinstance(n, int)):
            raise SecurityError("round takes up to 9 digits")
        if name == "replace":
            found = _replaced(context, str(value), args, make)
        elif name == "join" and isinstance(value, list | tuple):
            between = str((*args, *kwargs.values(), "")[0])
            found = _within(context, _size(value) + len(value) * len(between), make)
        else:
            found = make()
        if not isinstance(found, (*_SCALARS, Undefined, list, tuple)):
            found = list(found)
        return _within(context, _size(found), lambda: found)

    return costing
