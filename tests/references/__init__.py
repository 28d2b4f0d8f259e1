"""Plain references for the exact-step tests."""
