"""Signs PDFs with pyHanko's own signer, in an environment of its own: python pyhanko_files.py PKI BASE.pdf FOLDER."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pikepdf
from pyhanko.keys import load_cert_from_pemder, load_certs_from_pemder, load_private_key_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

PKI, OUT = Path(sys.argv[1]), Path(sys.argv[3])
BASE = Path(sys.argv[2]).read_bytes()


def stamper() -> DummyTimeStamper:
    """The authority of the PKI, at today's time."""
    store = SimpleCertificateStore()
    store.register_multiple(load_certs_from_pemder([PKI / "chain.pem"]))
    certificate = load_cert_from_pemder(PKI / "stamper.pem")
    return DummyTimeStamper(certificate, load_private_key_from_pemder(PKI / "stamper.key", None), store)


def sign(data: bytes, key: str = "p256", *, stamped: bool = False, password: str = "", **told: Any) -> bytes:
    """One more signature."""
    meta = {
        "field_name": "Sig1",
        "subfilter": fields.SigSeedSubFilter.PADES,
        "md_algorithm": "sha256",
        **told,
    }
    signer = signers.SimpleSigner.load(
        PKI / f"{key}.key", PKI / f"{key}.pem", ca_chain_files=[PKI / "chain.pem"]
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    if password:
        writer.encrypt(password)
    pdf_signer = signers.PdfSigner(
        signers.PdfSignatureMetadata(**meta), signer=signer, timestamper=stamper() if stamped else None
    )
    return bytes(pdf_signer.sign_pdf(writer).getvalue())


def saved(**options: Any) -> bytes:
    """The base file, written by pikepdf in another shape."""
    out = io.BytesIO()
    pikepdf.open(io.BytesIO(BASE)).save(out, **options)
    return out.getvalue()


def with_lock() -> bytes:
    """A field whose signature locks the document."""
    writer = IncrementalPdfFileWriter(io.BytesIO(BASE))
    lock = fields.FieldMDPSpec(fields.FieldMDPAction.ALL)
    fields.append_signature_field(writer, fields.SigFieldSpec("Sig1", field_mdp_spec=lock))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def main() -> None:
    """Write every file."""
    context = ValidationContext(
        trust_roots=load_certs_from_pemder([PKI / "root.pem"]),
        other_certs=load_certs_from_pemder([PKI / "sub.pem"]),
        allow_fetching=False,
        revocation_mode="soft-fail",
    )
    archived = {"validation_context": context, "embed_validation_info": True, "use_pades_lta": True}
    compressed = saved(object_stream_mode=pikepdf.ObjectStreamMode.generate)
    encrypted = saved(encryption=pikepdf.Encryption(owner="o", user="u", R=6))
    files = {
        "three-signers": sign(
            sign(sign(compressed), "person", field_name="Sig2"), "p384", field_name="Sig3", stamped=True
        ),
        "certified": sign(BASE, certify=True, docmdp_permissions=fields.MDPPerm.NO_CHANGES),
        "locked-then-signed": sign(sign(with_lock()), "person", field_name="Sig2"),
        "archived": sign(BASE, stamped=True, **archived),
        "adobe": sign(BASE, subfilter=fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED),
        "linearized-ed25519": sign(saved(linearize=True), "ed25519", md_algorithm="sha512"),
        "encrypted": sign(encrypted, password="u"),
        "sha1": sign(BASE, "rsa2048", md_algorithm="sha1"),
    }
    for name, data in files.items():
        (OUT / f"pyhanko-{name}.pdf").write_bytes(data)


main()
