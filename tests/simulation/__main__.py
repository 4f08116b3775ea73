"""Simulate cities: `python -m tests.simulation 17` plays the city of seed 17 and prints what happened in it;
`python -m tests.simulation --seeds 20000` plays many, on every core, and prints the seeds that fail.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.city import City


def main() -> int:
    """0 when every city was as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="play this one city and print its log")
    parser.add_argument("--seeds", type=int, default=0, help="play so many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    return _one(asked.seed) if asked.seed is not None else _many(asked.first, asked.seeds, asked.jobs)


def _one(seed: int) -> int:
    """One city with its log; the failure, if there is one, in full."""
    city = City(seed)
    try:
        city.run()
    finally:
        print("\n".join(city.log))
    return 0


def _many(first: int, seeds: int, jobs: int) -> int:
    """Each seed by itself; what fails is told at once, with the command that replays it."""
    failed: list[int] = []
    counted: Counter[str] = Counter()
    begun = time.monotonic()
    with ProcessPoolExecutor(jobs) as pool:
        for seed, what, wrong in pool.map(_play, range(first, first + seeds), chunksize=20):
            counted += what
            if wrong:
                failed.append(seed)
                print(f"seed {seed}: {wrong}\n  replay: python -m tests.simulation {seed}", flush=True)
            if (seed + 1) % 1000 == 0:
                print(f"{seed + 1} cities, {len(failed)} wrong, {time.monotonic() - begun:.0f} s", flush=True)
    for act, times in sorted(counted.items()):
        print(f"{times:8} {act}")
    print(f"{len(failed)} of {seeds} cities were wrong" + (f": {failed}" if failed else ""))
    return 1 if failed else 0


def _play(seed: int) -> tuple[int, Counter[str], str]:
    """One city: its seed, what happened, and the first line of what went wrong."""
    city = City(seed)
    try:
        return seed, city.run(), ""
    except Exception as wrong:
        return seed, city.counted, (str(wrong) or repr(wrong)).splitlines()[0][:200]


if __name__ == "__main__":
    sys.exit(main())
