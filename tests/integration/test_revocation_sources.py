"""Sources of revocation evidence pulled away from a gateway that runs: a responder of openssl, lists over HTTP.

The bank's certificate is below an anchor of its own, whose policy demands to know; everybody else is as ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.app import utc_now
from gateway.audit.evidence import EvidenceReport, audit_evidence
from gateway.cases.effects import RevocationNoted, decode_effects
from gateway.pb.diya.v1 import (
    admin_acts_pb2,
    admin_service_pb2,
    admin_service_pb2_grpc,
    authority_pb2,
)
from gateway.storage.engine import auditor_engine
from gateway.telemetry import metrics
from signing.authority import Credential
from signing.errors import CertificateRevoked
from signing.pki import DevelopmentPKI
from signing.trust import Purpose, WatchedLink
from tests.support.ocsp import answer
from tests.support.openssl_ca import OpensslAuthority, needs_openssl
from tests.support.pki import BUYER_ID
from tests.support.serving import served
from tests.support.signed_papers import paper
from tests.support.spine import header, signed
from tests.support.stage import INSTITUTIONS, Town, town_of
from tests.support.wire import Refused, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_openssl]

#: Rounds at once, and a source that is down tried again at once.
QUICK = {
    "revocation_look_seconds": 0.02,
    "revocation_retry_seconds": 0.02,
    "revocation_retry_seconds_max": 0.05,
    "revocation_timeout_seconds": 5.0,
}
HOUR = 3600.0
GRACE_HOURS = 2
UNKNOWN = "CERTIFICATE_REVOCATION_UNKNOWN"


class Lists:
    """An HTTP server of lists, which can be taken away and come back on the same port."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.port = 0

    def url(self, name: str) -> str:
        """Address of a list."""
        return f"http://127.0.0.1:{self.port}/{name}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = files.get(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = server.server_port
        with served(server):
            yield


class Below:
    """An anchor of its own for institutions, with the bank's registered key certified below it; or for persons."""

    def __init__(self, town: Town, folder: Path, purpose: Purpose = Purpose.INSTITUTION) -> None:
        self.purpose = purpose
        self.pki = DevelopmentPKI.create(utc_now().replace(microsecond=0))
        self.anchor = self.pki.anchors[purpose]
        self.issuer = self.pki.issuing[purpose]
        party = INSTITUTIONS["bank-a"]
        key = town.key("bank-a").private_key
        self.bank: Credential = (
            self.pki.issue_institution(party.id_number, party.name, key=key)
            if purpose is Purpose.INSTITUTION
            else self.pki.issue_person(BUYER_ID, "乙测试")
        )
        self.responder = OpensslAuthority(folder / "issuer", self.issuer)
        self.responder.record(self.bank)
        self.lister = OpensslAuthority(folder / "anchor", self.anchor)
        self.label = self.anchor.credential.certificate.fingerprint[:16]

    async def set(
        self, town: Town, lists: Lists, *, crl_urls: list[str] | None = None, **changes: Any
    ) -> None:
        """The operator sets anchor and policy beside those that are there."""
        known = town.gateway.sequencer.settings("jiangyin").trust
        assert known is not None
        policy = authority_pb2.AnchorPolicy(
            anchor_sha256=bytes.fromhex(self.anchor.credential.certificate.fingerprint),
            revocation_required=True,
            grace_hours=GRACE_HOURS,
            crl_urls=[lists.url("anchor.crl")] if crl_urls is None else crl_urls,
            ocsp_urls=[self.responder.url],
        )
        others = [der for der in known.now.anchors[self.purpose.value] if der != self.anchor.der]
        await (await town.operator()).set_trust(
            [
                authority_pb2.TrustSet(
                    purpose=authority_pb2.TrustPurpose.Value(f"TRUST_PURPOSE_{self.purpose.value}"),
                    anchors=[*others, self.anchor.der],
                    policies=[policy],
                    **changes,
                )
            ]
        )

    async def submit(self, town: Town) -> Any:
        """A mortgage of the bank, signed with its certificate below the anchor; the outcome."""
        filing = town.mortgage()
        return await filing.send(filing.request(filing.envelope(by=self.bank)))

    async def refused(self, town: Town, reason: str) -> Refused:
        """The same, refused."""
        return await town.told(lambda: self.submit(town), reason, "UNAUTHENTICATED")

    def is_spoken_for(self, town: Town) -> bool:
        """Whether evidence about the certificate has come that speaks now."""
        link = WatchedLink(self.purpose, "", self.bank.certificate, self.issuer.credential.certificate)
        ends = [one.until for one in town.gateway.trust("jiangyin").evidence(link)]
        return any(end is not None and end > town.clock() for end in ends)

    async def taken(self, town: Town) -> None:
        """What is fetched beside the request comes, and the request is taken."""
        await until(lambda: self.is_spoken_for(town))
        await self.submit(town)


