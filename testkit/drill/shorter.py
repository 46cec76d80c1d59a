"""The rules, with every wait and window divided: what Prometheus does in an hour it then does in minutes.

Only times of Prometheus are divided: ``for``, ranges and offsets, and the age of a process that belongs to such a window.
Thresholds stay: the pipeline measures what they are compared with, and its clock goes on as usual.
"""

import re
from typing import Any

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"\[(\d+)([smhd])\]")
_OFFSET = re.compile(r"\boffset (\d+)([smhd])\b")
_AGE = re.compile(r"(time\(\) - process_start_time_seconds\{[^}]*\} < )(\d+)")


def seconds(duration: str) -> int:
    """A duration as Prometheus writes it, of one unit.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    if found is None:
        raise ValueError(f"{duration!r} is no duration of one unit")
    return int(found[1]) * _UNITS[found[2]]


def shorter_rules(rules: dict[str, Any], speed: int, every: str) -> dict[str, Any]:
    """The content of a file of rules, ``speed`` times as fast and evaluated ``every`` so often."""
    groups = [
        group | {"interval": every, "rules": [_shorter(rule, speed) for rule in group["rules"]]} for group in rules["groups"]
    ]
    return rules | {"groups": groups}


def _shorter(rule: dict[str, Any], speed: int) -> dict[str, Any]:
    found = dict(rule)
    if "for" in rule:
        found["for"] = _divided(seconds(rule["for"]), speed)
    text = _RANGE.sub(lambda match: f"[{_divided(int(match[1]) * _UNITS[match[2]], speed)}]", rule["expr"])
    text = _OFFSET.sub(lambda match: f"offset {_divided(int(match[1]) * _UNITS[match[2]], speed)}", text)
    found["expr"] = _AGE.sub(lambda match: f"{match[1]}{int(match[2]) // speed}", text)
    return found


def _divided(duration: int, speed: int) -> str:
    # A range of less than a few scrapes has too few points for a rate.
    return f"{max(5, duration // speed)}s" if speed > 1 else f"{duration}s"
