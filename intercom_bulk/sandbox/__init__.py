"""A simulated Intercom workspace behind a real HTTP server on loopback, for rehearsals, tests and benchmarks."""

from intercom_bulk.sandbox.options import SandboxOptions
from intercom_bulk.sandbox.process import SandboxProcess
from intercom_bulk.sandbox.server import Sandbox

__all__ = ["Sandbox", "SandboxOptions", "SandboxProcess"]
