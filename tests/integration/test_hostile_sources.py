"""Every way in which a source of evidence can fail, in a gateway that runs: a list or an answer that is late, none, too
old, another's, forged, or of a kind that is not understood.

None of them lets anybody in or brings anything down: the source is told as down, the bank below its anchor is asked to
come again, and whoever is below another anchor is served as ever. When the source is right again all is, by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.app import utc_now
from signing.authority import Authority
from signing.pki import DevelopmentPKI
from signing.trust import Purpose
from tests.integration.test_revocation_sources import QUICK, UNKNOWN, Below, sample
from tests.support.ocsp import DAY, answer, responder
from tests.support.openssl_ca import needs_openssl
from tests.support.serving import served
from tests.support.stage import Town, town_of
from tests.support.wire import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), needs_openssl]

HOSTILE = {**QUICK, "revocation_timeout_seconds": 0.3}
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Source:
    """An HTTP server of lists and answers that does as it is told."""

    def __init__(self) -> None:
        self.behaves: Behaviour = hangs
        self.ended = threading.Event()

    def url(self, name: str) -> str:
        """An address of it."""
        return f"http://127.0.0.1:{self.port}/{name}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        source = self

        class Handler(BaseHTTPRequestHandler):
            ended = self.ended

            def do_GET(self) -> None:
                with suppress(OSError):  # it was left standing
                    source.behaves(self)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        with served(server):
            try:
                yield
            finally:
                self.ended.set()


def hangs(handler: Any) -> None:
    """It takes the request, and that is all."""
    handler.ended.wait(30)


def gives(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """This body, whoever asks for what."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def drips(body: bytes) -> Behaviour:
    """A body byte by byte, so that it never ends in time."""

    def behave(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for byte in body:
            handler.wfile.write(bytes([byte]))
            if handler.ended.wait(0.02):
                return

    return behave


def floods(handler: Any) -> None:
    """200 MB."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(200_000_000))
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(bytes(1_000_000))


def list_with(authority: Authority, extension: x509.ExtensionType) -> bytes:
    """A list of today with a critical extension."""
    now = utc_now()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(authority.der).subject)
        .last_update(now)
        .next_update(now + DAY)
        .add_extension(extension, critical=True)
    )
    key: Any = authority.credential.private_key
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def bad_lists(below: Below, town: Town) -> dict[str, Behaviour]:
    """What an address of a list may do wrong."""
    anchor, now = below.anchor, town.clock().replace(microsecond=0)
    good = anchor.make_crl(now=now)
    point = {"full_name": [x509.UniformResourceIdentifier("http://crl.example/")], "relative_name": None}
    scope = {
        "only_some_reasons": None,
        "only_contains_attribute_certs": False,
        "only_contains_ca_certs": False,
    }
    stranger = DevelopmentPKI.create(now)  # an authority of the same name with another key
    return {
        "hangs": hangs,
        "drips": drips(good),
        "fails": gives(b"", 500),
        "is gone": gives(b"", 404),
        "sends round": gives(b"", 302, Location="/anchor.crl"),
        "200 MB": floods,
        "cut short": gives(good[:-1]),
        "half": gives(good, **{"Content-Length": str(2 * len(good))}),
        "a page": gives(b"<html>maintenance</html>"),
        "empty": gives(b""),
        "of another authority": gives(town.pki.make_crl(Purpose.PERSON, now=now)),
        "signed by another key": gives(stranger.anchors[Purpose.INSTITUTION].make_crl(now=now)),
        "delta": gives(list_with(anchor, x509.DeltaCRLIndicator(1))),
        "indirect": gives(
            list_with(
                anchor,
                x509.IssuingDistributionPoint(
                    **point, **scope, only_contains_user_certs=False, indirect_crl=True
                ),
            )
        ),
        "of tomorrow": gives(anchor.make_crl(now=now + DAY)),
    }


def bad_answers(below: Below, town: Town) -> dict[str, Behaviour]:
    """What a responder may do wrong."""
    bank, issuer, now = below.bank, below.issuer, town.clock().replace(microsecond=0)
    other = below.pki.issue_institution("91320281000000999X", "x")
    no_delegate = responder(issuer, usage=ExtendedKeyUsageOID.CODE_SIGNING, begins=now)
    expired = responder(issuer, begins=now - 60 * DAY)
    stranger = DevelopmentPKI.create(now).issuing[Purpose.INSTITUTION]
    good = answer(bank, issuer, now=now, until=now + DAY)
    return {
        "hangs": hangs,
        "drips": drips(good),
        "fails": gives(b"", 500),
        "sends round": gives(b"", 307, Location="/ocsp"),
        "200 MB": floods,
        "try later": gives(b"\x30\x03\x0a\x01\x03"),
        "a page": gives(b"<html>maintenance</html>"),
        "about another": gives(answer(other, issuer, now=now)),
        "signed by another key": gives(answer(bank, issuer, now=now, by=stranger.credential)),
        "no delegate": gives(answer(bank, issuer, now=now, by=no_delegate)),
        "delegate expired": gives(answer(bank, issuer, now=now, by=expired)),
        "another nonce": gives(answer(bank, issuer, now=now, nonce=bytes(32))),
        "of tomorrow": gives(answer(bank, issuer, now=now + DAY, until=now + 2 * DAY)),
    }


@pytest.mark.parametrize("what", ["list", "answer"])
async def test_source_that_fails_in_any_way_lets_nobody_in_and_harms_nobody_else(
    own_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """Of a list and of a responder, each way in turn, the other source being right; then both are right."""
    caplog.set_level(logging.INFO, "gateway.rounds.revocation_watch")
    lister, answerer = Source(), Source()
    async with town_of(own_folder, **HOSTILE) as town:
        below = Below(town, tmp_path)
        labels = {"registry": "jiangyin", "anchor": below.label}
        now = town.clock().replace(microsecond=0)
        good_list = gives(below.anchor.make_crl(now=now))
        good_answer = gives(answer(below.bank, below.issuer, now=now, until=now + DAY))
        with lister.serving(), answerer.serving():
            lister.behaves, answerer.behaves = good_list, good_answer
            bad, table = (lister, bad_lists) if what == "list" else (answerer, bad_answers)
            ways = table(below, town)
            bad.behaves = next(iter(ways.values()))
            below.responder.port = answerer.port
            await below.set(town, lister)  # type: ignore[arg-type]  # all that it asks of lists is an address
            await below.refused(town, UNKNOWN)  # now it is known about whom to ask
            for name, behaves in ways.items():
                bad.behaves = behaves
                failed = sample("diya_revocation_failed_total", **labels)
                # One may have been under way before: the second is this one's.
                await until(
                    lambda failed=failed: sample("diya_revocation_failed_total", **labels) >= failed + 2  # type: ignore[misc]
                )
                assert sample("diya_revocation_sources_down", **labels) >= 1, name
                refused = await below.refused(town, UNKNOWN)
                assert (refused.metadata["indication"], refused.metadata["subIndication"]) == (
                    "INDETERMINATE",
                    "TRY_LATER",
                ), name
                await town.booked()  # below another anchor
            lister.behaves, answerer.behaves = good_list, good_answer
            await until(lambda: sample("diya_revocation_sources_down", **labels) == 0)
            await until(lambda: both_speak(below, town))
            await below.submit(town)
    told = [record.getMessage() for record in caplog.records]
    address = lister.url("anchor.crl") if what == "list" else below.responder.url
    assert sum(f"{address} is down" in one for one in told) == 1
    assert sum(f"{address} answers again" in one for one in told) == 1
    assert not [one for one in told if "Development" in one or "CN=" in one]


def both_speak(below: Below, town: Town) -> bool:
    """Whether there is current evidence about the bank's certificate and its issuer's."""
    store = town.gateway.trust("jiangyin")
    leaf, issuer, anchor = below.bank.certificate, below.issuer.credential.certificate, below.anchor
    ends = [
        [one.until for one in store.revocation.evidence(above, subject) if one.until is not None]
        for subject, above in ((leaf, issuer.key_id), (issuer, anchor.credential.certificate.key_id))
    ]
    return all(some and max(some) > town.clock() for some in ends)


async def test_responder_that_does_not_know_is_asked_again_soon_and_nothing_is_entered(
    own_folder: Path, tmp_path: Path
) -> None:
    """A certificate made just now: the bank is asked to come again, the ledger does not grow, and soon it is known."""
    lister, answerer = Source(), Source()
    async with town_of(own_folder, **HOSTILE) as town:
        below = Below(town, tmp_path)
        below.responder.port = 0
        now = town.clock().replace(microsecond=0)
        asked = threading.Semaphore(0)
        unknown = gives(answer(below.bank, below.issuer, status="unknown", now=now, until=now + DAY))

        def counted(handler: BaseHTTPRequestHandler) -> None:
            asked.release()
            unknown(handler)

        lister.behaves = gives(below.anchor.make_crl(now=now))
        answerer.behaves = counted
        with lister.serving(), answerer.serving():
            below.responder.port = answerer.port
            await below.set(town, lister)  # type: ignore[arg-type]
            await below.refused(town, UNKNOWN)
            await until(lambda: asked.acquire(blocking=False))
            await until(
                lambda: len(town.gateway.trust("jiangyin").crls) > 0 and asked.acquire(blocking=False)
            )
            size = town.ledger_size()
            for _ in range(3):
                await until(lambda: asked.acquire(blocking=False))
            assert town.ledger_size() == size
            await below.refused(town, UNKNOWN)
            answerer.behaves = gives(answer(below.bank, below.issuer, now=now, until=now + DAY))
            await until(lambda: both_speak(below, town))
            await below.submit(town)
