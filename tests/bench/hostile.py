"""How long a file that attacks us takes to be refused: the corpus of the attack tests, by a checking process."""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path

from signing.checking import FileChecker
from signing.pki import DevelopmentPKI
from tests.support.hostile_files import HOSTILE

ROUNDS = 5


async def hostile_refused() -> None:
    """Print median and worst of the corpus, from the question to the verdict, one file at a time."""
    now = dt.datetime.now(dt.UTC)
    trust = DevelopmentPKI.create(now - dt.timedelta(hours=1)).trust_store()
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with FileChecker(trust, now=lambda: now, workers=1) as checker:
            for name, (data, code) in HOSTILE.items():
                if code == "FILE_TOO_LARGE":  # the service refuses it before its bytes come
                    continue
                path = Path(folder) / name
                path.write_bytes(data)
                rounds = []
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    verdict = await checker.check(path)
                    rounds.append(time.perf_counter() - started)
                    assert code in {problem.code for problem in verdict.problems}
                took[name] = statistics.median(rounds) * 1000
    worst = max(took, key=lambda name: took[name])
    print(
        f"(q) hostile PDFs refused, {len(took)} of them: median {statistics.median(took.values()):.1f} ms, "
        f"worst {took[worst]:.0f} ms ({worst})"
    )
