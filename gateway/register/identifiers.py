"""Identifiers of the field, brought to one spelling and checked.

Units, persons, institutions, certificates and cases. Every function takes text as people write it
(full-width, spaces, lower case) and returns the canonical text, or raises `IdentifierError`, which
names the rule broken and the way out. No message repeats the number of a natural person.

Sources: GB/T 37346-2019 (unit code), GB 32100-2015 (unified social credit code), GB 11643 (citizen
number), GB/T 36904 with GB/T 17710 (e-certificate identifier), handbook 4.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache

from msgspec.structs import replace

from gateway.register.model import IdKind, Party, Value

#: Longest identity number of a kind without a fixed form (passports, permits).
OPAQUE_NUMBER_CHARACTERS_MAX = 50

_UNIT_CODE = re.compile(
    r"(?P<county>[0-9]{6})[0-9]{6}[GJZ][A-Z][0-9]{5}(?P<fixture>[FLQW])(?P<number>[0-9]{8})"
)
_UNIT_CODE_LENGTH = 28

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # no I O S V Z
_USCC_VALUES = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}")
_USCC_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_CERTIFICATE_NUMBER = re.compile(
    rf"(?P<province>[{_PROVINCES}])\((?P<year>[0-9]{{4}})\)(?P<place>[^()]{{2,20}}?)"
    r"不动产(?P<kind>权|证明)第(?P<serial>[0-9]{1,10})号"
)
_WORD_OF_KIND = {"TITLE": "权", "PROOF": "证明", "权": "权", "证明": "证明"}
_KIND_OF_WORD = {"权": "TITLE", "证明": "PROOF"}
_SERIAL_DIGITS = 7
_NUMBER_STANDARD = "国土资发〔2015〕25号"  # the forms of certificates and how to fill them (from memory)
_QUOTED_MAX = 60  # characters of a bad number that a message repeats

_IDENTIFIER_ROOT = "1.2.156.3005.2"
_TYPE_CODES = {"TITLE": "11100000MB03271699001", "PROOF": "11100000MB03271699022"}
_MOD_37_36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MOD_37_36_VALUES = {character: value for value, character in enumerate(_MOD_37_36)}
_IDENTIFIER = re.compile(
    r"1\.2\.156\.3005\.2\.(?P<type>[0-9A-Z]{21})\.(?P<issuer>[0-9A-Z]{1,30})\.(?P<serial>[0-9A-Z]{1,40})"
    r"\.(?P<version>[0-9]{3})\.(?P<check>[0-9A-Z])"
)


class IdentifierError(ValueError):
    """An identifier breaks its standard.

    `rule` is UPPER_SNAKE and stable. `zh` and `en` say what is wrong, by which standard, and the
    way out; `cure_zh` and `cure` are the way out alone.
    """

    reason = "IDENTIFIER_MALFORMED"

    def __init__(self, rule: str, standard: str, zh: str, en: str, cure_zh: str, cure: str) -> None:
        """`zh` and `en` without the standard and the cure, which are appended."""
        super().__init__(f"{en} ({standard}); {cure}")
        self.rule = rule
        self.standard = standard
        self.zh = f"{zh}（{standard}）；{cure_zh}"
        self.en = f"{en} ({standard}); {cure}"
        self.cure_zh = cure_zh
        self.cure = cure


class CertificateNumber(Value, frozen=True, kw_only=True):
    """The parts of a national certificate number (handbook 4.2).

    `kind` is TITLE (权) or PROOF (证明). `serial` keeps its digits as printed: shorter ones than
    seven occur in old data.
    """

    province: str
    year: int
    place: str
    kind: str
    serial: str

    @property
    def text(self) -> str:
        """The number in its canonical spelling."""
        word = _WORD_OF_KIND[self.kind]
        return f"{self.province}({self.year:04d}){self.place}不动产{word}第{self.serial}号"


class CertificateIdentifier(Value, frozen=True, kw_only=True):
    """The parts of an e-certificate identifier 证照标识 (GB/T 36904)."""

    type_code: str
    issuer: str
    serial: str
    version: int

    @property
    def kind(self) -> str:
        """TITLE, PROOF, or "" when the type code is of no real-estate certificate."""
        return next((kind for kind, code in _TYPE_CODES.items() if code == self.type_code), "")

    @property
    def text(self) -> str:
        """The identifier with its check character."""
        parts = (self.type_code, self.issuer, self.serial, f"{self.version:03d}")
        return ".".join((_IDENTIFIER_ROOT, *parts, mod_37_36("".join(parts))))


def compact(text: str) -> str:
    """NFKC without any white space: full-width digits, letters and brackets become ASCII."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def normalise_unit_code(text: str) -> str:
    """The 28 characters of a unit code 不动产单元代码 (GB/T 37346-2019).

    The spaces of its printed groups go. Fixture W 无定着物 goes with number 00000000 and no other
    fixture does.
    """
    code = compact(text).upper()
    if len(code) != _UNIT_CODE_LENGTH:
        raise _unit_code_error(
            "UNIT_CODE_LENGTH",
            f"不动产单元代码应为28位，收到{len(code)}位",
            f"a unit code has 28 characters, not {len(code)}",
        )
    match = _UNIT_CODE.fullmatch(code)
    if match is None:
        raise _unit_code_error(
            "UNIT_CODE_FORM",
            f"不动产单元代码 {code} 的分段不符合标准",
            f"unit code {code} does not have the segments of the standard",
        )
    if (match["fixture"] == "W") != (match["number"] == "00000000"):
        raise _unit_code_error(
            "UNIT_CODE_FIXTURE",
            f"不动产单元代码 {code} 的定着物特征码与定着物单元号不一致：仅W对应八个零",
            f"unit code {code}: fixture W goes with eight zeros, and only W does",
        )
    return code


