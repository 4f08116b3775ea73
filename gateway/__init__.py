"""The mortgage-registration gateway: the business on top of signing and ledger."""

import os

# gRPC's core writes log lines of its own to stderr, past every setting of ours, for what its callers are told anyway by
# the status of their call. It reads this once, when it is imported; whoever sets it gets them back.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
