"""The table: in the terminal, and in bench/README.md between its markers. The last figures are kept beside the build."""
import datetime
import json
import os
import pathlib
import re
import subprocess
from dataclasses import asdict, dataclass

from .processes import ROOT, WORK

README = ROOT / "bench" / "README.md"
KEPT = WORK / "results.json"
BEGIN, END = "<!-- begin: bench/run -->", "<!-- end: bench/run -->"


@dataclass
class Row:
    """One figure."""
    what: str
    # What it shall reach, in words, and whether it did; nothing is asked of some.
    reach: str
    seen: str
    good: bool | None = None


def at_least(what, wanted, ratio, told):
    """A row whose ratio must not be lower."""
    return Row(what, f"≥ {wanted:g} ×", f"{ratio:.2f} × ({told})", ratio >= wanted)


def at_most(what, wanted, ratio, told):
    """A row whose ratio must not be higher."""
    return Row(what, f"≤ {wanted:g} ×", f"{ratio:.2f} × ({told})", ratio <= wanted)


def limit(what, wanted, value, unit, more=""):
    """A row whose value must not be higher."""
    told = f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return Row(what, f"≤ {wanted:,} {unit}", told + more, value <= wanted)


def machine():
    """What was measured on, and with what; versions as the programs print them."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 2**20
    lines = [f"{os.cpu_count()} cores ({model.group(1).strip() if model else 'unknown'}), {memory:.0f} GiB, "
             f"Linux {os.uname().release}"]
    for command in (["rustc", "--version"], ["h2load", "--version"], ["psql", "--version"], ["go", "version"],
                    ["pkg-config", "--modversion", "grpc++"], ["node", "--version"], ["valgrind", "--version"]):
        try:
            printed = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
        except OSError:
            printed = ""
        name = "grpc++ " if command[0] == "pkg-config" else "node " if command[0] == "node" else ""
        if printed:
            lines.append(name + printed)
    return "; ".join(lines)


def entry(rows, figures, load_before):
    """A group's rows, and the figures its plots are drawn from, as they are kept."""
    return {"date": f"{datetime.date.today()}", "load": load_before, "rows": [asdict(row) for row in rows], "figures": figures}


def keep(groups):
    """Remembers these groups beside those that earlier runs left; all of them."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept.update(groups)
    KEPT.write_text(json.dumps(kept, indent=1))
    return kept


def rows_of(kept, groups):
    return [(group, Row(**row)) for group in groups if group in kept for row in kept[group]["rows"]]


def mark(row):
    return {True: "yes", False: "no", None: ""}[row.good]


def table(kept, groups):
    """For a terminal."""
    lines = []
    for group, row in rows_of(kept, groups):
        lines.append(f"{mark(row):>4}  {row.what}\n        to reach {row.reach or '-'}   seen {row.seen}   "
                     f"./bench/run {group}")
    return "\n".join(lines)


def write_readme(kept, groups):
    """Replaces what lies between the markers, and nothing else."""
    dates = sorted({kept[group]["date"] for group in groups if group in kept})
    load = max(kept[group]["load"] for group in groups if group in kept)
    lines = [BEGIN, "", f"Measured {' to '.join(dates)} on {machine()}. Load average before, at most: {load:.1f}; "
             "above 1 others were at work on these cores too, and the ratios say little.", "",
             "| what | to reach | seen | reached | printed by |", "|---|---|---|---|---|"]
    for group, row in rows_of(kept, groups):
        lines.append(f"| {row.what} | {row.reach} | {row.seen} | {mark(row)} | `./bench/run {group}` |")
    lines += ["", *(f"![{plot.stem}](plots/{plot.name})" for plot in sorted((ROOT / "bench/plots").glob("*.svg"))), "",
              END]
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + "\n".join(lines) + rest.split(END)[1])
