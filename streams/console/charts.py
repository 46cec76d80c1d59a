"""Bar charts as SVG, drawn on the server: no script, no library, and colours from the style sheet."""

from dataclasses import dataclass

_WIDTH = 480.0
_HEIGHT = 120.0
_GAP = 4.0
_LEAST = 2.0
"""The height of a bar that is not 0, so that one is seen beside ten thousand."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the chart's own units; ``value`` for its title."""

    x: float
    y: float
    width: float
    height: float
    value: int
    hour: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's bars, its size, the highest value and the sum."""

    bars: list[Bar]
    width: float
    height: float
    most: int
    total: int


def bars(values: list[int], starts: list[int]) -> Chart:
    """One bar for each value; ``starts`` are the beginnings of what they count (epoch ms)."""
    most = max(values, default=0)
    step = _WIDTH / max(1, len(values))
    drawn = []
    for index, (value, start) in enumerate(zip(values, starts, strict=True)):
        height = 0.0 if not value else max(_LEAST, _HEIGHT * value / most)
        drawn.append(
            Bar(round(index * step, 1), round(_HEIGHT - height, 1), round(step - _GAP, 1), round(height, 1), value, start)
        )
    return Chart(drawn, _WIDTH, _HEIGHT, most, sum(values))
