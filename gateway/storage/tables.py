"""The tables of the gateway. Every key starts with the registry: one authority is one chain, one seal, one tenant.

`VIEWS` names the views: folds of the ledger's effects, which may be dropped and rebuilt to the same digests.
`file` is not one, for the ledger names its bytes by digest, nor is `rehearsal_count`, for rehearsals have no entry, nor
are `file_claim` and `file_claims_read`, which are read out of the evidence (storage/claims.py), nor is `sealed_answer`,
for a statement changes no right and has no entry.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

_REGISTRY = String(64)
_DIGEST = String(64)  # hex SHA-256

unit = Table(
    "unit",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("unit_code", String(28), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

right = Table(
    "right",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("right_id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("booked_index", BigInteger, nullable=False),
    Column("ended_index", BigInteger),
    Column("ended", LargeBinary),
)

unit_right = Table(
    "unit_right",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("unit_code", String(28), primary_key=True),
    Column("right_id", String(64), primary_key=True),
    Column("live", Boolean, nullable=False),
)

application = Table(
    "application",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("application_id", String(36), primary_key=True),
    Column("state", String(24), nullable=False),
    Column("submitted_index", BigInteger, nullable=False),
    Column(
        "case_id", String(128), nullable=False
    ),  # of the first phase of its case: its own for a first phase
    Column("case_number", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("application_by_state", "registry", "state", "submitted_index"),
    Index("application_by_submission", "registry", "submitted_index"),
    Index("application_by_case", "registry", "case_id"),
    Index("application_by_number", "registry", "case_number"),
)

application_institution = Table(
    "application_institution",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("institution", String(18), primary_key=True),
    Column("submitted_index", BigInteger, primary_key=True),
    Column("application_id", String(36), nullable=False),
)

#: Every application on a unit, in any state; `open_case` has those that hold a place only.
application_unit = Table(
    "application_unit",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("unit_code", String(28), primary_key=True),
    Column("submitted_index", BigInteger, primary_key=True),
    Column("application_id", String(36), nullable=False),
)

open_case = Table(
    "open_case",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("unit_code", String(28), primary_key=True),
    Column("application_id", String(36), primary_key=True),
    Column("accepted_index", BigInteger, nullable=False),
    Column("rights", String(512), nullable=False),
    Column("is_open", Boolean, nullable=False),
)

#: Booked phases that left an old mortgage to be paid off and released, until it was found gone.
payoff_watch = Table(
    "payoff_watch",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("application_id", String(36), primary_key=True),
    Column("until", String(32), nullable=False),
    Column("is_open", Boolean, nullable=False),
)

request = Table(
    "request",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("institution", String(64), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("payload_sha256", _DIGEST, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
    Column("application_id", String(36), nullable=False),
    Index("request_by_entry", "registry", "entry_index"),
    Index("request_by_application", "registry", "application_id", "entry_index"),
)

paper = Table(
    "paper",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("sha256", _DIGEST, primary_key=True),
    Column("application_id", String(36), nullable=False),
    Column("is_open", Boolean, nullable=False),
)

#: Applications whose evidence was erased, and the files that go with it (JSON of ErasedFile).
erasure = Table(
    "erasure",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("application_id", String(36), primary_key=True),
    Column("entry_index", BigInteger, nullable=False),
    Column("ground", String(16), nullable=False),
    Column("files", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False),
)

certificate = Table(
    "certificate",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("identifier", String(128), primary_key=True),
    Column("number", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("state", String(12), nullable=False),
    Column("entry_index", BigInteger, nullable=False),
    Column("part", String(32), nullable=False),
    Column("right_id", String(64), nullable=False),
    Column("application_id", String(36), nullable=False),
    Column("institutions", String(512), nullable=False),
    Column("pdf_sha256", _DIGEST),
    Column("size_bytes", BigInteger),
    Column("sealed_at", String(32)),
    Column("seal_key_id", String(64)),
    Column("national_key_id", String(64)),  # of the second seal, where there is one
    Column("ended_at", String(32)),
    Column("ended_case", String(32)),
    Index("certificate_by_number", "registry", "number"),
    Index("certificate_by_state", "registry", "state", "entry_index"),
    Index("certificate_by_booking", "registry", "entry_index", "part"),
    Index("certificate_by_right", "registry", "right_id"),
    Index("certificate_by_pdf", "pdf_sha256", "registry"),
)

event = Table(
    "event",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("institution", String(18), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("entry_index", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("application_id", String(36), nullable=False),
    Column("state", String(24), nullable=False),
    Column("at", String(32), nullable=False),
    Column("certificate", String(128), nullable=False),
    Column("unit_code", String(28), nullable=False),
    Column("case_number", String(32), nullable=False),
)

counter = Table(
    "counter",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("name", String(96), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

institution = Table(
    "institution",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("uscc", String(18), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

registrar = Table(
    "registrar",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("registrar_id", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

#: Profile, rule set, trust (as an operator's act set it) and operators: the value in force, by name.
setting = Table(
    "setting",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
)

#: Evidence of revocation that was noted since the trust was set (kind CRL or OCSP; AUTHORITY: who signed it), a row
#: each, and marks of what the operator's act had set and is in force no longer (GONE, without DER). In force are what
#: the act set, without those, and then these, by entry and place.
trust_evidence = Table(
    "trust_evidence",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("kind", String(9), primary_key=True),
    Column("sha256", _DIGEST, primary_key=True),
    Column("entry_index", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("standing", Boolean, nullable=False),
    Column("der", LargeBinary),
)

#: Every version of profile and rule set, by the entry that set it: decisions keep the versions they were made under.
setting_version = Table(
    "setting_version",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("entry_index", BigInteger, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

#: Looks into the register that found something. `subject` is a keyed hash of what was looked at.
look = Table(
    "look",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("entry_index", BigInteger, primary_key=True),
    Column("query", String(16), nullable=False),
    Column("caller_kind", String(16), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("basis", String(32), nullable=False),
    Column("subject", _DIGEST, nullable=False),
    Column("number", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Index("look_by_subject", "registry", "subject", "entry_index"),
)

#: Whose rights are whose, for a search by person: a keyed hash of the identity number, never the number.
person_right = Table(
    "person_right",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("person", _DIGEST, primary_key=True),
    Column("right_id", String(64), primary_key=True),
    Column("role", String(24), nullable=False),
    Column("live", Boolean, nullable=False),
)

#: Where the counter's feed stands: one row, named `counter`.
feed = Table(
    "feed",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
)

#: Acts of the feed by their number; `held` is the act while it waits for a hole to be closed.
feed_act = Table(
    "feed_act",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("payload_sha256", _DIGEST, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
    Column("applied_index", BigInteger),
    Column("held", LargeBinary),
)

#: Cases of the counter, open and ended.
counter_case = Table(
    "counter_case",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("case_number", String(32), primary_key=True),
    Column("is_open", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("entry_index", BigInteger, nullable=False),
)

#: Which lender was told of which seizure, when, and when it had read that.
notification = Table(
    "notification",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("right_id", String(64), primary_key=True),
    Column("institution", String(18), primary_key=True),
    Column("unit_code", String(28), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("told_at", String(32), nullable=False),
    Column("maximum_amount", Boolean, nullable=False),
    Column("read_at", String(32)),
    Index("notification_by_institution", "registry", "institution", "read_at", "sequence"),
    Index("notification_by_unit", "registry", "unit_code"),
)

VIEWS: tuple[Table, ...] = (
    unit,
    right,
    unit_right,
    application,
    application_institution,
    application_unit,
    open_case,
    payoff_watch,
    request,
    paper,
    erasure,
    certificate,
    event,
    counter,
    institution,
    registrar,
    setting,
    trust_evidence,
    setting_version,
    look,
    person_right,
    feed,
    feed_act,
    counter_case,
    notification,
)

#: Uploaded files: the uploader's name space, the check's verdict. Bytes lie in the file store, by digest.
file = Table(
    "file",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("institution", String(64), primary_key=True),
    Column("sha256", _DIGEST, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String(64), nullable=False),
    Column("uploaded_at", String(32), nullable=False),
    Column("pages", Integer, nullable=False),
    Column("verdict", LargeBinary, nullable=False),
    Index("file_by_digest", "sha256"),
)

#: Which applications name which files, whoever uploaded them.
file_claim = Table(
    "file_claim",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("sha256", _DIGEST, primary_key=True),
    Column("application_id", String(36), primary_key=True),
    Column("entry_index", BigInteger, nullable=False),  # of the last act that names it
    Index("file_claim_by_application", "registry", "application_id"),
)

#: How many entries of a registry have been read for `file_claim`.
file_claims_read = Table(
    "file_claims_read",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("size", BigInteger, nullable=False),
)

#: Rehearsals (validate_only) of the newest day in China on which there were any, per institution (USCC).
rehearsal_count = Table(
    "rehearsal_count",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("institution", String(64), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("taken", Integer, nullable=False),
)

#: Statements and extracts that were sealed, and by which keys (storage/answers.py).
sealed_answer = Table(
    "sealed_answer",
    metadata,
    Column("registry", _REGISTRY, primary_key=True),
    Column("sha256", _DIGEST, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("asked_by", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("entry_index", BigInteger, nullable=False),
    Column("seal_key_id", _DIGEST, nullable=False),
    Column("national_key_id", String(64), nullable=False),  # empty without a national seal
    Column("sealed_at", String(32), nullable=False),
    Column("stamped", Boolean, nullable=False),
    Index("sealed_answer_by_time", "registry", "sealed_at", "sha256"),
)
