"""What a registry states under its seal, beside its certificates: the values, their bytes, and how they are verified.

Read by the gateway that makes them and by the client that checks them; it knows nothing of either.
"""