def county_of(unit_code: str) -> str:
    """County code (GB/T 2260) of a canonical unit code; it decides jurisdiction (IR 7)."""
    return unit_code[:6]


@lru_cache(maxsize=4096)  # the same few institutions are named in every request
def normalise_uscc(text: str) -> str:
    """A unified social credit code 统一社会信用代码, its check character verified (GB 32100-2015).

    Registering departments and kinds may be letters (A, N, Y …).
    """
    code = compact(text).upper()
    if not _USCC.fullmatch(code):
        raise IdentifierError(
            "USCC_FORM",
            "GB 32100-2015",
            "统一社会信用代码应为18位，第3至8位为数字，且不含字母 I、O、S、V、Z",
            "a unified social credit code has 18 characters, digits at 3 to 8, no I, O, S, V or Z",
            "请按营业执照核对",
            "check it against the licence",
        )
    if uscc_check(code[:17]) != code[17]:
        raise IdentifierError(
            "USCC_CHECK",
            "GB 32100-2015",
            f"统一社会信用代码 {code} 的校验码不正确",
            f"the check character of unified social credit code {code} is wrong",
            "请按营业执照核对",
            "check it against the licence",
        )
    return code


def uscc_check(body: str) -> str:
    """The 18th character of a unified social credit code whose first 17 are `body`."""
    total = sum(_USCC_VALUES[c] * w for c, w in zip(body, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[-total % 31]


def normalise_citizen_id(text: str) -> str:
    """A citizen identity number 公民身份号码 as 18 characters (GB 11643).

    Fifteen digits get the century 19 and the check digit. The region is not looked up: regions are
    renamed and merged.
    """
    number = compact(text).upper()
    if re.fullmatch(r"[0-9]{15}", number):
        body = number[:6] + "19" + number[6:]
        number = body + citizen_check(body)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        raise _citizen_error(
            "CITIZEN_ID_FORM",
            "公民身份号码应为18位或者15位",
            "a citizen identity number has 18 or 15 characters",
        )
    try:
        birth_date(number)
    except ValueError:
        raise _citizen_error(
            "CITIZEN_ID_BIRTH_DATE",
            "公民身份号码中的出生日期不存在",
            "the birth date in the citizen identity number does not exist",
        ) from None
    if citizen_check(number[:17]) != number[17]:
        raise _citizen_error(
            "CITIZEN_ID_CHECK",
            "公民身份号码的校验码不正确",
            "the check digit of the citizen identity number is wrong",
        )
    return number


def citizen_check(body: str) -> str:
    """The 18th character of a citizen identity number whose first 17 digits are `body`."""
    total = sum(int(c) * w for c, w in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_CHECKS[total % 11]


def birth_date(citizen_id: str) -> dt.date:
    """Birth date in an 18-character citizen number. Raises ValueError when there is no such day."""
    return dt.date(int(citizen_id[6:10]), int(citizen_id[10:12]), int(citizen_id[12:14]))


def canonical_party(party: Party) -> Party:
    """The party with its number (and its guardian's) in canonical spelling, so that keys compare.

    Only the resident identity card and the unified social credit code carry a check (handbook 3.1).
    Raises IdentifierError.
    """
    guardian = canonical_party(party.guardian) if party.guardian else None
    return replace(party, id_number=_canonical_number(party.id_kind, party.id_number), guardian=guardian)


def parse_certificate_number(text: str) -> CertificateNumber:
    """The parts of a national certificate number 不动产权证书号 / 不动产登记证明号 (handbook 4.2).

    Old papers (房产证, 房他证, 土地证) follow no pattern: they are LEGACY, never passed here.
    """
    match = _CERTIFICATE_NUMBER.fullmatch(compact(text))
    if match is None:
        raise IdentifierError(
            "CERTIFICATE_NUMBER_FORM",
            _NUMBER_STANDARD,
            f"“{text.strip()[:_QUOTED_MAX]}”不是不动产权证书号或者不动产登记证明号",
            f"“{text.strip()[:_QUOTED_MAX]}” is no national certificate number",
            "请按“苏(2023)江阴市不动产权第0012345号”的样式填写，旧版证书请注明为旧证",
            "write it like 苏(2023)江阴市不动产权第0012345号, or name it a LEGACY certificate",
        )
    return CertificateNumber(
        province=match["province"],
        year=int(match["year"]),
        place=match["place"],
        kind=_KIND_OF_WORD[match["kind"]],
        serial=match["serial"],
    )


def normalise_certificate_number(text: str) -> str:
    """A national certificate number in canonical spelling; the serial keeps its digits."""
    return parse_certificate_number(text).text


def same_certificate_number(one: str, other: str) -> bool:
    """Whether two numbers, national or legacy, are the same but for width and spaces."""
    return compact(one) == compact(other)


def format_certificate_number(province: str, year: int, place: str, kind: str, serial: int) -> str:
    """A number as we issue it, seven digits. `kind` is TITLE or 权, PROOF or 证明.

    Raises IdentifierError when the parts make no good number (handbook 4.2: seven digits by rule).
    """
    if not 0 < serial < 10**_SERIAL_DIGITS:
        raise IdentifierError(
            "CERTIFICATE_SERIAL_RANGE",
            _NUMBER_STANDARD,
            f"证书流水号 {serial} 超出七位",
            f"certificate serial {serial} does not fit seven digits",
            "请核对本地本年度的流水号",
            "check the counter of this place and year",
        )
    word = _WORD_OF_KIND[kind]
    return normalise_certificate_number(
        f"{province}({year:04d}){place}不动产{word}第{serial:0{_SERIAL_DIGITS}d}号"
    )


def make_certificate_identifier(kind: str, issuer: str, serial: str, version: int = 1) -> str:
    """An e-certificate identifier of ours (GB/T 36904).

    `kind` is TITLE or PROOF, `issuer` the authority's code, `serial` letters and digits.
    """
    identifier = CertificateIdentifier(
        type_code=_TYPE_CODES[kind], issuer=issuer, serial=serial, version=version
    ).text
    if not _IDENTIFIER.fullmatch(identifier):
        raise _identifier_error(
            "CERTIFICATE_IDENTIFIER_FORM",
            "证照标识的分段不符合标准",
            "the identifier lacks the segments of the standard",
        )
    return identifier


def parse_certificate_identifier(text: str) -> CertificateIdentifier:
    """The parts of an e-certificate identifier, its check verified (GB/T 17710 MOD 37,36)."""
    identifier = compact(text).upper()
    match = _IDENTIFIER.fullmatch(identifier)
    if match is None:
        raise _identifier_error(
            "CERTIFICATE_IDENTIFIER_FORM",
            "证照标识的分段不符合标准",
            "the identifier lacks the segments of the standard",
        )
    body = match["type"] + match["issuer"] + match["serial"] + match["version"]
    if mod_37_36(body) != match["check"]:
        raise _identifier_error(
            "CERTIFICATE_IDENTIFIER_CHECK",
            "证照标识的校验码不正确",
            "the identifier's check character is wrong",
        )
    return CertificateIdentifier(
        type_code=match["type"],
        issuer=match["issuer"],
        serial=match["serial"],
        version=int(match["version"]),
    )


def mod_37_36(body: str) -> str:
    """Check character by ISO 7064 MOD 37,36 (GB/T 17710) over upper-case letters and digits."""
    product = 36
    for character in body:
        product = ((product + _MOD_37_36_VALUES[character]) % 36 or 36) * 2 % 37
    return _MOD_37_36[(1 - product) % 36]


def format_case_number(day: dt.date, county_code: str, serial: int) -> str:
    """A case number 业务号: YYYYMMDD, county, eight digits. No national form exists."""
    if not 0 < serial < 10**8 or not re.fullmatch(r"[0-9]{6}", county_code):
        raise ValueError(
            f"case number: county {county_code!r} needs six digits, serial {serial} 1 to 99999999"
        )
    return f"{day:%Y%m%d}{county_code}{serial:08d}"


def mask(number: str) -> str:
    """An identity number fit for a report: its ends only (PIPL; handbook 12.13)."""
    return number if len(number) <= 4 else number[:2] + "*" * (len(number) - 4) + number[-2:]


def _canonical_number(kind: IdKind, number: str) -> str:
    if kind is IdKind.RESIDENT_ID:
        return normalise_citizen_id(number)
    if kind is IdKind.USCC:
        return normalise_uscc(number)
    canonical = compact(number).upper()
    if kind is IdKind.ORG_CODE:
        canonical = canonical.replace("-", "")
    if not 0 < len(canonical) <= OPAQUE_NUMBER_CHARACTERS_MAX:
        raise IdentifierError(
            "ID_NUMBER_MISSING",
            "IR 16(2)",
            f"证件号码为空或者超过{OPAQUE_NUMBER_CHARACTERS_MAX}个字符",
            f"an identity number has 1 to {OPAQUE_NUMBER_CHARACTERS_MAX} characters",
            "请填写证件上的号码",
            "give the number on the document",
        )
    return canonical


def _unit_code_error(rule: str, zh: str, en: str) -> IdentifierError:
    return IdentifierError(
        rule,
        "GB/T 37346-2019",
        zh,
        en,
        "请按权属证书上的不动产单元号核对",
        "check it against the unit code on the title",
    )


def _citizen_error(rule: str, zh: str, en: str) -> IdentifierError:
    return IdentifierError(
        rule, "GB 11643", zh, en, "请按居民身份证核对", "check it against the identity card"
    )


def _identifier_error(rule: str, zh: str, en: str) -> IdentifierError:
    return IdentifierError(rule, "GB/T 36904", zh, en, "请按证照原文核对", "check it against the certificate")
