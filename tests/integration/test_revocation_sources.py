"""Sources of revocation evidence pulled away from a gateway that runs: a responder of openssl, lists over HTTP.

The bank's certificate is below an anchor of its own, whose policy demands to know; everybody else is as ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.app import utc_now
from gateway.cases.effects import RevocationNoted, decode_effects
from gateway.evidence_audit import EvidenceReport, audit_evidence
from gateway.pb.diya.v1 import authority_pb2
from gateway.storage.engine import auditor_engine
from gateway.telemetry import metrics
from signing.authority import Credential
from signing.pki import DevelopmentPKI
from signing.trust import Purpose, WatchedLink
from tests.support.openssl_ca import OpensslAuthority, needs_openssl
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
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class Below:
    """An anchor of its own for institutions, with the bank's registered key certified below it."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.pki = DevelopmentPKI.create(utc_now().replace(microsecond=0))
        self.anchor = self.pki.anchors[Purpose.INSTITUTION]
        self.issuer = self.pki.issuing[Purpose.INSTITUTION]
        party = INSTITUTIONS["bank-a"]
        key = town.key("bank-a").private_key
        self.bank: Credential = self.pki.issue_institution(party.id_number, party.name, key=key)
        self.responder = OpensslAuthority(folder / "issuer", self.issuer)
        self.responder.record(self.bank)
        self.lister = OpensslAuthority(folder / "anchor", self.anchor)
        self.label = self.anchor.credential.certificate.fingerprint[:16]

    async def set(self, town: Town, lists: Lists, **changes: Any) -> None:
        """The operator sets anchor and policy beside those that are there."""
        known = town.gateway.sequencer.settings("jiangyin").trust
        assert known is not None
        policy = authority_pb2.AnchorPolicy(
            anchor_sha256=bytes.fromhex(self.anchor.credential.certificate.fingerprint),
            revocation_required=True,
            grace_hours=GRACE_HOURS,
            crl_urls=[lists.url("anchor.crl")],
            ocsp_urls=[self.responder.url],
        )
        others = [der for der in known.anchors["INSTITUTION"] if der != self.anchor.der]
        await (await town.operator()).set_trust(
            [
                authority_pb2.TrustSet(
                    purpose=authority_pb2.TRUST_PURPOSE_INSTITUTION,
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

    async def taken(self, town: Town) -> None:
        """What is fetched beside the request comes, and the request is taken."""
        link = WatchedLink(Purpose.INSTITUTION, "", self.bank.certificate, self.issuer.credential.certificate)

        def spoken() -> bool:
            ends = [one.until for one in town.gateway.trust("jiangyin").evidence(link)]
            return any(end is not None and end > town.clock() for end in ends)

        await until(spoken)
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
    caplog.set_level(logging.INFO, "gateway.revocation_watch")
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
        assert now_trusts.digest() != held.digest()
        assert now_trusts.is_revoked(below.issuer.credential.certificate.key_id, leaf.serial, utc_now())
        clock = town.clock
    # A gateway that starts anew knows it from its ledger alone, and the views are folds of it.
    async with town_of(own_folder, clock=clock, **QUICK) as town:
        await below.refused(town, "CERTIFICATE_REVOKED")
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
