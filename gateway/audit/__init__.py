"""Whether what the ledger keeps as evidence still holds, asked again from nothing but itself."""
