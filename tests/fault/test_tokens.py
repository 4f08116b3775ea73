"""Keys in a token (SoftHSM2): they sign as keys in files do, and what goes wrong with a token is told and mended."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.checkpoint import Checkpoint, NoteSigner, open_checkpoint, sign_checkpoint
from signing.algorithms import Algorithm, verify_signature
from signing.errors import PinRefused, SignerUnavailable, SignerUnusable
from signing.key_source import TokenKey, open_signer, parse_key_source
from signing.pki import Credential, KeyKind, make_key
from signing.seal import seal_pdf
from signing.signer import Signer
from signing.token_protocol import Work
from tests.support.certificates import unsealed
from tests.support.pki import NOW, REGISTRY_USCC, rsa_key, sample_pki
from tests.support.tokens import MODULE, PIN, Tokens, needs_softhsm, tokens

__all__ = ["tokens"]  # a fixture

pytestmark = needs_softhsm

MESSAGE = b"what is signed"


def seal() -> Credential:
    """The sample registry's seal."""
    return sample_pki().registry_seal


def signer(tokens: Tokens, more: str = "", algorithm: Algorithm | None = None) -> Signer:
    """The seal as an operator configures it."""
    return open_signer(parse_key_source(tokens.setting("seal", more=more)), seal().chain_pem(), algorithm)


def holds(made: Signer, message: bytes = MESSAGE) -> bool:
    """Whether a signature of it holds under the certificate, by the library that banks verify with."""
    verify_signature(seal().certificate.public_key, made.algorithm, made.sign(message), message)
    return True


@pytest.fixture
def sealed(tokens: Tokens) -> Tokens:
    """The token with the seal's key in it."""
    tokens.put(seal().private_key, "seal", 1)
    return tokens


