"""`make bench`: ratios measured in one run beside their own limits. Never part of the tests."""
