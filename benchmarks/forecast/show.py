"""The report of forecasts in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def show(figures: Mapping[str, Any]) -> None:
    """Print single figures first, then one table for each list."""
    _plain(figures)
    for name, value in figures.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            _table(name, value)


def _plain(figures: Mapping[str, Any], indent: str = "") -> None:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            print(f"{indent}{name}")
            _plain(value, indent + "  ")
        elif not (isinstance(value, list) and value and isinstance(value[0], Mapping | list)):
            print(f"{indent}{name:{32 - len(indent)}} {_cell(value)}")


def _table(title: str, lines: Sequence[Mapping[str, Any]]) -> None:
    flat = [_flat(line) for line in lines]
    names = list(flat[0])
    widths = [max(len(name), *(len(_cell(line[name])) for line in flat)) for name in names]
    print(f"\n{title}")
    print("  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)))
    for line in flat:
        print("  ".join(f"{_cell(line[name]):>{width}}" for name, width in zip(names, widths, strict=True)))


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """What stands one level deeper gets the first letters of where it stood: mae_naive."""
    found: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            short = "".join(part[0] for part in name.split("_"))
            found |= {f"{short}_{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,.4g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:,}"
        if isinstance(value, int | float)
        else str(value)
    )
