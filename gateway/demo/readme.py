"""What the demo leaves for its reader: a README with commands to try next, and settings of `diya` for everyone."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.app import utc_now
from gateway.demo.cast import CLERK_NAME, CLERK_NUMBER
from gateway.demo.stage import (
    BOTH_SUITES,
    COUNTER_KEY,
    INSTITUTIONS,
    NATIONAL_KEYS,
    OPERATOR_KEY,
    REGISTRAR_KEY,
)
from gateway.register.calendar import CHINA

#: Whose settings are written, and which registry they call.
CLIENTS = {
    "bank-a": "jiangyin",
    "bank-a-branch": "jiangyin",
    "bank-b": "taizhou",
    "fund-centre": "taizhou",
    REGISTRAR_KEY: "taizhou",
    OPERATOR_KEY: "jiangyin",
    COUNTER_KEY: "taizhou",
}


@dataclass(frozen=True)
class Left:
    """A case of bank B's that the README's commands are about: a mortgage that is booked and alive."""

    application: str
    number: str
    receipt: str
    unit_code: str
    amount_fen: int


def write_readme(folder: Path, left: Left, ports: Sequence[int]) -> None:
    """Write README.md and, for each caller, the settings of `diya`."""
    for key, registry in CLIENTS.items():
        (folder / f"client-{key}.toml").write_text(client_settings(key, registry, ports), encoding="utf-8")
    here = folder.resolve()
    name = here.name
    (folder / "README.md").write_text(
        _TEXT.format(
            out=shlex.quote(name),
            broken=shlex.quote(f"{name}-broken"),
            bin=_programs(here.parent),
            certificate=shlex.quote(f"{name}/certificates/{left.number}.pdf"),
            receipt=shlex.quote(f"{name}/receipts/{left.receipt}"),
            application=left.application,
            unit=left.unit_code,
            amount=left.amount_fen,
            today=_today(),
            listen=ports[0],
            metrics=ports[2],
            tiles=ports[3],
            stamps=ports[3] + 1,
            suites=_suites(),
        ),
        encoding="utf-8",
    )


def client_settings(key: str, registry: str, ports: Sequence[int]) -> str:
    """Settings of somebody under clients/: complete, so that every command that is theirs works with them."""
    text = f"""\
# Settings of `diya` for {key} of the demo; paths are relative to this file.
target = "localhost:{ports[0]}"
public_target = "localhost:{ports[1]}"
registry = "{registry}"
roots = "trust/server-roots.pem"
certificate = "clients/{key}/tls.pem"
key = "clients/{key}/tls.key.pem"
signing_certificate = "clients/{key}/sign.pem"
signing_key = "clients/{key}/sign.key.pem"
trust = "trust"
checkpoints = "clients/{key}/checkpoints"
"""
    if key not in INSTITUTIONS:
        return text
    return f"""{text}channel_institution = "{INSTITUTIONS[key].id_number}"

[clerk]
name = "{CLERK_NAME}"
employee_number = "{CLERK_NUMBER}"
"""


def _suites() -> str:
    if not NATIONAL_KEYS:
        return "All sign with\nP-256: the extra `sm`, which brings SM2, is not installed."
    both = " and ".join(BOTH_SUITES)
    return (
        "Bank B signs its\nenvelopes and papers with SM2 and SM3, all others sign with P-256. What "
        f"{both} seals bears two seals, P-256\nand SM2; `pdfsig` judges the first and does not know the second."
    )


def _today() -> dt.date:
    return utc_now().astimezone(CHINA).date()


def _programs(base: Path) -> str:
    """Where `diya` is, as a shell started in `base` writes it."""
    programs = Path(sys.executable).parent
    if programs.is_relative_to(base):
        return f'"$PWD"/{shlex.quote(os.fspath(programs.relative_to(base)))}'
    return shlex.quote(os.fspath(programs))


_TEXT = """\
# What the demo left

`diya.toml` and `data/` are a gateway that can be served again; `certificates/` are sealed PDF files; `receipts/`
are the answers with their ledger receipts; `papers/` are the signed papers; `trust/` is all that anybody needs to
check them: anchors, revocation lists, the ledgers' verifier keys; `client-….toml` are everybody's settings of `diya`.
Everybody in here is made up, every key is for development only. {suites}

