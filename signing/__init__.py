"""What a signature is and whether it holds.

Algorithms, keys, certificates, chains, revocation, timestamps, envelopes, signed PDF files and
seals. This package knows nothing of mortgages and nothing of the ledger, opens no network
connection, and reads no clock: the time at which something is judged (`at`) is always a parameter.

Where to start reading:

- `envelope.py` and `verify.py`: the signed message that a bank sends (docs/envelope-format.md, byte
  for byte);
- `certificates.py` and `trust.py`: who a certificate names, and whether it chains to an anchor of
  the right purpose;
- `pdf.py` and `checking.py`: what a signed PDF says, found out in a process that may die;
- `seal.py`: signing a PDF; `timestamp.py`: what a time stamp proves;
- `pki.py`: a development PKI; `timestamp_authority.py`: an authority for development.
"""
