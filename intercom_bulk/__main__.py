"""python -m intercom_bulk"""

from __future__ import annotations

from intercom_bulk.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
