"""The README that the demo leaves beside what it made: ten commands to try next."""

from __future__ import annotations

from pathlib import Path


def write_readme(folder: Path) -> None:
    """Write README.md and, for each caller, a client configuration."""
    for key, registry in (
        ("bank-a", "jiangyin"),
        ("bank-b", "taizhou"),
        ("registrar", "taizhou"),
        ("operator", "jiangyin"),
    ):
        (folder / f"client-{key}.toml").write_text(_client(key, registry), encoding="utf-8")
    certificate = next(iter(sorted((folder / "certificates").glob("*.pdf"))), Path("certificates/….pdf"))
    receipt = next(iter(sorted((folder / "receipts").glob("*.json"))), Path("receipts/….json"))
    (folder / "README.md").write_text(
        _TEXT.format(certificate=certificate.name, receipt=receipt.name), encoding="utf-8"
    )


def _client(key: str, registry: str) -> str:
    return f"""# Connection of {key} to the demo's gateway; paths are relative to this file.
target = "localhost:7443"
registry = "{registry}"
roots = "trust/server-roots.pem"
certificate = "clients/{key}/tls.pem"
key = "clients/{key}/tls.key.pem"
signing_certificate = "clients/{key}/sign.pem"
signing_key = "clients/{key}/sign.key.pem"
trust = "trust"
"""


_TEXT = """\
# What the demo left

`diya.toml` and `data/` are a gateway that can be served again; `certificates/` are sealed PDF files; `receipts/`
are the answers with their ledger receipts; `papers/` are the signed papers; `trust/` is all that anybody needs to
check them: anchors, revocation lists, the ledgers' verifier keys. Everybody in here is made up, every key is for
development only.

Run these in the folder above this one, with `.venv/bin` on your PATH.

1. Look at a certificate: `pdfsig "demo-out/certificates/{certificate}"` (package poppler-utils), or open it.
2. Verify it without us: `diya certificate verify "demo-out/certificates/{certificate}" --trust demo-out/trust`
3. Verify a receipt without us: `diya receipt verify demo-out/receipts/{receipt} --trust demo-out/trust`
4. Check every byte of both ledgers: `diya ledger verify --config demo-out/diya.toml`
5. Break one: `sqlite3 demo-out/data/diya.db "update ledger_entry set entry=x'00' where entry_index=3"`, then 4 again.
6. Serve it: `make serve` (or `diya serve --config demo-out/diya.toml`), and in another terminal:
7. List the bank's cases: `diya --config demo-out/client-bank-a.toml application list`
8. See its events from the beginning: `diya --config demo-out/client-bank-a.toml watch --catch-up-only`
9. Ask who you like over gRPC: `grpcurl -cacert demo-out/trust/server-roots.pem -cert demo-out/clients/bank-a/tls.pem \\
   -key demo-out/clients/bank-a/tls.key.pem localhost:7443 list`
10. Read the metrics: `curl -s localhost:7445/metrics | grep diya_`
"""
