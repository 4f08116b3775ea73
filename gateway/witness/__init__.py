"""A small witness (C2SP tlog-witness) that a bank runs beside its loan system: it needs nothing of the server's side.

`state` keeps what was cosigned, `settings` the witness's folder, `server` answers over HTTP, `asking` is the other end:
how a log asks a witness.
"""
