"""Values for trying a template out: made up by how its texts use each variable."""

from collections.abc import Iterator

from jinja2 import Environment, TemplateError, nodes

from domain.events import Value, Values
from templates.model import Template

_DAY, _NUMBER = "2026-12-31", 3
_WORDS = {"en": "Alexandra", "zh-CN": "欧阳秀英"}
_ARITHMETIC = (nodes.Neg, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod)


def samples(template: Template, language: str) -> Values:
    """A value for each declared variable: a day, a number, a key of ``words``, or else a longish name."""
    word = _WORDS.get(language, "Alexandra")
    found: Values = dict.fromkeys(template.variables, word)
    environment = Environment(autoescape=True)
    for _, source in template.sources(language):
        try:
            tree = environment.parse(source)
        except (TemplateError, RecursionError, ValueError):
            continue
        for name, value in _guesses(tree, template.languages[language].words):
            if name in found:
                found[name] = value
    return found


def _guesses(tree: nodes.Template, words: dict[str, str]) -> Iterator[tuple[str, Value]]:
    for compared in tree.find_all(nodes.Compare):
        numbers = [node for node in compared.find_all(nodes.Const) if isinstance(node.value, int)]
        if numbers:
            yield from ((name, _NUMBER) for name in _names(compared))
    for counted in tree.find_all(_ARITHMETIC):
        yield from ((name, _NUMBER) for name in _names(counted))
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "day" and filtered.node is not None:
            yield from ((name, _DAY) for name in _names(filtered.node))
    for looked_up in tree.find_all(nodes.Getitem):
        if isinstance(looked_up.node, nodes.Name) and looked_up.node.name == "words":
            yield from _keys(looked_up.arg, words)


def _keys(key: nodes.Node, words: dict[str, str]) -> Iterator[tuple[str, Value]]:
    """What makes ``words[kind]`` or ``words[kind ~ ".ahead"]`` lead to one of the words."""
    end = ""
    if isinstance(key, nodes.Concat) and isinstance(key.nodes[-1], nodes.Const):
        end, key = str(key.nodes[-1].value), key.nodes[0]
    fitting = [name.removesuffix(end) for name in words if name.endswith(end)]
    if isinstance(key, nodes.Name) and fitting:
        yield key.name, fitting[0]


def _names(node: nodes.Node) -> list[str]:
    own = [node.name] if isinstance(node, nodes.Name) else []
    return own + [found.name for found in node.find_all(nodes.Name)]
