"""Text on a terminal: what customers and producers wrote never controls it."""

from rich.text import Text


def plain(text: str) -> str:
    r"""The text with what is not printable (control characters, directions of writing, line breaks) escaped.

    >>> plain("a\x1b[31mb\u202e")
    'a\\x1b[31mb\\u202e'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def literal(text: str, style: str = "") -> Text:
    """The text for a rich table: printable, and its brackets are no markup."""
    return Text(plain(text), style=style)


def money(amount: float, currency: str) -> str:
    """An amount with its currency."""
    return f"{amount:,.2f} {currency}"
