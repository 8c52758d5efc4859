"""Figures of all benchmarks as files, as a table and as a picture."""

import importlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.command import Figures
from bench.machine import Machine

FOLDER = Path(__file__).parent / "results"
Results = Mapping[str, Figures]
_PIPELINE = ("facts_per_s", "messages_per_s", "facts_per_cpu_s", "share_of_raw", "times_plain")
# Of each benchmark what a reader looks at first; the files hold everything.
_SHOWN = {
    "pipeline": (
        *_PIPELINE,
        "times_plain_cpu",
        "times_plain_in_batches",
        "facts_per_s_with_import_and_ledger",
        "share_of_raw_with_import_and_ledger",
        "events_per_fact",
        "rows_per_fact",
        "bytes_per_event",
    ),
    "timers": ("us_per_timer", "plain_us_per_timer", "times_plain", "times_plain_cpu"),
    "mail": (
        "mails_per_cpu_s",
        "bare_mails_per_cpu_s",
        "times_bare",
        "times_bare_making",
        "signed_rsa_mails_per_cpu_s",
    ),
    "texts": ("messages_per_cpu_s", "bare_messages_per_cpu_s", "share_of_bare"),
    "verify": ("events_per_s", "times_run", "times_run_cpu"),
    "sealing": ("events_per_s", "share_of_ingest", "share_of_ingest_cpu", "inclusion_ms", "consistency_ms"),
    "replaying": ("events", "as_of_the_end_ms", "as_of_the_end_cpu_ms", "as_of_half_way_cpu_ms"),
    "growth": (
        "cost_ratio",
        "cost_ratio_wall",
        "cost_ratio_first_fact",
        "cost_ratio_further_fact",
        "cost_ratio_import",
    ),
    "million": ("customers", "events", "messages", "seconds", "peak_rss_mb", "bytes_per_event"),
    "scaling": ("facts_per_s", "scaling"),
    "latency": ("sustained_facts_per_s", "p50_ms", "p99_ms", "max_ms", "overload", "service_p99_ms"),
}


def write(results: Results, machine: Machine, *, size: str, whole: bool) -> None:
    """One file for each benchmark; after a ``whole`` run also ``machine.json``, and ``summary.json``.

    A part of a run leaves these two as they are: ratios of different runs do not belong beside each other.
    """
    FOLDER.mkdir(exist_ok=True)
    about = msgspec.to_builtins(machine)
    for name, figures in results.items():
        _write(name, {**figures, "machine": about})
    if whole:
        _write("machine", about)
        _write("summary", {**summary(results), "size": size, "machine": about})
    _draw(results.get("growth-sqlite", {}))


def summary(results: Results) -> Figures:
    """The figures that others compare; null where something was not measured, and why."""
    million = results.get("million", {})
    return {
        "pipeline": {kind: _picked(results, f"pipeline-{kind}") for kind in ("sqlite", "postgresql")},
        "timers": {"times_plain": results.get("timers-sqlite", {}).get("times_plain")},
        "growth": {
            "cost_ratio": results.get("growth-sqlite", {}).get("cost_ratio"),
            # There the worker's processor is the smaller part.
            "postgresql_wall": results.get("growth-postgresql", {}).get("cost_ratio_wall"),
        },
        "million_year": {name: million.get(name) for name in ("seconds", "peak_rss_mb", "customers")},
        "scaling": _scaling(results),
        "unavailable": {n: f["unavailable"] for n, f in results.items() if "unavailable" in f},
    }


def show(results: Results, machine: Machine) -> None:
    """The table."""
    table = Table("benchmark", "measure", "figure", title=f"{machine.processor}, {machine.cores} cores")
    for name, figures in results.items():
        rows = list(_rows(name, figures))
        for index, (measure, figure) in enumerate(rows):
            last = index == len(rows) - 1
            table.add_row(name if index == 0 else "", measure, figure, end_section=last)
    Console(file=sys.stdout).print(table)


def _rows(name: str, figures: Figures) -> Iterable[tuple[str, str]]:
    if "unavailable" in figures:
        yield "not measured", str(figures["unavailable"]).splitlines()[0]
        return
    for measure in _SHOWN[name.split("-")[0]]:
        value = figures[measure]
        if isinstance(value, dict):
            yield from ((f"{measure}, {key}", _told(part)) for key, part in value.items())
        else:
            yield measure, _told(value)


def _told(value: object) -> str:
    number = float(str(value))
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:,.4g}"


def _picked(results: Results, name: str) -> dict[str, object] | None:
    figures = results.get(name)
    if figures is None or "unavailable" in figures:
        return None
    return {measure: figures[measure] for measure in _PIPELINE}


def _scaling(results: Results) -> dict[str, object]:
    """That of PostgreSQL where it was measured, since SQLite has one writer by design; and each."""
    found = {kind: results.get(f"scaling-{kind}", {}).get("scaling") for kind in ("sqlite", "postgresql")}
    store = "postgresql" if found["postgresql"] else "sqlite"
    chosen: Any = found[store] or {}
    return {"2": chosen.get("2"), "4": chosen.get("4"), "store": store, **found}


def _write(name: str, content: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(content), indent=2)
    (FOLDER / f"{name}.json").write_bytes(encoded + b"\n")


def _draw(growth: Figures) -> None:
    """The curve of cost against size as ``growth.png``; not without matplotlib, which only this needs."""
    curve: Any = growth.get("curve")
    if not curve:
        return
    try:
        importlib.import_module("matplotlib").use("Agg")
        pyplot: Any = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        sys.stderr.write("growth.png is not drawn: pip install 'tidings[bench]'\n")
        return
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    sizes = [point["events"] for point in curve]
    for name, label in (
        ("cpu_us_per_fact", "run: a fact, 20 for each of 900 customers"),
        ("cpu_us_per_further_fact", "run: a further fact of a customer in memory"),
        ("import_cpu_us_per_fact", "import: a fact"),
        ("cpu_us_per_first_fact", "run: a customer's first fact, from a snapshot"),
    ):
        axes.plot(sizes, [point[name] for point in curve], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="events in the store", ylabel="µs of processor time")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(FOLDER / "growth.png", dpi=120)
    pyplot.close(figure)
