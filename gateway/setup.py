"""Setting a gateway up: configuration, keys, a development PKI, and each registry's first entry.

What `diya init` does. The keys and certificates made here are for development: a real registry brings its own, with
its ledger key and seal in hardware, and anchors of licensed providers.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.app import create_tables, utc_now
from gateway.cases.decision import Decision
from gateway.cases.effects import (
    AnyEffect,
    OperatorSet,
    ProfileSet,
    RequestAnswered,
    RuleSetSet,
    TrustSet,
)
from gateway.cases.model import Moment, Outcome, Result
from gateway.commands import Command, own_command
from gateway.config import Config, RegistryConfig, load_config
from gateway.keyring.keys import note_signer, read_key_encryption_key, write_key_encryption_key
from gateway.register.authority import Profile, RuleSet
from gateway.sequencer import Sequencer
from gateway.storage.engine import WriterLock, writer_engine
from gateway.storage.working import Wants, Working
from ledger.publish import Publisher
from ledger.store import Ledger
from ledger.vault import PartCipher, Vault
from signing import sm2
from signing.envelope import pae
from signing.key_source import FileKey
from signing.pki import Credential, DevelopmentPKI, KeyKind, make_key
from signing.trust import Purpose
from signing.trust_directory import write_trust

GENESIS_TYPE = "application/vnd.diya.genesis.v1+json"


class SetupRefused(Exception):
    """The folder cannot be set up; nothing was changed in it."""


@dataclass(frozen=True)
class RegistrySeed:
    """A registry to be created: its id, its profile and its first rule set."""

    id: str
    profile: Profile
    rules: RuleSet


def initialise(
    folder: Path,
    seeds: Sequence[RegistrySeed],
    *,
    now: dt.datetime,
    host: str = "127.0.0.1",
    part_cipher: PartCipher = PartCipher.AES_256_GCM,
    both_suites: Collection[str] = (),
) -> Config:
    """Make `folder` a gateway that can serve: diya.toml, keys/, pki/, data/, trust/, clients/operator.

    part_cipher: what the ledgers' parts are sealed with from their first entry on. both_suites: ids of the registries
    that put an SM2 seal beside the first.

    Raises SetupRefused when the folder already holds a gateway, or such a registry is not among the seeds or SM2 is not
    installed.
    """
    unknown = set(both_suites) - {seed.id for seed in seeds}
    if unknown:
        raise SetupRefused(f"no registry {', '.join(sorted(unknown))}: there are {_names(seeds)}")
    if both_suites and not sm2.AVAILABLE:
        raise SetupRefused(f"{sm2.NOT_INSTALLED} / {sm2.NOT_INSTALLED_ZH}")
    if (folder / "diya.toml").exists():
        raise SetupRefused(
            f"{folder}/diya.toml exists already; choose an empty folder, or remove it yourself"
        )
    keys = folder / "keys"
    keys.mkdir(parents=True)
    keys.chmod(0o700)
    (folder / "data").mkdir()
    pki = DevelopmentPKI.create(now)
    pki.save(folder / "pki")
    write_key_encryption_key(keys / "kek", secrets.token_bytes(32))
    pki.issue_tls_server(["localhost"], [host]).write(keys, "tls-server")
    client_anchors = b"".join(
        authority.credential.chain_pem() for authority in (pki.anchors[Purpose.TLS], pki.issuing[Purpose.TLS])
    )
    (keys / "client-anchors.pem").write_bytes(client_anchors)
    for seed in seeds:
        _write_ledger_key(keys / f"ledger-{seed.id}.pem")
        authority = seed.profile.authority_code, seed.profile.authority_name
        pki.issue_seal(*authority).write(keys, f"seal-{seed.id}")
        if seed.id in both_suites:
            pki.issue_seal(*authority, key=make_key(KeyKind.SM2)).write(keys, f"seal-{seed.id}-sm2")
    pki.issue_tsa().write(keys, "tsa")
    (folder / "diya.toml").write_text(_toml(seeds, part_cipher, both_suites), encoding="utf-8")
    operator = pki.issue_operator("999999198001010014", "运维员")
    operator_tls = _operator_tls(pki)
    operator.write(folder / "clients" / "operator", "sign")
    operator_tls.write(folder / "clients" / "operator", "tls")
    config = load_config(folder / "diya.toml")
    _write_public_trust(folder / "trust", pki, config)
    create_registries(config, seeds, pki, operator, operator_tls)
    return config


def create_registries(
    config: Config, seeds: Sequence[RegistrySeed], pki: DevelopmentPKI, operator: Credential, tls: Credential
) -> None:
    """The first entry of each registry: profile, rules, trust, operators. Takes the writer's lock."""
    database = config.storage.database.removeprefix("sqlite:///")
    lock = WriterLock(Path(database))
    lock.acquire()
    engine = writer_engine(config.storage.database)
    try:
        create_tables(engine)
        vault = Vault(read_key_encryption_key(config.storage.key_encryption_key))
        ledger = Ledger(vault, {r.id: r.part_cipher for r in config.registries})
        with engine.begin() as connection:
            for registry in config.registries:
                ledger.create(connection, registry.id, registry.origin)
        signers = {r.id: note_signer(r.origin, r.ledger_key) for r in config.registries}
        sequencer = Sequencer(engine, ledger, Publisher(signers.__getitem__), clock=utc_now)
        sequencer.start()
        for seed in seeds:
            sequencer.submit(_genesis(seed, pki, operator, tls)).result()
        sequencer.stop()
    finally:
        engine.dispose()
        lock.release()


