"""A registry that seals in both suites, and what verifies that."""

from __future__ import annotations

from pathlib import Path

from gateway.app import utc_now
from gateway.demo.cast import sample_seeds
from signing.authority import Credential
from signing.pki import DevelopmentPKI, KeyKind, make_key


def seal_in_both(folder: Path, registry: str = "jiangyin") -> Credential:
    """Give a registry of a gateway's folder an SM2 seal beside its first, from the next start on."""
    [profile] = [seed.profile for seed in sample_seeds() if seed.id == registry]
    pki = DevelopmentPKI.load(folder / "pki", utc_now())
    issued = pki.issue_seal(profile.authority_code, profile.authority_name, key=make_key(KeyKind.SM2))
    stem = f"seal-{registry}-sm2"
    issued.write(folder / "keys", stem)
    path = folder / "diya.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    at = lines.index(f'id = "{registry}"') + 1
    lines[at:at] = [
        f'national_seal_certificate = "keys/{stem}.pem"',
        f'national_seal_key = "keys/{stem}.key.pem"',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return issued
