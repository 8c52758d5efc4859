"""The language of templates: what is listed here exists, and nothing else does.

It has no way to anything but its variables, and none to make much out of little that ``templates.sandbox``
does not count. All of it is checked when a text is read, before anything runs.
"""

from typing import NoReturn

from jinja2 import TemplateAssertionError, nodes
from jinja2.runtime import LoopContext

SOURCE_LIMIT = 256 * 1024
_PARTS, _DEPTH, _LOOPS = 20_000, 60, 3
_KINDS: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign),
    *(nodes.Const, nodes.Name, nodes.Tuple, nodes.List, nodes.CondExpr, nodes.Filter, nodes.Test),
    *(nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Concat, nodes.Call, nodes.Keyword),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice),
)
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs"})
# By filter how many arguments it takes at most, and which by name: none that reaches into its values.
FILTERS: dict[str, tuple[int, frozenset[str]]] = {
    **dict.fromkeys(("upper", "lower", "title", "capitalize", "trim", "length", "count"), (0, frozenset())),
    **dict.fromkeys(("first", "last", "string", "abs", "list", "reverse", "wordcount"), (0, frozenset())),
    **dict.fromkeys(("escape", "e", "urlencode", "min", "max", "sum", "unique"), (0, frozenset())),
    **dict.fromkeys(("default", "d"), (2, frozenset({"default_value", "boolean"}))),
    "join": (1, frozenset({"d"})),
    "replace": (2, frozenset()),
    "truncate": (4, frozenset({"length", "killwords", "end", "leeway"})),
    "round": (2, frozenset({"precision", "method"})),
    "int": (1, frozenset({"default"})),
    "float": (1, frozenset({"default"})),
    "sort": (0, frozenset({"reverse"})),
    "day": (0, frozenset()),
}
TESTS = frozenset(
    (
        *("defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false"),
        *("odd", "even", "divisibleby", "in", "lower", "upper", "mapping", "iterable", "sequence"),
        *("eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<="),
        *("gt", "greaterthan", ">", "ge", ">="),
    )
)
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        (
            *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "startswith", "endswith"),
            *("split", "replace", "removeprefix", "removesuffix", "isdigit", "isalpha"),
        )
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    LoopContext: frozenset({"cycle"}),
}
OF_A_LOOP = frozenset(
    (
        *("index", "index0", "revindex", "revindex0", "first", "last", "length"),
        *("previtem", "nextitem", "depth", "depth0"),
    )
)


def look_through(tree: nodes.Template) -> None:
    """Raises TemplateAssertionError at the first thing that is not of the language."""
    parts = 0
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        parts, loops = parts + 1, loops + isinstance(node, nodes.For)
        if parts > _PARTS or depth > _DEPTH or loops > _LOOPS:
            _refuse(node, "the text has too many parts, or they are nested too deeply")
        _look_at(node)
        waiting += [(child, depth + 1, loops) for child in node.iter_child_nodes()]


def _look_at(node: nodes.Node) -> None:
    if not isinstance(node, _KINDS) or type(node) not in _KINDS:
        _refuse(node, f"{type(node).__name__.lower()} is not allowed here")
    match node:
        case nodes.Name(name=name) if name in _RESERVED:
            _refuse(node, f"{name} is not allowed here")
        case nodes.Assign(target=target) if not isinstance(target, nodes.Name):
            _refuse(node, "set names one variable")
        case nodes.For(recursive=True):
            _refuse(node, "a recursive loop is not allowed here")
        case nodes.Getattr(attr=name) if name.startswith("_"):
            _refuse(node, f"access to attribute {name!r} is unsafe")
        case nodes.Test(name=name) if name not in TESTS or node.dyn_args or node.dyn_kwargs:
            _refuse(node, f"no test named {name!r}")
        case nodes.Filter(name=name):
            most, named = FILTERS.get(name, (-1, frozenset[str]()))
            if most < 0 or node.node is None or node.dyn_args or node.dyn_kwargs:
                _refuse(node, f"no filter named {name!r}")
            if len(node.args) > most or not {pair.key for pair in node.kwargs} <= named:
                _refuse(node, f"the filter {name} does not take these arguments")
        case nodes.Call():
            method = node.node.attr if isinstance(node.node, nodes.Getattr) else None
            if not any(method in methods for methods in METHODS.values()):
                _refuse(node, f"{method or 'this'} cannot be called")
            if node.kwargs or node.dyn_args or node.dyn_kwargs:
                _refuse(node, f"{method} takes plain arguments only")


def _refuse(node: nodes.Node, reason: str) -> NoReturn:
    raise TemplateAssertionError(reason, node.lineno or 1)
