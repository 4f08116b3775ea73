"""Good rows of a register file, one of each table, and how a test imports them."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from typing import Any

from gateway.register.import_layout import COLUMNS
from gateway.register.importing import ImportResult, parse_register_csv
from gateway.register.sample_parties import BANK_A
from tests.support.register_state import NOW

CODE = "320281001001GB00001F00010101"
OTHER = "320281001001GB00001F00010102"
ID_NUMBER = "999999199003071234"

OWNERSHIP = {
    "TABLE": "QLT_FW_FDCQ_YZ",
    "BDCDYH": CODE,
    "YWH": "L1",
    "DJSJ": "2020-03-02 10:00:00",
    "DBR": "登记员甲",
    "ZL": "江阴市示范一路9号1幢0101室",
    "JZMJ": "89.53",
    "QLR": "沈知夏",
    "ZJZL": "1",
    "ZJH": ID_NUMBER,
    "GYFS": "0",
    "BDCQZH": "苏(2020)江阴市不动产权第0000001号",
    "FDCJYJG": "238.123456",
}
MORTGAGE = {
    "TABLE": "QLF_QL_DYAQ",
    "BDCDYH": CODE,
    "YWH": "L2",
    "DJSJ": "2023-05-09 14:30:00",
    "DBR": "登记员甲",
    "QLR": BANK_A.name,
    "ZJZL": "7",
    "ZJH": BANK_A.id_number,
    "DYR": "沈知夏",
    "DYRZJZL": "1",
    "DYRZJH": ID_NUMBER,
    "ZWR": "沈知夏",
    "ZWRZJZL": "1",
    "ZWRZJH": ID_NUMBER,
    "BDCDJZMH": "苏(2023)江阴市不动产证明第0000001号",
    "DYFS": "1",
    "BDBZZQSE": "80.000001",
    "ZWLXQSSJ": "2023-05-09",
    "ZWLXJSSJ": "2043-05-08",
    "SFCZJZHXZ": "0",
    "DYQSW": "1",
}
SEIZURE = {
    "TABLE": "QLF_QL_CFDJ",
    "BDCDYH": CODE,
    "YWH": "L3",
    "DJSJ": "2025-04-01 16:00:00",
    "DBR": "登记员甲",
    "YWR": "沈知夏",
    "YWRZJZL": "1",
    "YWRZJH": ID_NUMBER,
    "CFJG": "示例市人民法院",
    "CFLX": "1",
    "CFWH": "(2025)示0000执1号",
    "SDSJ": "2025-04-01 09:30:00",
    "CFJSSJ": "2028-03-31",
}
PRE_NOTICE = {
    "TABLE": "QLF_QL_YGDJ",
    "BDCDYH": CODE,
    "YWH": "L4",
    "DJSJ": "2025-11-03 09:20:00",
    "DBR": "登记员甲",
    "QLR": "顾景行",
    "ZJZL": "3",
    "ZJH": "E12345678",
    "YWR": "沈知夏",
    "YWRZJZL": "1",
    "YWRZJH": ID_NUMBER,
    "BDCDJZMH": "苏(2025)江阴市不动产证明第0000002号",
    "YGDJZL": "2",
    "QDJG": "238",
    "JYHTH": "示合000001",
    "KDJRQ": "2027-06-30",
}


def import_rows(rows: Sequence[dict[str, str]], **options: Any) -> ImportResult:
    """Import rows as the jiangyin registry."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return parse(stream.getvalue(), **options)


def parse(text: str, **options: Any) -> ImportResult:
    """Import the text of a file as the jiangyin registry."""
    numbers = itertools.count(1)
    values: dict[str, Any] = {
        "registry": "jiangyin",
        "county_codes": ("320281",),
        "now": NOW,
        "new_id": lambda: f"r{next(numbers)}",
    }
    return parse_register_csv(io.StringIO(text, newline=""), **(values | options))


def faults(result: ImportResult) -> list[tuple[int, str]]:
    """Line and field of every problem."""
    return [(p.line, p.field) for p in result.problems]
