"""Pixels and files: the only place where images change their range or layout."""