def sample(name: str, **labels: str) -> float:
    """A sample of this process's metrics; 0 where there is none."""
    return metrics.collectors.get_sample_value(name, labels) or 0.0


def audited(town: Town) -> EvidenceReport:
    """What the auditor says of the evidence, with nothing but the stored ledger."""
    engine = auditor_engine(town.gateway.config.storage.database)
    try:
        files = town.gateway.config.storage.files
        return audit_evidence(engine, town.gateway.ledger, "jiangyin", files, lambda _d, _t: None)
    finally:
        engine.dispose()


async def test_sources_pulled_away_and_back(
    own_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """First use waits for the responder; then its answer stands to its end, then the grace, then nothing, until it is
    back. Each change is logged once, and what was entered can be judged again without any source.
    """
    lists = Lists()
    caplog.set_level(logging.INFO, "gateway.rounds.revocation_watch")
    async with town_of(own_folder, **QUICK) as town:
        below = Below(town, tmp_path)
        lists.files["anchor.crl"] = below.lister.make_crl("-crldays", "30")
        with lists.serving():
            await below.set(town, lists)
            # Nobody answers yet: refused with the way out, and marked as worth another try.
            refused = await below.refused(town, UNKNOWN)
            assert below.responder.url in refused.message
            assert refused.metadata["indication"] == "INDETERMINATE"
            assert refused.metadata["subIndication"] == "TRY_LATER"
            assert refused.retry_seconds
            labels = {"registry": "jiangyin", "anchor": below.label}
            await until(lambda: sample("diya_revocation_sources_down", **labels) == 1)
            with below.responder.serving("-nmin", "60", "-rmd", "sha256"):
                await below.taken(town)
            failed = sample("diya_revocation_failed_total", **labels)
            # The answer is still good when it is due again, and the responder is away.
            town.clock.move(0.9 * HOUR)
            await until(lambda: sample("diya_revocation_failed_total", **labels) > failed)
            assert sample("diya_revocation_sources_down", **labels) == 1
            assert sample("diya_revocation_grace_total", anchor=below.label) == 0
            await below.submit(town)
            assert sample("diya_revocation_grace_total", anchor=below.label) == 0
            town.clock.move(0.5 * HOUR)
            for _ in range(2):
                await below.submit(town)
            assert sample("diya_revocation_grace_total", anchor=below.label) >= 2
            town.clock.move(2 * HOUR)
            refused = await below.refused(town, UNKNOWN)
            assert f"{GRACE_HOURS}:00:00" in refused.message
            with below.responder.serving("-nmin", "1440", "-rmd", "sha256"):
                await below.taken(town)
            await until(lambda: sample("diya_revocation_sources_down", **labels) == 0)
        for words, times in (
            (f"revocation source {below.responder.url} is down", 2),  # before it came, and when it went
            (f"revocation source {below.responder.url} answers again", 2),
            (f"evidence below anchor {below.label} has ended", 1),
        ):
            assert sum(words in record.getMessage() for record in caplog.records) == times, words
        report = audited(town)
        assert report.divergences == []


async def test_revoked_later_and_judged_as_of_then(own_folder: Path, tmp_path: Path) -> None:
    """What was signed before a revocation holds for ever, as of then; what comes after does not. No source is left."""
    lists = Lists()
    async with town_of(own_folder, **QUICK) as town:
        below = Below(town, tmp_path)
        lists.files["anchor.crl"] = below.lister.make_crl("-crldays", "30")
        with lists.serving():
            await below.set(town, lists)
            with below.responder.serving("-nmin", "60", "-rmd", "sha256"):
                await below.refused(town, UNKNOWN)  # now it is known about whom to ask
                await below.taken(town)
            held = town.gateway.trust("jiangyin")
            signed_at = town.clock()
            below.responder.record(below.bank, revoked_at=utc_now())
            town.clock.move(0.9 * HOUR)
            with below.responder.serving("-nmin", "1440", "-rmd", "sha256"):
                await until(lambda: not _holds(town, below))
                refused = await below.refused(town, "CERTIFICATE_REVOKED")
        assert refused.metadata["subIndication"] == "REVOKED_NO_POE"
        # Every source is gone; the auditor has the stored ledger alone.
        report = audited(town)
        assert report.divergences == []
        assert report.signatures > 2
        noted = [effect for effect in _effects(town) if isinstance(effect, RevocationNoted)]
        assert sum(len(one.ocsp) for one in noted) >= 2
        assert sum(len(one.crls) for one in noted) == 1
        assert sum(len(one.superseded) for one in noted) >= 1
        now_trusts = town.gateway.trust("jiangyin")
        leaf, extra = below.bank.certificate, [below.issuer.credential.certificate]
        held.check_chain(leaf, extra, Purpose.INSTITUTION, signed_at)
        with pytest.raises(CertificateRevoked):
            now_trusts.check_chain(leaf, extra, Purpose.INSTITUTION, town.clock())
        assert now_trusts.digest() != held.digest()
        assert now_trusts.is_revoked(below.issuer.credential.certificate.key_id, leaf.serial, utc_now())
        clock = town.clock
    # A gateway that starts anew knows it from its ledger alone, and the views are folds of it.
    async with town_of(own_folder, clock=clock, **QUICK) as town:
        await below.refused(town, "CERTIFICATE_REVOKED")
        assert audited(town).divergences == []


async def test_list_comes_again_with_its_anchor(own_folder: Path, tmp_path: Path) -> None:
    """An authority that is taken away and brought back has its revocations back, though its list is the same."""
    lists = Lists()
    async with town_of(own_folder, **QUICK) as town:
        below = Below(town, tmp_path)
        lists.files["anchor.crl"] = below.lister.make_crl("-crldays", "30")

        def is_there() -> bool:
            return lists.files["anchor.crl"] in town.gateway.trust("jiangyin").crls

        with lists.serving():
            await below.set(town, lists)
            await until(is_there)
            known = town.gateway.sequencer.settings("jiangyin").trust
            assert known is not None
            others = [der for der in known.now.anchors["INSTITUTION"] if der != below.anchor.der]
            without = authority_pb2.TrustSet(purpose=authority_pb2.TRUST_PURPOSE_INSTITUTION, anchors=others)
            await (await town.operator()).set_trust([without])
            assert not is_there()
            await below.set(town, lists)
            await until(is_there)
        assert audited(town).divergences == []


def _holds(town: Town, below: Below) -> bool:
    key_id = below.issuer.credential.certificate.key_id
    return not town.gateway.trust("jiangyin").is_revoked(key_id, below.bank.certificate.serial, town.clock())


def _effects(town: Town) -> list[Any]:
    found: list[Any] = []
    with town.gateway._reader.begin() as connection:
        parts = town.gateway.ledger.iterate_part(connection, "jiangyin", "effects", 0, 10_000, skip_lost=True)
        for part in parts:
            found += decode_effects(part.content)
    return found


async def test_signer_of_a_file_is_asked_about_too(own_folder: Path, tmp_path: Path) -> None:
    """A citizen's certificate is seen by the checking process alone: the first upload says TRY_LATER, and the same file
    uploaded again holds, on evidence that its verdict names.
    """
    async with town_of(own_folder, **QUICK) as town:
        below = Below(town, tmp_path, Purpose.PERSON)
        data = paper("signed by a citizen", below.bank)
        await below.set(town, Lists(), crls=[below.anchor.make_crl(now=utc_now())], crl_urls=[])
        first = (await town.upload(data)).verdict
        (problem,) = first.problems
        assert (problem.code, problem.indication, problem.sub_indication) == (
            UNKNOWN,
            "INDETERMINATE",
            "TRY_LATER",
        )
        assert problem.signature_field
        assert (first.indication, first.sub_indication) == ("INDETERMINATE", "TRY_LATER")
        with below.responder.serving("-nmin", "60", "-rmd", "sha256"):
            await until(lambda: below.is_spoken_for(town))
        again = (await town.upload(data)).verdict
        assert not again.problems
        assert again.indication == "TOTAL_PASSED"
        (signature,) = again.signatures
        assert [one.kind for one in signature.evidence] == ["OCSP", "CRL"]
        assert not signature.in_grace
        town.clock.move(2 * HOUR)
        graced = sample("diya_revocation_grace_total", anchor=below.label)
        (signature,) = (await town.upload(paper("in grace", below.bank))).verdict.signatures
        assert signature.in_grace
        assert sample("diya_revocation_grace_total", anchor=below.label) == graced + 1


#: What an operator may not set, and the field that the refusal names.
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "policy_of_no_anchor": ("policies[0].anchor_sha256", {"anchor_sha256": b"x" * 32}),
    "grace_too_long": ("policies[0].grace_hours", {"grace_hours": 721}),
    "grace_below_zero": ("policies[0].grace_hours", {"grace_hours": -1}),
    "https": ("policies[0].crl_urls[0]", {"crl_urls": ["https://crl.example/a"]}),
    "a_file": ("policies[0].crl_urls[0]", {"crl_urls": ["file:///etc/passwd"]}),
    "no_host": ("policies[0].ocsp_urls[0]", {"ocsp_urls": ["http:///ocsp"]}),
    "a_password": ("policies[0].ocsp_urls[0]", {"ocsp_urls": ["http://user:secret@ocsp.example/"]}),
    "a_line_break": ("policies[0].ocsp_urls[0]", {"ocsp_urls": ["http://ocsp.example/\r\nX: y"]}),
    "no_port": ("policies[0].ocsp_urls[0]", {"ocsp_urls": ["http://ocsp.example:x/"]}),
    "too_many": ("policies[0].crl_urls", {"crl_urls": ["http://crl.example/a"] * 9}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_policy_that_cannot_be_meant_is_refused(town: Town, name: str) -> None:
    """Each names its field."""
    field, changes = WRONG[name]
    refused = await _set_policy(town, authority_pb2.TRUST_PURPOSE_INSTITUTION, **changes)
    assert [path for path, _, _ in refused.violations] == [f"trust[0].{field}"]


@pytest.mark.parametrize("purpose", ["OPERATOR", "TLS"])
async def test_nobody_locks_out_who_could_mend_it(town: Town, purpose: str) -> None:
    """An operator loads a list while its source is down: so operators and connections never wait for one."""
    number = authority_pb2.TrustPurpose.Value(f"TRUST_PURPOSE_{purpose}")
    refused = await _set_policy(town, number, revocation_required=True)
    assert [path for path, _, _ in refused.violations] == ["trust[0].policies[0].revocation_required"]


async def _set_policy(town: Town, purpose: Any, **changes: Any) -> Refused:
    """The refusal of an anchor of the town's with this policy."""
    anchor = town.pki.anchors[
        Purpose(authority_pb2.TrustPurpose.Name(purpose).removeprefix("TRUST_PURPOSE_"))
    ]
    stated = {"anchor_sha256": bytes.fromhex(anchor.credential.certificate.fingerprint), **changes}
    act = admin_acts_pb2.SetTrustAct(header=header(town.clock(), registry="jiangyin"))
    act.trust.add(purpose=purpose, anchors=[anchor.der], policies=[authority_pb2.AnchorPolicy(**stated)])
    request = admin_service_pb2.SetTrustRequest(
        parent="registries/jiangyin",
        request_id=act.header.request_id,
        envelope=signed(act, by=town.stage.credential("operator", "sign")),
    )
    stub = town.stub(admin_service_pb2_grpc.AdminServiceStub, "operator")
    return await town.refusal(lambda: stub.SetTrust(request), "FIELD_INVALID", "INVALID_ARGUMENT")


async def test_trust_is_told_as_it_stands(own_folder: Path) -> None:
    """Policy, answers and intermediates come back in the answer; an act without a policy takes it away."""
    async with town_of(own_folder) as town:
        anchor, issuer = (some[Purpose.INSTITUTION] for some in (town.pki.anchors, town.pki.issuing))
        policy = authority_pb2.AnchorPolicy(
            anchor_sha256=bytes.fromhex(anchor.credential.certificate.fingerprint),
            grace_hours=3,
            crl_urls=["http://127.0.0.1:9/list"],
        )
        policy.not_after.FromDatetime(utc_now().replace(year=utc_now().year + 1))
        der = answer(town.key("bank-a"), issuer, now=utc_now().replace(microsecond=0), until=None)
        own = authority_pb2.TrustSet(
            purpose=authority_pb2.TRUST_PURPOSE_INSTITUTION,
            anchors=[anchor.der],
            policies=[policy],
            ocsp_answers=[der],
        )
        operator = await town.operator()
        told = (await operator.set_trust([own])).value
        (found,) = [one for one in told if one.policies]
        assert list(found.policies) == [policy]
        assert [one for wire in told for one in wire.ocsp_answers] == [der]
        assert issuer.der in [one for wire in told for one in wire.intermediates]
        own.ClearField("policies")
        own.ClearField("ocsp_answers")
        told = (await operator.set_trust([own])).value
        assert not [one for wire in told for one in wire.policies]
        assert [one for wire in told for one in wire.ocsp_answers] == [der]
