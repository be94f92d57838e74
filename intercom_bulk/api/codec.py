"""JSON in and out: orjson where the extra `fast` is installed, the standard library elsewhere."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["JSON", "decode", "encode"]

JSON = dict[str, Any]
"""A JSON object. The only place where `Any` is meant."""

try:
    import orjson
except ImportError:
    _fast = None
else:
    _fast = orjson


def decode(data: bytes) -> Any:
    """Parse UTF-8 JSON; raises ValueError for anything else, NaN and Infinity included."""
    return json.loads(data, parse_constant=_refuse) if _fast is None else _fast.loads(data)


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON."""
    if _fast is None:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    data: bytes = _fast.dumps(value, option=_fast.OPT_NON_STR_KEYS)
    return data


def _refuse(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)
