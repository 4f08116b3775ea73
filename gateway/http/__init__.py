"""Plain HTTP both ways: what is asked of others within limits, and what is served beside gRPC."""
