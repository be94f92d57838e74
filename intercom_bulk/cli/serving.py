"""`serve`: the run service, until somebody ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.making import settings
from intercom_bulk.cli.screen import Screen
from intercom_bulk.errors import UsageError
from intercom_bulk.settings import Settings

if TYPE_CHECKING:
    import argparse

    from intercom_bulk.service.serving import Service

__all__ = ["serve"]


def serve(given: argparse.Namespace) -> int:
    """Ctrl-C or SIGTERM ends it; runs that go on are stopped, resumable, and what is in flight is waited for."""
    try:
        from intercom_bulk.service import serving
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install 'intercom-bulk[service]'.") from error
    screen = Screen(given)
    chosen = Settings.service_token_from_env()
    token = serving.chosen_token(chosen, given.host)
    service = serving.Service(
        settings(given), token=token, host=given.host, port=given.port, names=given.allow_host, secure=given.https
    )
    screen.say(f"Serving on {service.address}, until Ctrl-C.", *_door(service, chosen=chosen is not None))
    service.run()
    screen.say("Stopped. Runs that went on can be resumed: intercom-bulk runs list --resumable")
    return Exit.DONE


def _door(service: Service, *, chosen: bool) -> list[str]:
    """How to get in. A token that somebody chose is known, and need not stand on a screen."""
    from intercom_bulk.service.serving import TOKEN_VARIABLE

    if chosen:
        return [f"Open {service.address}/login?token=... with the token of {TOKEN_VARIABLE}."]
    return [
        "In a browser:",
        f"  {service.login}",
        "With curl:",
        f'  -H "Authorization: Bearer {service.token}"',
    ]