Ten commands to try next. Beside what `make demo` needs, only the first (`pdfsig`) and the ninth (`grpcurl`) want a
program more. Run them in the folder above this one, with `diya` on your PATH:

```sh
export PATH={bin}:"$PATH"
```

1. Look at a certificate: open it, or ask a program that is not ours (package poppler-utils).

   ```sh
   pdfsig {certificate}
   ```

   It finds the signature valid, and says that it does not know the certificate until it was told whom to trust:
   `certutil -N -d sql:trusted --empty-password` and `certutil -A -d sql:trusted -n registry -t ,C, -a -i
   {out}/trust/registry.pem` (package libnss3-tools, in a new folder `trusted`), then `pdfsig -nssdir sql:trusted`.

2. Verify it without us: seal, data against print, ledger proof.

   ```sh
   diya certificate verify {certificate} --trust {out}/trust
   ```

3. Verify a receipt without us.

   ```sh
   diya receipt verify {receipt} --trust {out}/trust
   ```

4. Check every byte of both ledgers.

   ```sh
   diya ledger verify --config {out}/diya.toml
   ```

5. Change one row of one ledger in a copy, and check again: it names the row and exits with 1, the other is whole.

   ```sh
   rm -rf {broken} && cp -r {out} {broken}
   python3 -c "import sqlite3; db = sqlite3.connect('{broken}/data/diya.db'); \\
   db.execute(\\"update ledger_entry set entry = x'00' where registry = 'taizhou' and entry_index = 3\\"); db.commit()"
   diya ledger verify --config {broken}/diya.toml
   ```

6. Serve it; the commands from here on want it running, in another terminal.

   ```sh
   diya serve --config {out}/diya.toml
   ```

   Seals of jiangyin bear a time stamp while `diya tsa serve` (for development only) runs beside it: `diya tsa serve
   --key {out}/keys/tsa.key.pem --certificate {out}/keys/tsa.pem --listen 127.0.0.1:{stamps}`.

7. List bank A's cases, then its events from the beginning.

   ```sh
   diya --config {out}/client-bank-a.toml application list
   diya --config {out}/client-bank-a.toml watch --catch-up-only
   ```

8. Ask whether the right still lives: a seal alone cannot say.

   ```sh
   diya --config {out}/client-bank-b.toml certificate verify {certificate} --online
   ```

9. Ask what you like over gRPC, without our client. `grpcurl` is a program of its own (github.com/fullstorydev/grpcurl);
   any other gRPC tool will do.

   ```sh
   grpcurl -cacert {out}/trust/server-roots.pem -cert {out}/clients/bank-b/tls.pem \\
       -key {out}/clients/bank-b/tls.key.pem -d '{{"name": "{application}"}}' \\
       localhost:{listen} diya.v1.RegistrationService/GetApplication
   ```

10. Read the metrics.

    ```sh
    python3 -c "import urllib.request as r; print(r.urlopen('http://localhost:{metrics}/metrics').read().decode())" \\
        | grep diya_
    ```

11. Take a registry's ledger as any program for transparency logs can read it (C2SP tlog-tiles): over plain HTTP, or all
    of it as files. No name and no amount is in it.

    ```sh
    python3 -c "import urllib.request as r; print(r.urlopen('http://localhost:{tiles}/jiangyin/checkpoint').read().decode())"
    diya ledger export {out}/ledger-export --config {out}/diya.toml
    ```

And as those who have a part in it: bank B signs that it paid out, the fund centre looks for what waits for it, the
registrar reads the case and the flat's row in the register, the operator looks at the institutions.

```sh
diya --config {out}/client-bank-b.toml party consent {application} \\
    --kind PAID_OUT --amount-fen {amount} --happened-on {today} --receipts {out}/receipts
diya --config {out}/client-fund-centre.toml party list
diya --config {out}/client-registrar.toml review show {application}
diya --config {out}/client-registrar.toml register show {unit}
diya --config {out}/client-operator.toml institution list
```
"""
