"""Colours: those of figures are those of pages, and they can be told from what they stand on."""

import re
from pathlib import Path

import pytest

import dashboard
from dashboard.pages import theme

CSS = (Path(dashboard.__file__).parent / "assets" / "theme.css").read_text()


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_segment_can_be_seen(mode):
    for segment in (*range(-109, -100), *range(-3, 20)):
        assert contrast(theme.segment_color(segment, mode), theme.ink("surface", mode)) >= 3


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "muted", "accent", "good", "bad"])
@pytest.mark.parametrize("behind", ["surface", "page"])
def test_every_text_can_be_read(mode, text, behind):
    assert contrast(theme.ink(text, mode), theme.ink(behind, mode)) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_figures_have_the_colours_of_the_pages(mode):
    begin = r":root \{" if mode == "light" else r':root\[data-mode="dark"\] \{'
    block = re.search(begin + r"(.*?)\}", CSS, re.DOTALL)[1]
    said = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
    assert {name: said[name] for name in theme._INK[mode]} == theme._INK[mode]


def test_a_segment_keeps_its_colour_whatever_others_there_are():
    colors = [theme.segment_color(segment, "light") for segment in range(1, 10)]
    assert len(set(colors)) == len(colors)