def test_p256_key_in_a_token_signs(sealed: Tokens) -> None:
    """Tokens return r and s side by side; what we hand out is DER."""
    made = signer(sealed)
    assert made.algorithm is Algorithm.ECDSA_P256_SHA256
    assert made.certificates == seal().certificates
    assert all(holds(made, bytes([n])) for n in range(40))  # r and s of every length


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_verifies_what_a_token_signed(sealed: Tokens, tmp_path: Path) -> None:
    """Somebody else's code, from the certificate and the bytes alone."""
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "signature").write_bytes(signer(sealed).sign(MESSAGE))
    (tmp_path / "seal.pem").write_bytes(seal().chain_pem())
    key = subprocess.run(
        ["openssl", "x509", "-in", "seal.pem", "-pubkey", "-noout"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    (tmp_path / "key.pem").write_bytes(key.stdout)
    verified = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "message"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.stdout.strip() == "Verified OK", verified


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="needs poppler-utils")
def test_pdfsig_accepts_a_pdf_that_a_token_sealed(sealed: Tokens, tmp_path: Path) -> None:
    """Whole document, valid signature: as by a key in a file."""
    path = tmp_path / "sealed.pdf"
    path.write_bytes(seal_pdf(unsealed(), signer(sealed), reason="测试", at=NOW, certify=True))
    told = subprocess.run(["pdfsig", "-nocert", str(path)], capture_output=True, text=True, check=False)
    assert "Signature is Valid" in told.stdout, told
    assert "Total document signed" in told.stdout


@pytest.mark.parametrize("algorithm", [Algorithm.RSA_PSS_SHA256, Algorithm.RSA_PKCS1_SHA256])
def test_rsa_key_in_a_token_signs(tokens: Tokens, algorithm: Algorithm) -> None:
    """Both paddings, with our salt length."""
    credential = sample_pki().pki.issue_seal(REGISTRY_USCC, "测试", key=rsa_key())
    tokens.put(rsa_key(), "seal", 1)
    made = open_signer(parse_key_source(tokens.setting("seal")), credential.chain_pem(), algorithm)
    verify_signature(rsa_key().public_key(), algorithm, made.sign(MESSAGE), MESSAGE)


def test_p384_key_in_a_token_signs(tokens: Tokens) -> None:
    """With the hash of its own size."""
    key = make_key(KeyKind.P384)
    credential = sample_pki().pki.issue_seal(REGISTRY_USCC, "测试", key=key)
    tokens.put(key, "seal", 1)
    made = open_signer(parse_key_source(tokens.setting("seal")), credential.chain_pem())
    assert made.algorithm is Algorithm.ECDSA_P384_SHA384
    verify_signature(key.public_key(), made.algorithm, made.sign(MESSAGE), MESSAGE)


def test_ed25519_key_in_a_token_signs_checkpoints(tokens: Tokens) -> None:
    """The same note, byte for byte, as by the key in a file: Ed25519 is deterministic."""
    from signing.tokens import TokenEd25519

    key = Ed25519PrivateKey.generate()
    tokens.put(key, "ledger", 2)
    source = parse_key_source(tokens.setting("ledger"))
    assert isinstance(source, TokenKey)
    checkpoint = Checkpoint("example.org/log", 3, bytes(32))
    note = sign_checkpoint(checkpoint, NoteSigner("example.org/log", TokenEd25519(source)))
    assert note == sign_checkpoint(checkpoint, NoteSigner("example.org/log", key))
    assert open_checkpoint(note, NoteSigner("example.org/log", key).vkey) == checkpoint


def test_another_keys_certificate_is_refused(tokens: Tokens) -> None:
    """The token's key is not the certificate's: found at start, by a signature."""
    tokens.put(sample_pki().bank.private_key, "seal", 1)
    with pytest.raises(SignerUnusable, match="is not that of the certificate"):
        signer(tokens)


def test_lost_session_is_made_anew_once(sealed: Tokens) -> None:
    """As after a reader was reset: the library forgets every session, and the next signature logs in again. In this
    process, for here the library can be made to forget.
    """
    import pkcs11

    from signing.pkcs11 import done

    key = parse_key_source(sealed.setting("seal"))
    assert isinstance(key, TokenKey)
    for _ in range(2):
        signature = done(key, Work.SIGN, Algorithm.ECDSA_P256_SHA256, MESSAGE)
        verify_signature(seal().certificate.public_key, Algorithm.ECDSA_P256_SHA256, signature, MESSAGE)
        pkcs11.lib(str(MODULE)).reinitialize()


def test_token_that_is_gone_is_unavailable_until_it_is_back(sealed: Tokens) -> None:
    """Every call says so, and the first one after it is back signs: nobody has to start anything again."""
    made = signer(sealed)
    sealed.take_away()
    for _ in range(3):
        with pytest.raises(SignerUnavailable) as caught:
            made.sign(MESSAGE)
        assert not isinstance(caught.value, PinRefused)
    sealed.bring_back()
    assert holds(made)


def test_two_keys_of_one_token_share_a_login_and_survive_each_others_loss(sealed: Tokens) -> None:
    """Two registries' seals in one process."""
    sealed.put(seal().private_key, "second", 7)
    first = signer(sealed)
    second = open_signer(parse_key_source(sealed.setting("second")), seal().chain_pem())
    by_serial = signer(sealed, f";serial={sealed.serials()[0]}")
    sealed.take_away()
    with pytest.raises(SignerUnavailable):
        first.sign(MESSAGE)
    sealed.bring_back()
    assert holds(first)
    assert holds(second)
    assert holds(by_serial)


def test_wrong_pin_is_tried_once_and_never_again(sealed: Tokens) -> None:
    """Not by us a second time; not by a process started anew either, for the token remembers; told with the file."""
    sealed.set_pin("9999")
    with pytest.raises(PinRefused) as first:
        signer(sealed)
    assert f"file:{sealed.pin_file}" in first.value.message
    assert "tried once" in first.value.message
    with pytest.raises(PinRefused, match="is not tried"):
        signer(sealed)
    sealed.start_anew()
    sealed.set_pin(PIN)
    with pytest.raises(PinRefused, match="log in once by hand"):
        signer(sealed)
    log_in_by_hand(sealed)
    assert holds(signer(sealed))


def log_in_by_hand(tokens: Tokens) -> None:
    """What the message asks for, in a process of its own."""
    subprocess.run(
        ["pkcs11-tool", "--module", str(MODULE), "--token-label", "diya", "--login", "--pin", PIN, "-O"],
        check=True,
        capture_output=True,
    )


def test_pin_that_turns_wrong_while_it_runs_is_not_tried_into_a_lock(sealed: Tokens) -> None:
    """The session is lost, the PIN file is wrong: one try, then none, however often a signature is asked for."""
    made = signer(sealed)
    sealed.set_pin("9999")
    sealed.take_away()
    with pytest.raises(SignerUnavailable):
        made.sign(MESSAGE)
    sealed.bring_back()
    with pytest.raises(PinRefused, match="tried once"):
        made.sign(MESSAGE)
    for _ in range(5):
        with pytest.raises(PinRefused, match="is not tried"):
            made.sign(MESSAGE)


def test_locked_pin_is_told_and_not_tried(sealed: Tokens) -> None:
    """Only the security officer can mend that."""
    sealed.lock()
    with pytest.raises(PinRefused, match="PIN is locked; the token's security officer"):
        signer(sealed)


def test_two_tokens_of_one_name_are_refused_unless_the_serial_says_which(sealed: Tokens) -> None:
    """Whoever plugs in a second one must not decide which key seals."""
    sealed.add()
    sealed.start_anew()
    with pytest.raises(SignerUnusable, match="2 tokens fit; say which by serial="):
        signer(sealed)
    made = [serial for serial in sealed.serials() if is_usable(sealed, serial)]
    assert len(made) == 1


def is_usable(tokens: Tokens, serial: str) -> bool:
    """Whether the token of that serial has the seal."""
    try:
        return holds(signer(tokens, f";serial={serial}"))
    except SignerUnusable:
        return False


def test_token_is_found_wherever_its_slot_is(sealed: Tokens) -> None:
    """Others are plugged in before and after it while it runs; slots are numbered anew, the key is the same."""
    made = signer(sealed)
    for name in ("a", "z", "m"):
        sealed.add(name)
    before = sealed.serials()
    assert len(before) == 4
    sealed.take_away()
    with pytest.raises(SignerUnavailable):
        made.sign(MESSAGE)
    sealed.bring_back()
    assert holds(made)


def test_key_that_is_not_there_or_twice_is_told(sealed: Tokens) -> None:
    """By name; two objects of one name are told apart by id."""
    with pytest.raises(SignerUnusable, match="has no such PRIVATE_KEY of type EC"):
        open_signer(parse_key_source(sealed.setting("other")), seal().chain_pem())
    sealed.put(sample_pki().bank.private_key, "seal", 2)
    with pytest.raises(SignerUnusable, match="several keys fit; say which by id="):
        signer(sealed)
    assert holds(signer(sealed, ";id=%01"))


def test_module_that_is_none_is_told(tokens: Tokens, tmp_path: Path) -> None:
    """A path that is wrong, and a file that is no library."""
    setting = tokens.setting("seal")
    module = setting.partition("module-path=")[2].partition("&")[0]
    for path in ("/nowhere/module.so", str(tokens.pin_file)):
        with pytest.raises(SignerUnusable, match="module"):
            open_signer(parse_key_source(setting.replace(module, path)), seal().chain_pem())


def test_forked_process_does_not_use_its_parents_sessions(sealed: Tokens) -> None:
    """A session that crosses a fork is undefined: the child is refused, the parent goes on."""
    made = signer(sealed)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of the test's may go on here
        try:
            made.sign(MESSAGE)
            os.write(write, b"signed")
        except SignerUnusable as error:
            os.write(write, error.message.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"across a fork" in os.read(read, 1000)
    os.close(read)
    os.close(write)
    assert holds(made)
