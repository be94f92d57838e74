"""python -m intercom_bulk.sandbox --conversations 5000 --latency-ms 250"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import threading
from dataclasses import fields
from typing import Any

from intercom_bulk.sandbox.knobs import SENTENCES
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
    """What is shown in place of a value."""
    name = str(kind).partition(" ")[0].partition("[")[0]
    return {"str": "TEXT", "int": "N", "float": "X", "tuple": "LIST", "bool": "true|false"}[name]


def _default(value: object) -> str:
    """What it is when nobody says anything, unless that is nothing."""
    told = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f" ({told})" if value else ""


def parser(prog: str = "python -m intercom_bulk.sandbox") -> argparse.ArgumentParser:
    """Every knob of SandboxOptions as an argument of the same name."""
    made = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [--conversations N] [--latency-ms MS] [...]",
        description="A simulated Intercom workspace on this machine. Shares are between 0 and 1.",
    )
    made.add_argument("--json", action="store_true", help="print one line of JSON instead of export lines")
    for field in fields(SandboxOptions):
        kind = _TYPES[str(field.type)]
        extra: dict[str, Any] = {"nargs": "?", "const": True} if kind is _flag else {}
        name = f"--{field.name.replace('_', '-')}"
        told = SENTENCES.get(field.name, "") + _default(field.default)
        made.add_argument(name, type=kind, default=field.default, metavar=_hint(field.type), help=told, **extra)
    return made


def main(arguments: list[str] | None = None, *, prog: str = "python -m intercom_bulk.sandbox") -> int:
    """Serve until SIGINT or SIGTERM."""
    given = vars(parser(prog).parse_args(arguments))
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
