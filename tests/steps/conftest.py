"""The same surroundings as those of an undo."""

from __future__ import annotations

from tests.undo.conftest import make_intercom_sandbox, mixed, nobodys_environment, start

__all__ = ["make_intercom_sandbox", "mixed", "nobodys_environment", "start"]
