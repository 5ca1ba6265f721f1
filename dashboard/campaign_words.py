"""A campaign in words: the same on a terminal and on a page."""

from typing import Final

from contracts.campaigns import Campaign, Effect, Expected
from contracts.times import DAY, to_micros

MINUS: Final = "\u2212"


def stage(campaign: Campaign, now: int) -> str:
    """How far it is, as of `now` (microseconds UTC)."""
    if campaign.started_at is None or campaign.ends_at is None:
        return "not started"
    begin, end = to_micros(campaign.started_at), to_micros(campaign.ends_at)
    if campaign.stopped:
        return f"stopped after {_days(end - begin)}"
    if now < begin:
        return f"begins {campaign.started_at:%Y-%m-%d %H:%M} UTC"
    if now < end:
        return f"day {(now - begin) // DAY + 1} of {campaign.days}"
    return f"over since {campaign.ends_at:%Y-%m-%d}"


def frozen(campaign: Campaign) -> list[str]:
    """Who is in it, and who is not."""
    groups = f"{campaign.treated:,} customers to be written to, {campaign.control:,} controls"
    told = [f"{groups} ({campaign.control_share:.0%}), of {campaign.audience_size:,} in {campaign.audience}"]
    out = []
    if campaign.without_consent:
        out.append(f"{campaign.without_consent:,} refused to be written to")
    if campaign.consent_unknown:
        out.append(f"of {campaign.consent_unknown:,} it is not known whether they agreed")
    if out:
        told.append(f"left out: {', '.join(out)}")
    return told


def detectable(expected: Expected, currency: str) -> list[str]:
    """What the campaign can be seen to do, before it begins."""
    rise, more = expected.conversion_detectable, expected.net_spend_detectable
    if rise is None or more is None:
        return [
            f"hardly anybody of them ordered in the last {expected.days} days, which tells nothing of how many will",
            *(_supposing(share, seen) for share, seen in expected.supposed),
        ]
    before = f"in the {expected.days} days before, {expected.conversion:.1%} of them ordered"
    of_it = f" ({more / expected.net_spend:.0%} of that)" if expected.net_spend > 0 else ""
    return [
        f"{before}; net spend was {expected.net_spend:,.2f} {currency} a customer",
        "the smallest effect that can be seen (80 % power, two-sided at 5 %):",
        f"  {_points(rise)} in the share of customers who order",
        f"  {_amount(more)} {currency} of net spend a customer{of_it}",
    ]


def _supposing(share: float, rise: float | None) -> str:
    seen = "no rise can be seen" if rise is None else f"{_points(rise)} more can be seen"
    return f"  if {share:.0%} of the controls order, {seen} (80 % power, two-sided at 5 %)"


def conversion_said(effect: Effect) -> str:
    """An effect on who orders, with its interval."""
    return f"{_points(effect.value)} (95 %: {_points(effect.low)} … {_points(effect.high)}){_clear(effect)}"


def spend_said(effect: Effect, currency: str) -> str:
    """An effect on net spend per customer, with its interval."""
    value, low, high = (_amount(one) for one in (effect.value, effect.low, effect.high))
    return f"{value} {currency} (95 %: {low} … {high}){_clear(effect)}"


def total_said(effect: Effect, treated: int, currency: str) -> str:
    """The same over all who were treated."""
    value, low, high = (_whole(treated * one) for one in (effect.value, effect.low, effect.high))
    return f"{value} {currency} in all (95 %: {low} … {high})"


def results_notes(campaign: Campaign) -> list[str]:
    """What is to be known about results: what is missing, and how sure they are."""
    found = campaign.results
    if found is None:
        return ["nothing is worked out yet: livesegments campaign results"]
    told = [f"not enough yet: it takes {', '.join(found.missing)}"] if found.missing else []
    if found.left:
        told.append(f"{found.left:,} members were erased since and are in neither group")
    if campaign.stopped and not found.missing:
        told.append("it was stopped early: whoever stops because of what is seen finds effects that are none too often")
    if not found.final:
        told.append("late events may still change it")
    return told


def _clear(effect: Effect) -> str:
    return "" if effect.clear else ": no difference is clear"


def _points(share: float) -> str:
    return f"{100 * share:+.2f} points".replace("-", MINUS)


def _amount(amount: float) -> str:
    return f"{amount:+,.2f}".replace("-", MINUS)


def _whole(amount: float) -> str:
    return f"{amount:+,.0f}".replace("-", MINUS)


def _days(micros: int) -> str:
    days = micros / DAY
    return "1 day" if round(days) == 1 else f"{days:.0f} days"
