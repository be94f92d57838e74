"""Close a simulated inbox at the speed limit of the API, and ask the server what it saw of it.

make demo
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from intercom_bulk.cli.demo import show


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=3000)
    parser.add_argument("--latency-ms", type=float, default=250)
    parser.add_argument("--search-latency-ms", type=float, default=600)
    return show(**vars(parser.parse_args()), what_next=WHAT_NEXT.format(python=python()))


def python() -> str:
    """How to call this Python from here."""
    here, running = Path.cwd(), Path(sys.executable)
    return str(running.relative_to(here)) if running.is_relative_to(here) else str(running)


WHAT_NEXT = """\
All is well. What next?
  {python} examples/close_inbox.py --sandbox     rehearse: a dry run; then add --apply
  cp .env.example .env && chmod 600 .env                   put your own token in it
  {python} examples/close_inbox.py --team NAME   a dry run on your own inbox: it changes nothing"""


if __name__ == "__main__":
    raise SystemExit(main())
