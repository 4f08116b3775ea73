"""Generated from proto/diya/v1, one module per file and one per service."""
