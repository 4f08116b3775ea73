"""One county of the sample register being filled: units, owners, mortgages, seizures, pre-notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.register.identifiers import format_certificate_number
from gateway.register.import_layout import DEBTOR, HOLDER, ID_KINDS, MORTGAGOR, OBLIGOR, Role, Table
from gateway.register.model import IdKind, Party, Value
from gateway.register.sample_parties import People, SampleCounty, SampleRegistry

Row = dict[str, str]

_ID_CODES = {kind: code for code, kind in ID_KINDS.items()}
_COURT = "示例市人民法院"
_OFFICER = "登记员甲"


def id_code(kind: IdKind) -> str:
    """The ZJZL code of an id kind."""
    return _ID_CODES[kind]


class SampleUnit(Value, frozen=True, kw_only=True):
    """A unit of the sample, or several under one mortgage, as a test wants to know it.

    `proofs` are the registration proofs of its mortgages and pre-notices, in their order.
    """

    registry: str
    case: str
    unit_codes: tuple[str, ...]
    owners: tuple[Party, ...]
    title_number: str
    location: str
    proofs: tuple[str, ...] = ()

    @property
    def unit_code(self) -> str:
        """The first, mostly the only unit."""
        return self.unit_codes[0]

    @property
    def owner(self) -> Party:
        """The first, mostly the only owner."""
        return self.owners[0]

    @property
    def proof_number(self) -> str:
        """The first, mostly the only proof."""
        return self.proofs[0]


class Site:
    """One county being filled: rows so far, and counters for units, cases and certificates."""

    def __init__(self, registry: SampleRegistry, county: SampleCounty, *, seed: int) -> None:
        self.registry = registry
        self.county = county
        self.rows: list[Row] = []
        self.people = People(start=seed * 10_000 + int(county.code) % 100 * 1_000)
        self._seed = seed
        self._units = 0
        self._cases = 0
        self._numbers: dict[tuple[str, int], int] = {}

    def next_unit(self, *, fixture: str = "F") -> tuple[str, str]:
        """The code and the location of the next unit: forty flats a building."""
        self._units += 1
        building, flat = divmod(self._units - 1, 40)
        floor, door = divmod(flat, 4)
        number = f"{building + 1:04d}{(floor + 1) * 100 + door + 1:04d}"
        number = "00000000" if fixture == "W" else number
        parcel = self._units if fixture == "W" else 1
        code = f"{self.county.code}001001GB{parcel:05d}{fixture}{number}"
        place = f"{self.county.street}{8 + self._seed}号{building + 1}幢{number[4:]}室"
        return code, place

    def next_case(self, day: str) -> str:
        """A case number of the authority's old system, which had its own form (handbook 4.3)."""
        self._cases += 1
        return f"L{day.replace('-', '')}{self.county.code}{self._cases:05d}"

    def number(self, kind: str, day: str) -> str:
        """The next certificate number of a year; all are before 2026, so none meets ours."""
        year = int(day[:4])
        serial = self._numbers.get((kind, year), 0) + 1
        self._numbers[(kind, year)] = serial
        place = self.county.place
        return format_certificate_number(self.registry.province, year, place, kind, serial)

    def add(self, table: Table, unit: str, persons: Mapping[Role, Party], **values: str) -> None:
        """One row."""
        row = {"TABLE": table.value, "BDCDYH": unit, "QSZT": "1", "DBR": _OFFICER}
        for role, person in persons.items():
            row[role.name] = person.name
            row[role.kind] = id_code(person.id_kind)
            row[role.number] = person.id_number
        self.rows.append(row | values)

    def own(
        self,
        case: str,
        owners: Sequence[Party],
        *,
        day: str = "2017-06-12",
        form: str = "0",
        shares: Sequence[str] = (),
        title: str = "",
        fixture: str = "F",
        **unit_values: str,
    ) -> SampleUnit:
        """A unit with its owners; residential market housing unless `unit_values` say otherwise."""
        code, location = self.next_unit(fixture=fixture)
        number = title or self.number("TITLE", day)
        common = {
            "YWH": self.next_case(day),
            "DJSJ": f"{day} 10:15:00",
            "GYFS": form,
            "BDCQZH": number,
            "ZL": location,
            "QXDM": self.county.code,
            "QLLX": "4",
            "FWYT": "1",
            "FWXZ": "0",
            "JZMJ": f"{70 + (self._units * 7 + self._seed) % 90}.{self._units % 100:02d}",
            "SZC": str((self._units - 1) % 40 // 4 + 1),
            "ZCS": "10",
            "TDSYJSSJ": "2081-12-31",
        } | unit_values
        for position, owner in enumerate(owners):
            share = {"QLBL": shares[position]} if shares else {}
            self.add(Table.OWNERSHIP, code, {HOLDER: owner}, **common, **share)
        return SampleUnit(
            registry=self.registry.registry,
            case=case,
            unit_codes=(code,),
            owners=tuple(owners),
            title_number=number,
            location=location,
        )

    def mortgage(
        self,
        unit: SampleUnit,
        mortgagee: Party,
        *,
        day: str,
        restriction: str,
        rank: int = 1,
        wan: str = "80.000000",
        case_number: str = "",
        values: Mapping[str, str] | None = None,
    ) -> SampleUnit:
        """A mortgage by the owners, who are the debtors; over every unit of `unit`."""
        values = values or {}
        proof = values.get("BDCDJZMH") or self.number("PROOF", day)
        common = {
            "YWH": case_number or self.next_case(day),
            "DJSJ": f"{day} 14:30:00",
            "BDCDJZMH": proof,
            "DYFS": "1",
            "DYBDCLX": "2",
            "BDBZZQSE": wan,
            "ZWLXQSSJ": day,
            "ZWLXJSSJ": f"{int(day[:4]) + 20}{day[4:]}",
            "DBFW": "主债权及其利息、违约金、损害赔偿金和实现抵押权的费用",
            "SFCZJZHXZ": restriction,
            "DYQSW": str(rank),
            **values,
        }
        for code in unit.unit_codes:
            for owner in unit.owners:
                persons = {HOLDER: mortgagee, MORTGAGOR: owner, DEBTOR: owner}
                self.add(Table.MORTGAGE, code, persons, **common)
        return replace(unit, proofs=(*unit.proofs, proof))

    def seize(self, unit: SampleUnit, target: Party, *, kind: str, served: str) -> None:
        """A seizure served at an instant of 2025 and lasting into 2028."""
        self.add(
            Table.SEIZURE,
            unit.unit_code,
            {OBLIGOR: target},
            YWH=self.next_case(served[:10]),
            DJSJ=f"{served[:10]} 16:00:00",
            CFJG=_COURT,
            CFLX=kind,
            CFWH=f"(2025)示0000执{self._cases}号",
            CFFW="全部",
            SDSJ=served,
            CFJSSJ="2028-03-31",
        )

    def pre_notice(self, unit: SampleUnit, kind: str, holder: Party, obligor: Party, wan: str) -> SampleUnit:
        """A pre-notice of 2025: of a sale (kind 2) or of its buyer's mortgage (kind 4)."""
        day = "2025-11-03"
        proof = self.number("PROOF", day)
        values = {
            "YWH": self.next_case(day),
            "DJSJ": f"{day} 09:20:00",
            "BDCDJZMH": proof,
            "YGDJZL": kind,
            "QDJG": wan,
            "JYHTH": f"示合{self._cases:06d}",
            "KDJRQ": "2027-06-30",
        }
        if kind == "4":
            values |= {"ZWLXQSSJ": day, "ZWLXJSSJ": "2045-11-03", "DBFW": "/", "SFCZJZHXZ": "0"}
        self.add(Table.PRE_NOTICE, unit.unit_code, {HOLDER: holder, OBLIGOR: obligor}, **values)
        return replace(unit, proofs=(*unit.proofs, proof))