def _genesis(seed: RegistrySeed, pki: DevelopmentPKI, operator: Credential, tls: Credential) -> Command:
    trust = pki.trust_store(pki.make_crls())
    effects: tuple[AnyEffect, ...] = (
        ProfileSet(profile=seed.profile),
        RuleSetSet(rules=seed.rules),
        TrustSet(
            anchors={purpose.value: ders for purpose, ders in trust.anchors.items()},
            crls=trust.crls,
            intermediates=trust.intermediates,
        ),
        OperatorSet(key_ids=(operator.certificate.key_id,), tls_key_ids=(tls.certificate.key_id,)),
    )
    payload = pae(GENESIS_TYPE, msgspec.json.encode(effects))
    digest = hashlib.sha256(payload).hexdigest()

    def decide(working: Working, moment: Moment) -> Decision:
        answered = RequestAnswered(institution="", request_id="genesis", payload_sha256=digest)
        outcome = Outcome(result=Result.DONE, application="")
        return Decision(kind="registry.created", outcome=outcome, effects=(answered, *effects))

    return own_command(seed.id, "genesis", payload, digest, Wants(), decide)


def _operator_tls(pki: DevelopmentPKI) -> Credential:
    """The operator's connection certificate; its name says nothing, its registered key does."""
    return pki.issue_tls_client("000000000000000000", "operator")


def _write_ledger_key(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)


def _write_public_trust(folder: Path, pki: DevelopmentPKI, config: Config) -> None:
    """What others need to check us: anchors per purpose, the server's roots, each ledger's verifier key."""
    write_trust(pki.trust_store(pki.make_crls()), folder)
    (folder / "server-roots.pem").write_bytes(pki.anchors[Purpose.TLS].credential.chain_pem())
    for registry in config.registries:
        vkey = note_signer(registry.origin, registry.ledger_key).vkey
        (folder / f"{registry.id}.vkey").write_text(vkey + "\n", encoding="utf-8")


