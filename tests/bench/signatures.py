"""(r), (s), (t) Our types beside the bare library call, in one thread and in two, and a whole CMS check beside it.

(r) `verify_signature` of a bank's message of 2 kB ÷ the library's own verify of the same bytes, alternating, by
processor time. (s) P-256 in two threads ÷ in one, by wall clock: the library gives up the interpreter's lock; beside it
the same work in two processes, which is what the machine has to give. (t) The
whole check of a detached CAdES signature with its chain, caches warm, as a multiple of the bare verify: parse, digest,
attributes, certificate, path, value. A path is remembered by the trust store as long as the store lives, and every
change of anchors or revocation lists is another store.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tongsuopy.crypto import hashes as sm_hashes
from tongsuopy.crypto import serialization as sm_serialization
from tongsuopy.crypto.asymciphers import ec as sm_ec

from signing.algorithms import Algorithm, verify_signature
from signing.authority import KeyKind, make_key
from signing.certificates import spki_of
from signing.cms_file import check_cms
from signing.cms_sign import sign_cms
from signing.pki import Credential, DevelopmentPKI
from signing.sm2 import SM2PublicKey
from tests.bench import cast

MESSAGE: Final = os.urandom(2048)
ROUNDS: Final = 9
SECONDS_A_ROUND: Final = 0.15
VERIFIED_AT_ONCE: Final = 2000

_SHA256: Final = hashes.SHA256()
_ECDSA: Final = ec.ECDSA(_SHA256)
_PSS: Final = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=32)
_SM2_SM3: Final = sm_ec.ECDSA(sm_hashes.SM3())

_KINDS: Final = {
    Algorithm.ECDSA_P256_SHA256: KeyKind.P256,
    Algorithm.RSA_PSS_SHA256: KeyKind.RSA_2048,
    Algorithm.ED25519: KeyKind.ED25519,
    Algorithm.SM2_SM3: KeyKind.SM2,
}


def signature_ratios() -> None:
    """Print all three."""
    now = dt.datetime.now(dt.UTC)
    pki = DevelopmentPKI.create(now - dt.timedelta(hours=1))
    banks = {
        algorithm: pki.issue_institution(cast.BANK_USCC, cast.BANK_NAME, key=make_key(kind))
        for algorithm, kind in _KINDS.items()
    }
    bare = {algorithm: _bare(algorithm, bank) for algorithm, bank in banks.items()}
    for algorithm, bank in banks.items():
        _types(algorithm, bank, bare[algorithm])
    _threads(banks[Algorithm.ECDSA_P256_SHA256])
    trust = pki.trust_store(pki.make_crls())
    for algorithm, bank in banks.items():
        signature = sign_cms(MESSAGE, [bank.signer(algorithm)], now)
        assert check_cms(signature, MESSAGE, trust, now).ok
        ours, limit = _alternate(lambda s=signature: check_cms(s, MESSAGE, trust, now), bare[algorithm])
        median = statistics.median(o / lim for o, lim in zip(ours, limit, strict=True))
        print(
            f"(t) whole CMS check ÷ bare verify, {algorithm.value}: {median:.2f}  aim ≤ 3  "
            f"{'ok' if median <= 3 else 'SHORT'}   ours {1e6 * statistics.median(ours):.0f} µs, "
            f"limit {1e6 * statistics.median(limit):.0f} µs",
            flush=True,
        )


def _types(algorithm: Algorithm, bank: Credential, bare: Callable[[], object]) -> None:
    key, value = bank.certificate.public_key, bank.signer(algorithm).sign(MESSAGE)
    ours, limit = _alternate(lambda: verify_signature(key, algorithm, value, MESSAGE), bare)
    ratios = [lim / o for o, lim in zip(ours, limit, strict=True)]
    median = statistics.median(ratios)
    print(
        f"(r) verify through our types ÷ bare, {algorithm.value}: {median:.2f} [{min(ratios):.2f}–{max(ratios):.2f}]  "
        f"aim ≥ 0.85  {'ok' if median >= 0.85 else 'SHORT'}   ours {1e6 * statistics.median(ours):.0f} µs",
        flush=True,
    )


def _bare(algorithm: Algorithm, bank: Credential) -> Callable[[], object]:
    """The library's own verify of one value over the message."""
    key: Any = bank.certificate.public_key
    value = bank.signer(algorithm).sign(MESSAGE)
    if isinstance(key, SM2PublicKey):
        native = sm_serialization.load_der_public_key(key.spki)
        return lambda: native.verify(value, MESSAGE, _SM2_SM3)
    match algorithm:
        case Algorithm.ECDSA_P256_SHA256:
            return lambda: key.verify(value, MESSAGE, _ECDSA)
        case Algorithm.RSA_PSS_SHA256:
            return lambda: key.verify(value, MESSAGE, _PSS, _SHA256)
        case _:
            return lambda: key.verify(value, MESSAGE)


def _alternate(first: Callable[[], object], second: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Seconds of processor time a call of each, round by round."""
    figures: tuple[list[float], list[float]] = ([], [])
    count = max(20, round(SECONDS_A_ROUND / _timed(second, 20)))
    for _ in range(ROUNDS):
        for call, found in zip((first, second), figures, strict=True):
            found.append(_timed(call, count))
    return figures


def _timed(call: Callable[[], object], count: int) -> float:
    started = process_time()
    for _ in range(count):
        call()
    return (process_time() - started) / count


def _threads(bank: Credential) -> None:
    key: Any = bank.certificate.public_key
    work = (spki_of(key), bank.signer().sign(MESSAGE), MESSAGE)
    threads, processes = [], []
    with ThreadPoolExecutor(2) as two, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as apart:
        _together(apart, work)  # warm: the processes have started
        for _ in range(ROUNDS):
            started = perf_counter()
            _verify_often(*work)
            one = perf_counter() - started
            threads.append(2 * one / _together(two, work))
            processes.append(2 * one / _together(apart, work))
    median, limit = statistics.median(threads), statistics.median(processes)
    print(
        f"(s) P-256 verified in two threads ÷ in one: {median:.2f} [{min(threads):.2f}–{max(threads):.2f}]  "
        f"aim ≥ 1.7  {'ok' if median >= 1.7 else 'SHORT'}   limit, in two processes ÷ in one: {limit:.2f} "
        f"[{min(processes):.2f}–{max(processes):.2f}]",
        flush=True,
    )


def _together(two: Executor, work: tuple[bytes, bytes, bytes]) -> float:
    """Seconds until the work is done twice at once."""
    started = perf_counter()
    for done in [two.submit(_verify_often, *work) for _ in range(2)]:
        done.result()
    return perf_counter() - started


def _verify_often(spki: bytes, value: bytes, message: bytes) -> None:
    key = load_der_public_key(spki)
    for _ in range(VERIFIED_AT_ONCE):
        verify_signature(key, Algorithm.ECDSA_P256_SHA256, value, message)
