"""The conformance kit as a pytest plugin, loaded by its entry point."""
