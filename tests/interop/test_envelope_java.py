"""A Java program that follows docs/envelope-format.md, with nothing of ours, makes envelopes that
we accept.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from signing.algorithms import Algorithm
from signing.envelope import envelope_from_json
from signing.trust import Purpose
from signing.verify import verify_envelope
from tests.support.pki import BANK_USCC, NOW, key_of, sample_pki

PROGRAM = Path(__file__).parent / "java" / "SignEnvelope.java"
JAVA = shutil.which("java")
PAYLOAD_TYPE = "application/vnd.diya.manifest.v1+protobuf"


@pytest.mark.skipif(JAVA is None, reason="no java on the path: install a JDK 17 to run this test")
@pytest.mark.parametrize("algorithm", [one for one in Algorithm if one is not Algorithm.SM2_SM3])
def test_java_envelope_of_each_algorithm_is_accepted(algorithm: Algorithm, tmp_path: Path) -> None:
    """What the document says is enough to sign from Java: type, payload and signer come out as they
    went in. (The JDK has no SM2.)
    """
    assert JAVA is not None
    bank = sample_pki().pki.issue_institution(BANK_USCC, "澄江测试银行", key=key_of(algorithm))
    bank.write(tmp_path, "bank")
    payload = "抵押登记 payload".encode() + bytes(range(256))
    (tmp_path / "payload.bin").write_bytes(payload)
    command = [
        *(JAVA, str(PROGRAM), algorithm.value),
        *(str(tmp_path / "bank.key.pem"), str(tmp_path / "bank.pem")),
        *(PAYLOAD_TYPE, str(tmp_path / "payload.bin")),
    ]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    verified = verify_envelope(envelope_from_json(ran.stdout), Purpose.INSTITUTION, sample_pki().trust, NOW)
    assert verified.payload_type == PAYLOAD_TYPE
    assert verified.payload == payload
    identity = verified.signers[0].identity
    assert identity is not None
    assert identity.number == BANK_USCC
