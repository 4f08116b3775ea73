"""PKCS#11 tokens of Debian's SoftHSM2, each test's in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signing.algorithms import PrivateKey
from signing.pki import Credential

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"
SO_PIN = "12345678"
LABEL = "diya"

_FLAGS = 0x0000042D  # of a token in good order
_USER_PIN_LOCKED = 0x00040000


def missing() -> str:
    """Why nothing can be tried here; empty where it can."""
    if not (shutil.which("softhsm2-util") and shutil.which("pkcs11-tool") and MODULE.exists()):
        return "softhsm2-util or pkcs11-tool is missing: apt-get install softhsm2 opensc"
    try:
        import pkcs11  # noqa: F401
    except ImportError:
        return "python-pkcs11 is missing: the extra hsm"
    return ""


needs_softhsm = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@dataclass
class Tokens:
    """SoftHSM2 with tokens in `folder / "tokens"`, which may be moved away and back."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        (self.folder / "tokens").mkdir(parents=True)
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder / 'tokens'}\nlog.level = ERROR\n")
        self.pin_file = self.folder / "pin"
        self.set_pin(PIN)
        self.monkeypatch.setenv("SOFTHSM2_CONF", str(conf))

    def set_pin(self, pin: str) -> None:
        """What the PIN file says; the token's own PIN stays."""
        self.pin_file.write_text(pin + "\n")
        self.pin_file.chmod(0o600)

    def add(self, label: str = LABEL) -> None:
        """One more token."""
        self._run("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN)

    def put(self, key: PrivateKey, name: str, number: int, label: str = LABEL) -> None:
        """Import a private key, and its public one, as an object of a token."""
        path = self.folder / "import.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._run(
            "--import", str(path), "--token", label, "--label", name, "--id", f"{number:02x}", "--pin", PIN
        )
        path.unlink()

    def make_aes(self, name: str, label: str = LABEL) -> None:
        """Make an AES key in a token, which does not let it out."""
        import pkcs11

        with pkcs11.lib(str(MODULE)).get_token(token_label=label).open(user_pin=PIN, rw=True) as session:
            session.generate_key(pkcs11.KeyType.AES, 256, label=name, store=True)
        self.start_anew()

    def setting(self, name: str, label: str = LABEL, more: str = "") -> str:
        """The setting that names an object."""
        return (
            f"pkcs11:token={label}{more};object={name}?module-path={MODULE}&pin-source=file:{self.pin_file}"
        )

    def start_anew(self) -> None:
        """As in a process that was just started: no login, and the library looks for its tokens."""
        import pkcs11

        from signing import pkcs11 as ours
        from signing.tokens import close_tokens

        close_tokens()
        ours._modules.clear()
        ours._objects.clear()
        with suppress(pkcs11.PKCS11Error):
            pkcs11.lib(str(MODULE)).reinitialize()

    def take_away(self) -> None:
        """Pull the tokens out."""
        (self.folder / "tokens").rename(self.folder / "away")

    def bring_back(self) -> None:
        """Put them back."""
        (self.folder / "away").rename(self.folder / "tokens")

    def serials(self) -> list[str]:
        """The serial number of each token, in the order of its slots."""
        shown = self._run("--show-slots")
        lines = [line.split(":", 1)[1].strip() for line in shown.splitlines() if "Serial number" in line]
        return [line for line in lines if line]

    def lock(self) -> None:
        """Say in the token's own file that its PIN is locked: SoftHSM2 itself never locks one."""
        [path] = (self.folder / "tokens").glob("*/token.object")
        data = path.read_bytes()
        before, locked = (flags.to_bytes(8, "big") for flags in (_FLAGS, _FLAGS | _USER_PIN_LOCKED))
        assert before in data
        path.write_bytes(data.replace(before, locked))

    def _run(self, *words: str) -> str:
        done = subprocess.run(["softhsm2-util", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def write_encrypted(credential: Credential, folder: Path, stem: str, passphrase: bytes) -> None:
    """The credential with its key as encrypted PKCS#8."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    credential.write(folder, stem)
    (folder / f"{stem}.key.pem").write_bytes(
        credential.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
        )
    )


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    """One token, named diya; this process has logged in nowhere, before and after."""
    made = Tokens(tmp_path / "softhsm", monkeypatch)
    made.add()
    made.start_anew()
    yield made
    made.start_anew()
