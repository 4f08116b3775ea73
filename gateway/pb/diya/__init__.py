"""Generated. The contract, by version."""
