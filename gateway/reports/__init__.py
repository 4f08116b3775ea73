"""What a registry reports to its city: counted from the ledger's effects alone (handbook 2.5)."""
