"""One setting says where a key is; whatever is not meant exactly so is refused, and no secret is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from signing.errors import SignerUnusable
from signing.key_source import FileKey, PinSource, TokenKey, is_in_clear, open_signer, parse_key_source, under
from signing.pki import KeyKind, make_key
from tests.support.pki import sample_pki
from tests.support.tokens import write_encrypted

TOKEN = "pkcs11:token=diya;object=seal?module-path=/m.so&pin-source=file:/p"


def test_every_form_of_the_setting_comes_back_as_it_was_written() -> None:
    """A worker is told a key by its setting: what is parsed and written is the same."""
    assert parse_key_source("keys/a.pem") == FileKey(Path("keys/a.pem"))
    assert parse_key_source("a.pem?pin-source=env:SEAL") == FileKey(Path("a.pem"), PinSource("env", "SEAL"))
    assert parse_key_source(
        "pkcs11:token=%E6%8A%B5%E6%8A%BC;serial=0a;type=private;object=a%20b;id=%01%FF"
        "?pin-source=credential:pin&module-path=/m.so"
    ) == TokenKey(
        module=Path("/m.so"),
        pin=PinSource("credential", "pin"),
        token="抵押",
        serial="0a",
        label="a b",
        id=b"\x01\xff",
    )
    slow = f"{TOKEN}&timeout-seconds=7.5"
    assert [getattr(parse_key_source(one), "seconds", 0) for one in (TOKEN, slow)] == [5, 7.5]
    for text in ("a.pem", "a.pem?pin-source=file:/p", TOKEN, slow, TOKEN.replace("object=seal", "id=%01%FF")):
        source = parse_key_source(text)
        assert str(source) == text
        assert parse_key_source(str(source)) == source


def test_relative_paths_are_those_of_the_settings_folder() -> None:
    """Key and passphrase file both; a variable's name and a module's path stay."""
    base = Path("/etc/diya")
    assert str(under(parse_key_source("a.pem?pin-source=file:p"), base)) == (
        "/etc/diya/a.pem?pin-source=file:/etc/diya/p"
    )
    assert str(under(parse_key_source("a.pem?pin-source=env:P"), base)) == "/etc/diya/a.pem?pin-source=env:P"
    assert str(under(parse_key_source(TOKEN.replace("/p", "p")), base)).endswith(
        "pin-source=file:/etc/diya/p"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "a path"),
        ("a.pem?", "pin-source must be"),
        ("a.pem?pin-source=secret", "file:PATH, env:NAME"),
        ("a.pem?pin-source=file:", "file:PATH, env:NAME"),
        ("a.pem?pin-source=|cat", "XX"),
        ("a.pem?password=hunter2", "'password' is not known"),
        ("a.pem?pin-value=hunter2", "does not stand in a setting"),
        ("a.pem?pin-source=credential:../p", "a name, not a path"),
        (TOKEN + "&pin-value=hunter2", "does not stand in a setting"),
        (TOKEN + "&timeout-seconds=0", "above 0 and up to 20"),
        (TOKEN + "&timeout-seconds=20.1", "above 0 and up to 20"),
        (TOKEN + "&timeout-seconds=inf", "above 0 and up to 20"),
        (TOKEN.replace("token=diya;", ""), "needs token="),
        (TOKEN.replace(";object=seal", ""), "needs object="),
        (TOKEN.replace("module-path=/m.so&", ""), "needs module-path="),
        (TOKEN.replace("/m.so", "m.so"), "absolute"),
        (TOKEN.replace("&pin-source=file:/p", ""), "needs pin-source="),
        (TOKEN.replace("token=", "slot-id=0;token="), "'slot-id' is not known"),
        (TOKEN.replace("token=", "token=x;token="), "given twice"),
        (TOKEN.replace("diya", "di ya"), "as %XX"),
        (TOKEN.replace("diya", "di%zz"), "as %XX"),
        (TOKEN.replace("object=seal", "id=01"), "each byte as %XX"),
        (TOKEN.replace("object=seal", "object=seal;type=cert"), "'type' is not known"),
        (TOKEN.replace("module-path", "module-name"), "'module-name' is not known"),
    ],
)
def test_setting_that_could_mean_another_key_is_refused(text: str, told: str) -> None:
    """Each with what is wrong, and without the secret that somebody wrote into it."""
    with pytest.raises(SignerUnusable) as caught:
        parse_key_source(text)
    assert told in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("kind", ["file", "env", "credential"])
def test_encrypted_key_opens_with_its_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """From a private file, a variable of the environment, a credential of systemd; a newline at its end is none."""
    seal = sample_pki().registry_seal
    write_encrypted(seal, tmp_path, "seal", b"open sesame")
    (tmp_path / "pin").write_text("open sesame\n")
    (tmp_path / "pin").chmod(0o600)
    monkeypatch.setenv("SEAL_PIN", "open sesame")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    name = {"file": str(tmp_path / "pin"), "env": "SEAL_PIN", "credential": "pin"}[kind]
    source = parse_key_source(f"{tmp_path}/seal.key.pem?pin-source={kind}:{name}")
    signer = open_signer(source, seal.chain_pem())
    assert signer.certificates == seal.certificates
    assert not is_in_clear(source)
    assert is_in_clear(FileKey(tmp_path / "seal.key.pem"))


def test_file_that_cannot_be_used_is_told_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passphrase missing, wrong, or too much; permission bits; another certificate's key; no key at all."""
    seal = sample_pki().registry_seal
    write_encrypted(seal, tmp_path, "seal", b"open sesame")
    key, pin = tmp_path / "seal.key.pem", tmp_path / "pin"

    def told(setting: str = "", *, chain: bytes = seal.chain_pem()) -> str:
        with pytest.raises(SignerUnusable) as caught:
            open_signer(parse_key_source(f"{key}{setting}"), chain)
        assert "sesame" not in caught.value.message
        return caught.value.message

    assert "is encrypted: write ?pin-source=" in told()
    assert "No such file" in told(f"?pin-source=file:{pin}")
    pin.write_text("open sesame")
    pin.chmod(0o640)
    assert f"{pin}: others may read it; run chmod 600" in told(f"?pin-source=file:{pin}")
    pin.chmod(0o600)
    assert "is not that of the certificate" in told(
        f"?pin-source=file:{pin}", chain=sample_pki().bank.chain_pem()
    )
    pin.write_text("wrong sesame")
    assert f"does not open with the passphrase of file:{pin}" in told(f"?pin-source=file:{pin}")
    assert "env:NOT_SET: holds no secret" in told("?pin-source=env:NOT_SET")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "CREDENTIALS_DIRECTORY is not set" in told("?pin-source=credential:pin")
    seal.write(tmp_path, "seal")
    assert "is not encrypted, yet" in told(f"?pin-source=file:{pin}")
    key.chmod(0o644)
    assert "run chmod 600" in told()
    key.chmod(0o600)
    key.write_bytes(b"-----BEGIN")
    assert "cannot load" in told()
    key.unlink()
    assert "No such file" in told()


def test_key_of_the_right_kind_and_another_pair_does_not_pass(tmp_path: Path) -> None:
    """The start-up check is a signature, so that a swapped file is found before anything is sealed."""
    seal = sample_pki().registry_seal
    seal.write(tmp_path, "seal")
    other = sample_pki().pki.issue_seal("999999999999999999", "x", key=make_key(KeyKind.P256))
    other.write(tmp_path, "other")
    with pytest.raises(SignerUnusable, match="is not that of the certificate"):
        open_signer(FileKey(tmp_path / "other.key.pem"), seal.chain_pem())
