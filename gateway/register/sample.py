"""A made-up register for the demo and the tests: two registries, three counties, every odd case.

Rows are those of docs/register-import.md. The same seed gives the same bytes. Odd cases are units
with a name, found by `SAMPLE.unit("seized", "jiangyin")`; ordinary ones by `SAMPLE.free(...)`.
"""

from __future__ import annotations

import csv
import io
from typing import TextIO

from gateway.register.import_layout import COLUMNS
from gateway.register.model import Party, Value
from gateway.register.sample_cases import ODD_CASES, ordinary
from gateway.register.sample_parties import (
    BANK_A,
    BANK_A_BRANCH,
    BANK_B,
    FUND_CENTRE,
    JIANGYIN,
    REGISTRIES,
    TAIZHOU,
    SampleRegistry,
)
from gateway.register.sample_site import Row, SampleUnit, Site

#: The seed of the register that is shipped, tested and shown.
SEED = 1

__all__ = ["SAMPLE", "SEED", "Sample", "SampleRegistry", "SampleUnit", "write_register_csv"]


class Sample(Value, frozen=True, kw_only=True):
    """The shipped sample: institutions, registries and named units."""

    bank_a: Party = BANK_A
    bank_a_branch: Party = BANK_A_BRANCH
    bank_b: Party = BANK_B
    fund_centre: Party = FUND_CENTRE
    jiangyin: SampleRegistry = JIANGYIN
    taizhou: SampleRegistry = TAIZHOU
    units: dict[str, tuple[SampleUnit, ...]]

    def unit(self, case: str, registry: str) -> SampleUnit:
        """The unit of an odd case. Raises KeyError naming the cases there are."""
        for unit in self.units[registry]:
            if unit.case == case:
                return unit
        raise KeyError(f"sample of {registry} has no case {case!r}; there are {sorted(ODD_CASES)}")

    def free(self, registry: str) -> tuple[SampleUnit, ...]:
        """Market flats with one adult owner and nothing else on them."""
        return tuple(u for u in self.units[registry] if u.case in ("sole_free", "ordinary"))

    @property
    def sole_free_jiangyin(self) -> SampleUnit:
        """A flat with nothing on it."""
        return self.unit("sole_free", "jiangyin")

    @property
    def sole_free_taizhou(self) -> SampleUnit:
        """A flat with nothing on it."""
        return self.unit("sole_free", "taizhou")

    @property
    def mortgaged_by_bank_a_jiangyin(self) -> SampleUnit:
        """A flat with one mortgage of bank A, restriction NONE, of 2023."""
        return self.unit("mortgaged_by_bank_a", "jiangyin")

    @property
    def seized_jiangyin(self) -> SampleUnit:
        """A seized flat."""
        return self.unit("seized", "jiangyin")

    @property
    def joint_taizhou(self) -> SampleUnit:
        """A flat in joint co-ownership of two."""
        return self.unit("joint", "taizhou")


def register_rows(registry: SampleRegistry, seed: int = SEED) -> tuple[list[Row], list[SampleUnit]]:
    """Rows of a registry's file, and the units in it. Odd cases lie in its first county."""
    rows: list[Row] = []
    units: list[SampleUnit] = []
    for number, county in enumerate(registry.counties):
        site = Site(registry, county, seed=seed)
        if number == 0:
            for case, make in ODD_CASES.items():
                units.append(make(site, case))
        units += [ordinary(site) for _ in range(registry.bulk_units)]
        rows += site.rows
    return rows, units


def write_register_csv(registry: SampleRegistry, stream: TextIO, seed: int = SEED) -> int:
    """Write a registry's file to `stream`; gives the number of rows without the heading."""
    rows, _ = register_rows(registry, seed)
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return len(rows)


def register_csv(registry: SampleRegistry, seed: int = SEED) -> str:
    """The text of a registry's file."""
    stream = io.StringIO(newline="")
    write_register_csv(registry, stream, seed)
    return stream.getvalue()


SAMPLE = Sample(units={r.registry: tuple(register_rows(r)[1]) for r in REGISTRIES})
