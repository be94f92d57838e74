"""python -m intercom_bulk.sandbox --conversations 5000 --latency-ms 250"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import threading
from dataclasses import fields
from typing import Any

from intercom_bulk.sandbox.options import SandboxOptions
from intercom_bulk.sandbox.server import Sandbox


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise argparse.ArgumentTypeError("true or false")
    return value.lower() in ("true", "1", "yes")


def _words(value: str) -> tuple[str, ...]:
    return tuple(filter(None, value.split(",")))


def _numbers(value: str) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(value))


_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _flag,
    "str | None": str,
    "int | None": int,
    "float | None": float,
    "tuple[str, ...]": _words,
    "tuple[int, ...]": _numbers,
}


def _hint(kind: object) -> str:
    return str(kind).partition(" ")[0].partition("[")[0].upper()


def parser() -> argparse.ArgumentParser:
    """Every knob of SandboxOptions as an argument of the same name."""
    made = argparse.ArgumentParser(
        prog="python -m intercom_bulk.sandbox", description="A simulated Intercom workspace."
    )
    made.add_argument("--json", action="store_true", help="print one line of JSON instead of export lines")
    for field in fields(SandboxOptions):
        kind = _TYPES[str(field.type)]
        extra: dict[str, Any] = {"nargs": "?", "const": True} if kind is _flag else {}
        name = f"--{field.name.replace('_', '-')}"
        made.add_argument(name, type=kind, default=field.default, metavar=_hint(field.type), **extra)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    given = vars(parser().parse_args(arguments))
    as_json = given.pop("json")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sandbox = Sandbox(SandboxOptions(**given))
    gc.freeze()  # the population stays: walking it again and again would show as stalls of tens of milliseconds
    with sandbox:
        if as_json:
            print(json.dumps({"url": sandbox.url, "token": sandbox.token, "environ": sandbox.environ()}), flush=True)
        else:
            print(f"Sandbox at {sandbox.url}, token {sandbox.token}. Ctrl-C stops it.", flush=True)
            for name, value in sandbox.environ().items():
                print(f"export {name}={value}", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
