"""How our pages look: one style and the templates of all pages, in words of the text catalogue only.

They work without a script and without anything from elsewhere.
"""

from jinja2 import DictLoader, Environment, StrictUndefined

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566072; --paper: #fff; --ground: #f2f4f7;
  --line: #d5dae2; --accent: #0b57a4; --on-accent: #fff; --good: #14633a; --good-ground: #e6f4ec;
  --note-ground: #fff4dc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf2; --soft: #a9b3c2; --paper: #1b212b; --ground: #11151c; --line: #37404e;
    --accent: #7db8f5; --on-accent: #0c1725; --good: #9adcb6; --good-ground: #17301f;
    --note-ground: #37301c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.6 system-ui, -apple-system,
  "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
header { max-width: 40rem; margin: 1.5rem auto .75rem; padding: 0 .5rem; font-weight: 600; display: flex;
  justify-content: space-between; gap: 1rem; flex-wrap: wrap; }
nav { font-weight: 400; color: var(--soft); display: flex; gap: 1rem; }
main { max-width: 40rem; margin: 0 auto 2.5rem; padding: 2rem; background: var(--paper);
  border: 1px solid var(--line); border-radius: 12px; }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .75rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; }
.letter { white-space: pre-wrap; overflow-wrap: anywhere; }
a { color: var(--accent); }
form { margin: 0 0 1rem; }
fieldset { border: 1px solid var(--line); border-radius: 10px; margin: 0 0 1.25rem; padding: .5rem 1.25rem; }
legend { font-weight: 600; padding: 0 .4rem; }
.why { color: var(--soft); margin: 0 0 .5rem; }
label { display: flex; gap: .75rem; align-items: center; padding: .25rem 0; min-height: 2.75rem;
  cursor: pointer; border-top: 1px solid var(--line); }
label.topic { padding-left: 2rem; }
input[type=checkbox] { width: 1.35rem; height: 1.35rem; flex: none; accent-color: var(--accent); }
button { font: inherit; font-weight: 600; color: var(--on-accent); background: var(--accent);
  border: 1px solid var(--accent); border-radius: 8px; padding: .65rem 1.4rem; cursor: pointer; }
button.quiet { color: var(--accent); background: transparent; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.said { background: var(--good-ground); color: var(--good); border-radius: 8px; padding: .75rem 1rem;
  font-weight: 600; }
.note { background: var(--note-ground); border-radius: 8px; padding: .75rem 1rem; }
.target { overflow-wrap: anywhere; border-left: 3px solid var(--accent); padding-left: .75rem; }
dl { margin: 0; }
dt { font-weight: 600; }
dd { margin: 0 0 .75rem; color: var(--soft); }
@media (max-width: 41rem) {
  header { margin: 1rem; padding: 0; }
  main { margin: 0 .5rem 2rem; padding: 1.25rem; }
}
"""

_BASE = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{% block title %}{% endblock %} · {{ brand }}</title>
<style nonce="{{ nonce }}">{{ style }}</style>
</head>
<body>
<header><span>{{ brand }}</span>{% block switch %}{% endblock %}</header>
<main>
<h1>{{ self.title() }}</h1>
{% block body %}{% endblock %}
</main>
</body>
</html>
"""

_CONFIRM = """{% extends "base" %}
{% block title %}{{ tell("web.unsubscribe.title") }}{% endblock %}
{% block body %}
<p>{{ tell("web.unsubscribe.question", what=what, by=by) }}</p>
<form method="post"><input type="hidden" name="action" value="unsubscribe">
<button>{{ tell("web.unsubscribe.button") }}</button></form>
<p class="why">{{ tell("web.unsubscribe.still") }}</p>
<p><a href="{{ preferences }}">{{ tell("web.to_preferences") }}</a></p>
{% endblock %}
"""

_DONE = """{% extends "base" %}
{% block title %}{{ tell("web.undone.title" if undone else "web.unsubscribed.title") }}{% endblock %}
{% block body %}
<p class="said" role="status">{{ tell("web.undone.said" if undone else "web.unsubscribed.said",
  what=what, by=by) }}</p>
{% if not undone %}<p class="why">{{ tell("web.unsubscribe.still") }}</p>{% endif %}
{% if undo %}
<form method="post"><input type="hidden" name="action" value="undo">
<input type="hidden" name="undo" value="{{ undo }}">
<button class="quiet">{{ tell("web.unsubscribed.undo") }}</button></form>
{% endif %}
<p><a href="{{ preferences }}">{{ tell("web.to_preferences") }}</a></p>
{% endblock %}
"""

_PREFERENCES = """{% extends "base" %}
{% block title %}{{ tell("web.preferences.title") }}{% endblock %}
{% block switch %}
<nav aria-label="{{ tell("web.language") }}">{% for code, name in languages %}
{% if code == language %}<span aria-current="true" lang="{{ code }}">{{ name }}</span>
{% else %}<a href="?lang={{ code }}" lang="{{ code }}" hreflang="{{ code }}">{{ name }}</a>{% endif %}
{% endfor %}</nav>
{% endblock %}
{% block body %}
{% if saved %}<p class="said" role="status">{{ tell("web.preferences.saved") }}</p>{% endif %}
{% if gone %}<p class="note">{{ tell("web.preferences.gone") }}</p>{% else %}
<p>{{ tell("web.preferences.intro") }}</p>
{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}
<form method="post" action="?lang={{ language }}">
{% for group in groups %}
<fieldset>
<legend>{{ group.title }}</legend>
<p class="why">{{ group.why }}</p>
{% for row in group.rows %}
<label{% if row.topic %} class="topic"{% endif %}><input type="checkbox" name="on" value="{{ row.value }}"
{%- if row.on %} checked{% endif %}> <span>{{ row.label }}</span></label>
<input type="hidden" name="was" value="{{ row.was }}">
{% endfor %}
</fieldset>
{% endfor %}
{% if groups %}<button>{{ tell("web.preferences.save") }}</button>{% endif %}
</form>
<fieldset>
<legend>{{ tell("web.always.title") }}</legend>
<dl>{% for title, why in always %}<dt>{{ title }}</dt><dd>{{ why }}</dd>{% endfor %}</dl>
</fieldset>
{% endif %}
{% endblock %}
"""

_LEAVING = """{% extends "base" %}
{% block title %}{{ tell("web.leaving.title", host=host) }}{% endblock %}
{% block body %}
<p class="target"><a id="to" href="{{ target }}" rel="noreferrer">{{ target }}</a></p>
<form method="post"><button>{{ tell("web.leaving.button") }}</button></form>
<script nonce="{{ nonce }}">
fetch(location.pathname, { method: "POST", keepalive: true, redirect: "manual" }).catch(function () {});
location.replace(document.getElementById("to").href);
</script>
{% endblock %}
"""

_VIEWED = """{% extends "base" %}
{% block title %}{{ heading }}{% endblock %}
{% block body %}<p class="letter">{{ text }}</p>{% endblock %}
"""

_PROBLEM = """{% extends "base" %}
{% block title %}{{ tell("web.problem.title") }}{% endblock %}
{% block body %}<p>{{ said }}</p>{% endblock %}
"""

STYLE = " ".join(_STYLE.split())


def environment() -> Environment:
    """The templates. Whatever is put into them is escaped, and a value that is missing is an error."""
    pages = {
        "base": _BASE,
        "confirm": _CONFIRM,
        "done": _DONE,
        "preferences": _PREFERENCES,
        "leaving": _LEAVING,
        "viewed": _VIEWED,
        "problem": _PROBLEM,
    }
    return Environment(
        loader=DictLoader(pages),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
