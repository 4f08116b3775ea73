"""The mortgage-registration gateway: the business on top of signing and ledger."""
