"""Numbers as shops write them: 1.234,50 or 1,234.50, with currency signs, a minus behind, or in brackets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

DecimalSign = Literal[".", ","]
SIGNS: Final[tuple[DecimalSign, ...]] = (".", ",")

_CODES: Final = (
    "EUR|USD|GBP|CHF|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|UAH|RUB|JPY|CNY|KRW|INR|AUD|NZD|CAD|BRL|MXN|ZAR|ILS|AED|SAR"
    "|SGD|HKD|THB|IDR|MYR|PHP|TWD|VND|ARS|CLP|COP|EGP|NGN|KES|RSD"
)
"""Any three letters would make a number of ART001."""
_CURRENCY: Final = rf"(?:[€$£¥₹₽₺₴₩]|zł|Kč|kr\.?|Fr\.?|R\$|(?i:{_CODES}))"
_DRESSED: Final = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+\u2212])?\s*{_CURRENCY}?\s*(?P<inner>[-+\u2212])?\s*(?P<body>[\d.,'’\s]*\d[.,]?(?:[eE][-+]?\d+)?)"
    rf"\s*{_CURRENCY}?\s*(?P<behind>[-\u2212])?\s*(?P<close>\))?"
)
_BODY: Final = {
    ".": re.compile(r"(?:\d{1,3}(?P<apart>[,'’\s])\d{3}(?:(?P=apart)\d{3})*|\d+)?(?:\.\d*)?(?:[eE][-+]?\d+)?"),
    ",": re.compile(r"(?:\d{1,3}(?P<apart>[.'’\s])\d{3}(?:(?P=apart)\d{3})*|\d+)?(?:,\d*)?(?:[eE][-+]?\d+)?"),
}
_PLAIN: Final = re.compile(r"-?\d+(?:\.\d+)?")
_THREE: Final = 3
_LONGEST: Final = 100
"""Characters of a number; what is longer is none."""
_SYMBOLS: Final = {"€": "EUR", "£": "GBP", "zł": "PLN", "Kč": "CZK", "₹": "INR", "₽": "RUB", "₺": "TRY", "₴": "UAH"}
"""Signs that stand for one currency; $, ¥ and kr stand for several."""


def parse_number(text: str, decimal: DecimalSign) -> float:
    """The number that a text is, NaN where it is none.

    >>> parse_number("1.234,50 €", ","), parse_number("(1,234.50)", "."), parse_number("12,50-", ",")
    (1234.5, -1234.5, -12.5)
    >>> parse_number("1.234,50", ".")
    nan
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return float("nan")
    if decimal == "." and _PLAIN.fullmatch(text):
        return float(text)
    # Of one blank each: how a run of them is shared out among the parts takes for ever to try.
    text = " ".join(text.split())
    dressed = _DRESSED.fullmatch(text)
    if dressed is None or bool(dressed["open"]) != bool(dressed["close"]):
        return float("nan")
    body = dressed["body"].strip()
    found = _BODY[decimal].fullmatch(body)
    if found is None:
        return float("nan")
    bare = re.sub(r"['’\s.]" if decimal == "," else r"['’\s,]", "", body).replace(",", ".")
    minus = [dressed[name] for name in ("open", "sign", "inner", "behind")]
    negative = sum(sign in {"(", "-", "\u2212"} for sign in minus if sign)
    if negative > 1:
        return float("nan")
    return -float(bare) if negative else float(bare)


def looks_like_number(text: str) -> bool:
    """Whether the text is a number with either decimal sign."""
    return any(number == number for number in (parse_number(text, sign) for sign in SIGNS))  # noqa: PLR0124 - not NaN


def currency_sign(text: str) -> str | None:
    """The currency that stands beside a number: its code, or a sign that may be of several; None where there is none.

    >>> currency_sign("€ 12,50"), currency_sign("12.50 USD"), currency_sign("$12"), currency_sign("12")
    ('EUR', 'USD', '$', None)
    """
    found = re.search(_CURRENCY, text)
    if found is None or not any(one.isdigit() for one in text):
        return None
    sign = found[0]
    return _SYMBOLS.get(sign, sign.upper() if sign.isascii() and len(sign) == _THREE and sign.isalpha() else sign)


def may_be(sign: str, currency: str) -> bool:
    """Whether what stands beside a price, as `currency_sign` tells it, can be that currency.

    >>> may_be("GBP", "EUR"), may_be("$", "CAD"), may_be("$", "EUR")
    (False, True, False)
    """
    return sign == currency if is_code(sign) else currency not in _SYMBOLS.values()


def is_code(sign: str) -> bool:
    """Whether a sign, as `currency_sign` tells it, stands for one currency alone."""
    return len(sign) == _THREE and sign.isascii() and sign.isupper()


@dataclass(slots=True)
class DecimalEvidence:
    """What numbers have shown so far of their decimal sign."""

    point: str = ""
    """A number that takes a decimal point; empty: none seen."""
    comma: str = ""
    """Likewise a decimal comma."""
    unclear: str = ""
    """A number that would be another with the other sign, as 1.234 would."""

    def look(self, texts: Iterable[str]) -> None:
        """Take in more numbers; what is none, such as a date, says nothing."""
        for text in texts:
            sign = _shown_by(text)
            if sign == "." and not self.point and looks_like_number(text):
                self.point = text
            elif sign == "," and not self.comma and looks_like_number(text):
                self.comma = text
            elif sign == "?" and not self.unclear and looks_like_number(text):
                self.unclear = text

    @property
    def decided(self) -> bool:
        """Whether looking on can change nothing for the better."""
        return bool(self.point or self.comma)

    @property
    def sign(self) -> DecimalSign | None:
        """The decimal sign; None where it is unclear, or numbers contradict each other."""
        if self.point and self.comma:
            return None
        if self.comma:
            return ","
        return None if self.unclear and not self.point else "."


def _shown_by(text: str) -> str:
    """`.` or `,`: the decimal sign that this number must have; `?`: it may be either; empty: it has neither."""
    digits = re.sub(r"[^\d.,]", "", text).strip(".,")
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return "." if digits.rindex(".") > digits.rindex(",") else ","
    if not points and not commas:
        return ""
    sign, other = (".", ",") if points else (",", ".")
    if points + commas > 1:
        return other  # 1.234.567
    whole, _, part = digits.partition(sign)
    if len(part) != _THREE or not 1 <= len(whole) <= _THREE or whole.startswith("0"):
        return sign
    return "?"
