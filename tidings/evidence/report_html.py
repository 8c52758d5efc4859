"""The report as one HTML page, with its picture inside: no script, and nothing from elsewhere."""

from jinja2 import DictLoader, Environment, StrictUndefined

from audit.evidence.timeline import WIDTH
from tidings.evidence.blocks import Heading, Report

_STYLE = """
:root { --ink: #1c2430; --soft: #566072; --line: #d5dae2; --accent: #0b57a4; --good: #14633a; --bad: #a3231f;
  --waiting: #8a5a00; --ground: #f5f7fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.5rem 4rem; background: #fff; color: var(--ink);
  font: 0.95rem/1.55 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC",
  "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .3rem; border-bottom: 2px solid var(--accent);
  break-after: avoid; }
.subtitle { color: var(--soft); margin: 0 0 1.2rem; }
p { margin: 0 0 .7rem; }
.soft { color: var(--soft); font-size: .9rem; }
nav { margin: 0 0 1.2rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
nav a { color: var(--accent); text-decoration: none; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem;
  margin: 1rem 0; }
.figures div { background: var(--ground); border-radius: 8px; padding: .6rem .9rem; }
.figures b { display: block; font-size: 1.5rem; line-height: 1.2; }
.figures span { color: var(--soft); font-size: .85rem; }
figure { margin: 0 0 1rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 12px; dominant-baseline: central; }
.s-ink { fill: var(--ink); } .s-soft { fill: var(--soft); }
.s-grid { stroke: #e3e7ed; stroke-width: 1; fill: none; }
.s-fact { fill: #9fb3c8; } .s-passage { fill: #c9dcf2; }
.s-sent { fill: var(--accent); } .s-good { fill: var(--good); }
polygon.s-bad { fill: var(--bad); } circle.s-bad { fill: #fff; stroke: var(--bad); stroke-width: 2.5; }
circle.s-waiting { fill: #fff; stroke: #d18b00; stroke-width: 2.5; }
table { width: 100%; border-collapse: collapse; margin: 0 0 1rem; font-size: .85rem; table-layout: fixed; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--soft); }
th, td { padding: .3rem .6rem .3rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); }
thead { display: table-header-group; }
tr { break-inside: avoid; }
article { border: 1px solid var(--line); border-left: 5px solid var(--soft); border-radius: 6px;
  padding: .7rem 1rem; margin: 0 0 .8rem; }
article.good { border-left-color: var(--good); } article.bad { border-left-color: var(--bad); }
article.waiting { border-left-color: #d18b00; }
article h3 { font-size: 1rem; margin: 0 0 .35rem; display: flex; justify-content: space-between; gap: 1rem;
  break-after: avoid; }
.status { flex: none; font-size: .85rem; } .good .status { color: var(--good); }
.bad .status { color: var(--bad); } .waiting .status { color: var(--waiting); }
article ul { margin: 0 0 .5rem; padding-left: 1.1rem; }
blockquote { margin: .4rem 0; padding: .5rem .9rem; background: var(--ground); border-radius: 6px;
  white-space: pre-wrap; font-size: .9rem; }
blockquote b { display: block; margin-bottom: .3rem; }
dl { margin: .3rem 0 0; display: grid; grid-template-columns: max-content 1fr; gap: 0 .8rem; font-size: .8rem;
  color: var(--soft); }
dd { margin: 0; font-family: ui-monospace, Consolas, monospace; }
@page { size: A4; margin: 16mm 14mm; }
@media print { body { max-width: none; padding: 0; font-size: 9.5pt; } nav { display: none; }
  .figures { grid-template-columns: repeat(6, 1fr); } article { break-inside: avoid; } }
"""

_PAGE = """<!doctype html>
<html lang="{{ report.language }}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}</title>
<style>{% include "style" %}</style>
</head>
<body>
<h1>{{ report.title }}</h1>
<p class="subtitle">{{ report.subtitle }}</p>
<nav>{% for number, text in headings %}<a href="#part-{{ number }}">{{ text }}</a>{% endfor %}</nav>
{% for block in report.blocks %}
{% set sort = sort_of(block) %}
{% if sort == "Heading" %}
<h2 id="part-{{ loop.index }}">{{ block.text }}</h2>
{% elif sort == "Paragraph" %}
<p{% if block.soft %} class="soft"{% endif %}>{{ block.text }}</p>
{% elif sort == "Figures" %}
<div class="figures">{% for value, what in block.values %}<div><b>{{ value }}</b><span>{{ what }}</span></div>
{%- endfor %}</div>
{% elif sort == "Table" %}
<table><colgroup>{% for share in block.shares %}<col style="width: {{ share }}%">{% endfor %}</colgroup>
<thead><tr>{% for column in block.columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in block.rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table>
{% elif sort == "Drawing" %}
<figure><svg viewBox="0 0 {{ width }} {{ block.picture.height }}" role="img" aria-label="{{ block.text }}">
{% for s in block.picture.shapes %}
{% if s.sort == "rect" %}
<rect class="s-{{ s.style }}" x="{{ s.x }}" y="{{ s.y }}" width="{{ (s.to_x - s.x)|round(1) }}" {# -#}
 height="{{ (s.to_y - s.y)|round(1) }}" rx="1.5"/>
{% elif s.sort == "line" %}
<line class="s-{{ s.style }}" x1="{{ s.x }}" y1="{{ s.y }}" x2="{{ s.to_x }}" y2="{{ s.to_y }}"/>
{% elif s.sort in ("dot", "ring") %}
<circle class="s-{{ s.style }}" cx="{{ s.x }}" cy="{{ s.y }}" r="{{ 5 if s.sort == "dot" else 4.5 }}"/>
{% elif s.sort == "up" %}
<polygon class="s-{{ s.style }}" points="{{ s.x - 6 }},{{ s.y + 5 }} {{ s.x + 6 }},{{ s.y + 5 }} {# -#}
 {{ s.x }},{{ s.y - 6 }}"/>
{% elif s.sort == "down" %}
<polygon class="s-{{ s.style }}" points="{{ s.x - 6 }},{{ s.y - 5 }} {{ s.x + 6 }},{{ s.y - 5 }} {# -#}
 {{ s.x }},{{ s.y + 6 }}"/>
{% else %}
<text class="s-{{ s.style }}" x="{{ s.x }}" y="{{ s.y }}" text-anchor="{{ s.anchor }}">{{ s.text }}</text>
{% endif %}
{% endfor %}
</svg><figcaption class="soft">{{ block.text }}</figcaption></figure>
{% else %}
<article class="{{ block.tone }}">
<h3><span>{{ block.title }}</span><span class="status">{{ block.status }}</span></h3>
<ul>{% for sentence in block.sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
{% if block.text %}<blockquote>{% if block.heading %}<b>{{ block.heading }}</b>{% endif %}
{{- block.text }}</blockquote>{% endif %}
<dl>{% for name, value in block.notes %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}
{% if block.file %}<dt>HTML</dt><dd><a href="{{ block.file }}">{{ block.file }}</a></dd>{% endif %}</dl>
</article>
{% endif %}
{% endfor %}
</body>
</html>
"""


def html_of(report: Report) -> bytes:
    """The page. Whatever is put into it is escaped."""
    environment = Environment(
        loader=DictLoader({"report": _PAGE, "style": " ".join(_STYLE.split())}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    headings = [(n, block.text) for n, block in enumerate(report.blocks, 1) if isinstance(block, Heading)]
    page = environment.get_template("report").render(
        report=report, headings=headings, sort_of=_sort, width=WIDTH
    )
    return page.encode()


def _sort(block: object) -> str:
    return type(block).__name__
