"""python -m bench [names...] [--out results.json] [--quick]

Names: a bench, or the beginning of several (`contest`, `pace`, `pace-clock`, `overhead`, `sandbox`); none means all.
Each prints as it ends; then one table of every figure and its bar. Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import backfill, contest, load, mirror, overhead, pace, pipeline, processes, syncing
from bench.report import Figure, Section, broken, machine, settled, table, verdict, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

MOST_MINUTES = 29.0


@dataclass(frozen=True, slots=True)
class _Bench:
    """`seconds`: about how long it takes, on two cores."""

    name: str
    seconds: float
    run: Callable[..., Section]


BENCHES: Sequence[_Bench] = (
    _Bench("sandbox", 5, load.sandbox),
    *(_Bench(one.name, one.seconds, one) for one in pace.SCENARIOS),
    _Bench("pace-300", 26, pace.small_job),
    *(_Bench(one.name, one.seconds, one) for one in processes.SCENARIOS),
    _Bench("mirror-read", 180, mirror.read),
    _Bench("mirror-sync", 150, syncing.changed),
    _Bench("mirror-turmoil", 90, syncing.turmoil),
    _Bench("pipeline", 420, pipeline.run),
    _Bench("backfill-rows", 190, backfill.rows),
    _Bench("backfill-threads", 50, backfill.threads),
    _Bench("overhead-plain", 120, overhead.plain),
    _Bench("overhead-tls", 80, overhead.tls),
    _Bench("contest-plain", 270, contest.plain),
    _Bench("contest-tls", 330, contest.tls),
)
_QUICK_SECONDS = 6.0


def _chosen(names: Sequence[str]) -> list[_Bench]:
    for name in names:
        if not any(_fits(bench, name) for bench in BENCHES):
            raise SystemExit(f"No bench is called {name!r}; there are {', '.join(bench.name for bench in BENCHES)}.")
    return [bench for bench in BENCHES if not names or any(_fits(bench, name) for name in names)]


def _fits(bench: _Bench, name: str) -> bool:
    return bench.name == name or bench.name.startswith(f"{name}-")


def _attempt(bench: _Bench, *, quick: bool) -> Section:
    """A bench that cannot be run is a missed bar; the others go on."""
    try:
        section: Section = bench.run(quick=quick)
    except Exception as error:
        return Section([broken(bench.name, error)], [f"{bench.name}: {error}"])
    return section if quick else replace(section, figures=[settled(figure) for figure in section.figures])


def _print_all(figures: Sequence[Figure]) -> None:
    rows = [(one.name, one.text, one.bar, verdict(one)) for one in figures]
    print()
    print(table(("name", "figure", "bar", "ok"), rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benches."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=_Formatter)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(bench.name for bench in BENCHES))
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: bench/results/<time>.json)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs, not how fast")
    given = parser.parse_args(arguments)
    benches = _chosen(given.names)
    about = {**machine(), "quick": given.quick}
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = given.out or Path(__file__).parent / "results" / f"{stamp}.json"
    expected = sum(_QUICK_SECONDS if given.quick else bench.seconds for bench in benches)
    print(f"{len(benches)} benches, about {expected / 60:.1f} min; load {about['load']:.1f} on {about['cpus']} cores")
    if about["load"] > 0.5:
        print("The machine is busy with something else: figures of CPU and of small jobs will suffer.")
    began = time.monotonic()
    sections: dict[str, Section] = {}
    for bench in benches:
        at = time.monotonic()
        if at - began + bench.seconds > MOST_MINUTES * 60 and not given.quick:
            sections[bench.name] = Section([broken(bench.name, TimeoutError("no time left"))])
            continue
        section = sections[bench.name] = _attempt(bench, quick=given.quick)
        missed = sum(figure.ok is False for figure in section.figures)
        print(f"\n{bench.name}: {time.monotonic() - at:.0f} s, {f'{missed} MISSED' if missed else 'ok'}", flush=True)
        print("\n".join(section.lines), end="\n" if section.lines else "", flush=True)
        write(out, about, sections)
    figures = [figure for section in sections.values() for figure in section.figures]
    _print_all(figures)
    missed = sum(figure.ok is False for figure in figures)
    print(f"\n{missed} of {len(figures)} missed; {time.monotonic() - began:.0f} s; {out}")
    return 1 if missed else 0


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the docstring."""


if __name__ == "__main__":
    sys.exit(main())
