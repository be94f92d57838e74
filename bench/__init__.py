"""Measurements on the sandbox: `python -m bench --help`. Not part of the package."""
