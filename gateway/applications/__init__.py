"""The life of an application: submit, review, booking, sealing, events. Pure."""