def _registry_toml(registry: RegistryConfig) -> str:
    return "\n".join(
        [
            "[[registries]]",
            f'id = "{registry.id}"',
            f'origin = "{registry.origin}"  # the ledger\'s name in its checkpoints; never change it',
            f'ledger_key = "{registry.ledger_key}"  # Ed25519, signs checkpoints; may be in a token, as the seal',
            f'seal_certificate = "{registry.seal_certificate}"',
            f'seal_key = "{registry.seal_key}"  # or PATH?pin-source=file:PIN, or pkcs11:…, see docs/operating.md',
            *_national_toml(registry),
            '# next_seal_certificate = "next.pem"  # with next_seal_key: what `diya keys rotate` goes on to',
            '# next_ledger_key = "keys/next.pem"  # what `diya keys rotate checkpoint` puts beside ledger_key',
            f'part_cipher = "{registry.part_cipher}"  # AES-256-GCM or SM4-GCM, of part keys made from now on',
            '# witness_policy = "policy.txt"  # witnesses that cosign its checkpoints, see docs/operating.md',
            "# witness_stop_seconds = 300.0    # acts stop while a quorum is missing so long; without it, never",
            "# [registries.timestamp]          # time stamps on seals and checkpoints, see docs/operating.md",
            '# url = "http://127.0.0.1:7447/"  # RFC 3161; this one is `diya tsa serve`, for development only',
            "# required = true                 # a seal waits for its stamp; false: grace_seconds, then without",
            "",
        ]
    )


def _national_toml(registry: RegistryConfig) -> list[str]:
    if registry.national_seal_certificate is None:
        return [
            '# national_seal_certificate = "sm2.pem"  # with national_seal_key: a second seal, SM2, on everything'
        ]
    return [
        f'national_seal_certificate = "{registry.national_seal_certificate}"  # SM2: a second seal on everything',
        f'national_seal_key = "{registry.national_seal_key}"',
    ]


def _names(seeds: Sequence[RegistrySeed]) -> str:
    return ", ".join(seed.id for seed in seeds)


def _toml(seeds: Sequence[RegistrySeed], part_cipher: PartCipher, both_suites: Collection[str]) -> str:
    registries = [
        RegistryConfig(
            id=seed.id,
            origin=f"ledger.example.org/{seed.id}",
            ledger_key=FileKey(Path(f"keys/ledger-{seed.id}.pem")),
            seal_certificate=Path(f"keys/seal-{seed.id}.pem"),
            seal_key=FileKey(Path(f"keys/seal-{seed.id}.key.pem")),
            national_seal_certificate=Path(f"keys/seal-{seed.id}-sm2.pem")
            if seed.id in both_suites
            else None,
            national_seal_key=FileKey(Path(f"keys/seal-{seed.id}-sm2.key.pem"))
            if seed.id in both_suites
            else None,
            part_cipher=part_cipher,
        )
        for seed in seeds
    ]
    return _HEAD + "\n".join(_registry_toml(registry) for registry in registries)


_HEAD = """\
# Diya gateway. Paths are relative to this file; every value can be overridden by the environment, for instance
# DIYA_SERVER__LISTEN=0.0.0.0:7443. The keys and certificates that `diya init` made are FOR DEVELOPMENT ONLY.

log_json = true      # one JSON line an event on standard error
sealing = true       # render and seal certificates after booking

[server]
listen = "127.0.0.1:7443"    # banks, registrars, auditors, operators: client certificate required
public = "127.0.0.1:7444"    # certificate verification and health, for anyone
metrics = "127.0.0.1:7445"   # Prometheus; empty to switch off
tiles = "127.0.0.1:7446"     # each registry's ledger for anyone's own tools, plain HTTP (C2SP tlog-tiles) under
                             # /<registry>/: checkpoint, hashes, entries, no part of any. Read only; empty to switch off
certificate = "keys/tls-server.pem"
key = "keys/tls-server.key.pem"
client_anchors = "keys/client-anchors.pem"
verification_url = "https://verify.example.org/c"  # printed as QR code, identifier and code behind it
grace_seconds = 10.0         # time that calls in hand get at a stop

[storage]
database = "sqlite:///data/diya.db"
files = "data/files"
key_encryption_key = "keys/kek"  # wraps every part key; without it evidence and register cannot be read any more
# key_encryption_key_wrapping = "file:kek.pin"  # or pkcs11:…; then `diya keys wrap-kek`
# key_encryption_key_backup = "/another/medium/kek"  # a copy of it, compared with it at every start

[limits]
message_bytes_max = 6291456      # one message: room for a payload of 4 MiB, its signatures and sections
file_bytes_max = 20971520        # one file
case_bytes_max = 209715200       # all files of one case
upload_idle_seconds_max = 20.0   # a stalled upload ends
call_seconds_max = 30.0

"""
