"""Taking a campaign further: starting it, ending it early, working out what came of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from consumer.clock import ClockKind
from consumer.currency import Rates
from consumer.layout import Limits
from consumer.state import State
from contracts.campaigns import MAX_DAYS, Campaign, CampaignResults, Effect, GroupOutcome
from contracts.partitioning import partition_of
from contracts.times import DAY, from_micros, rfc3339, to_micros
from livesegments.campaigns.book import CampaignBook
from livesegments.campaigns.effect import conversion_effect, spend_effect
from livesegments.campaigns.errors import CampaignError, OutcomesGoneError
from livesegments.campaigns.freezing import check_whole
from livesegments.campaigns.members import Members
from livesegments.campaigns.outcomes import Erased, Outcomes, Window, read_outcomes
from livesegments.records import clock_now, count_partitions, newest_time, read_records, unpack
from livesegments.screen import plain
from logs.base import Logs
from recommender.lift import missing

HELD_AFTER: Final = 14 * DAY
"""So long after late events can no longer come, a log that lets go of what was read still keeps a campaign's days."""


@dataclass(frozen=True, slots=True)
class Campaigns:
    """The campaigns of one deployment and what they are worked out from."""

    state: State
    logs: Logs
    log: str
    """Name of the log of events."""
    clock: ClockKind
    rates: Rates
    limits: Limits
    keep_seconds: Callable[[int], int]
    """So long are members kept that are needed for so many microseconds from now on."""

    @property
    def book(self) -> CampaignBook:
        """Where they are kept."""
        return CampaignBook(self.state)

    @property
    def now(self) -> int:
        """By the deployment's clock, microseconds UTC."""
        return clock_now(self.state, count_partitions(self.state) or 0, self.clock)

    def start(self, name: str, at: int | None = None) -> Campaign:
        """Have purchases count from now on, or from a later moment. Raises CampaignError, LogError, StateError."""
        book = self.book
        campaign = book.find(name)
        if campaign.started_at is not None:
            raise CampaignError(f"campaign {plain(name)} was started on {campaign.started_at:%Y-%m-%d %H:%M} UTC")
        members = book.members(campaign)
        if at is not None and at < self.now:
            raise CampaignError(
                f"{rfc3339(at)} is over: what customers did before a campaign is started can not be counted for it;"
                " leave --at out to start now"
            )
        if at is not None and at > self.now + MAX_DAYS * DAY:
            raise CampaignError(
                f"{rfc3339(at)} is more than {MAX_DAYS} days ahead: start the campaign when it is nearer"
            )
        self._check_retention(campaign, 0 if at is None else at - self.now)
        while True:
            started = self._started(campaign, at)
            members = self._still_there(campaign, members)
            self._keep_until(campaign, members, to_micros(started.ends_at or started.created_at))
            campaign = book.replace(campaign, started)
            # A log that lets go of what was read may have done so before it knew of the campaign; from now on it does.
            if not self._gone(campaign):
                return campaign

    def _started(self, campaign: Campaign, at: int | None) -> Campaign:
        # Positions first: whatever is not counted in rows by then stands behind them.
        partitions = count_partitions(self.state) or 0
        positions, identity = _positions(self.state, partitions)
        begin = max(self.now if at is None else at, newest_time(self.state, partitions) + 1)
        return campaign.model_copy(
            update={
                "started_at": from_micros(begin),
                "ends_at": from_micros(begin + campaign.days * DAY),
                "positions": positions,
                "log_identity": identity,
            }
        )

    def _still_there(self, campaign: Campaign, members: Members) -> Members:
        """Without whom an erasure took away since the freezing: what is read of the log begins behind it."""
        partitions = count_partitions(self.state) or 0
        check_whole(self.state, partitions)
        created = to_micros(campaign.created_at)
        there = {
            members.place(records.customer_ids[row])
            for records in read_records(self.state, range(partitions))
            for row in np.flatnonzero(records.header["erase_floor"] <= created).tolist()
        }
        gone = [place for place in range(len(members)) if place not in there]
        return members.without(gone) if gone else members

    def _check_retention(self, campaign: Campaign, ahead: int) -> None:
        """`ahead`: so many microseconds before it begins it is started."""
        kept = self.logs.retention_ms(self.log)
        needed = ahead + campaign.days * DAY + self.limits.lateness
        wait = "until it begins, " if ahead else ""
        if kept is not None and kept * 1000 < needed:
            raise CampaignError(
                f"the log {self.log} keeps events for {kept * 1000 / DAY:.0f} days, and campaign {plain(campaign.name)}"
                f" needs {needed / DAY:.0f} ({wait}its days and allowed_lateness): what it brought is"
                " counted from the log; have the log keep more, or make a shorter campaign"
            )

    def stop(self, name: str) -> Campaign:
        """End a campaign now: what happened since it was started counts. Raises CampaignError, StateError."""
        book = self.book
        campaign = book.find(name)
        begin, end = _window(campaign)
        # Not before the newest event: there would be two truths about what was just told.
        now = max(self.now, newest_time(self.state, count_partitions(self.state) or 0) + 1)
        if now >= end:
            raise CampaignError(f"campaign {plain(name)} ended on {from_micros(end):%Y-%m-%d %H:%M} UTC by itself")
        if now <= begin:
            raise CampaignError(f"campaign {plain(name)} has not begun yet: delete it instead")
        return book.replace(
            campaign, campaign.model_copy(update={"ends_at": from_micros(now), "stopped": True, "results": None})
        )

    def results(self, name: str) -> Campaign:
        """Work out what came of a campaign, and keep it. What is final is not worked out again.

        Reads the log from where the campaign began. Raises CampaignError, LogError,
        StateError.
        """
        book = self.book
        campaign = book.find(name)
        begin, end = _window(campaign)
        if campaign.results is not None and campaign.results.final:
            return campaign
        now = self.now
        members = book.members(campaign)
        self._check_log(campaign)
        found = read_outcomes(
            self.logs.scan(self.log, positions=campaign.positions),
            members,
            Window(begin, end),
            self.rates,
            self.limits,
        )
        members, found = self._without_erased(campaign, members, found)
        told = tell(members, found, begin, end, now, final=now >= end + self.limits.lateness)
        gone = campaign.treated + campaign.control - len(members)
        return book.replace(campaign, campaign.model_copy(update={"results": told.model_copy(update={"left": gone})}))

    def _keep_until(self, campaign: Campaign, members: Members, end: int) -> None:
        self.state.put_campaign_members(campaign.number, members.pieces(), self.keep_seconds(max(0, end - self.now)))

    def _check_log(self, campaign: Campaign) -> None:
        log = self.logs.describe(self.log)
        if campaign.log_identity and log.identity != campaign.log_identity:
            raise OutcomesGoneError(
                f"the log {self.log} was made anew since campaign {plain(campaign.name)} began: what happened before"
                " that can not be counted"
            )
        if self._gone(campaign):
            raise OutcomesGoneError(
                f"the log {self.log} no longer holds what happened when campaign {plain(campaign.name)} began: it must"
                " keep events for the campaign's days and allowed_lateness after them"
            )

    def _gone(self, campaign: Campaign) -> bool:
        starts = self.logs.starts(self.log)
        return any(number < len(starts) and starts[number] > at for number, at in campaign.positions.items())

    def _without_erased(self, campaign: Campaign, members: Members, found: Outcomes) -> tuple[Members, Outcomes]:
        """Who was erased leaves the campaign for good."""
        partitions = count_partitions(self.state) or 1
        gone = sorted(
            {
                place
                for one in found.erased
                if self._is_gone(one, partitions) and (place := members.place(one.customer_id)) is not None
            }
        )
        if not gone:
            return members, found
        kept = members.without(gone)
        begin, end = _window(campaign)
        self._keep_until(campaign, kept, max(end, begin))
        return kept, Outcomes(np.delete(found.orders, gone), np.delete(found.net, gone), ())

    def _is_gone(self, erased: Erased, partitions: int) -> bool:
        """Whether the erasure has taken the customer away: one for silence may have been void."""
        if not erased.unless_newer:
            return True
        partition = partition_of(erased.customer_id, partitions)
        row = self.state.row(partition, erased.customer_id)
        if row is None:
            return True
        return int(unpack([erased.customer_id], [row], partition).header["erase_floor"][0]) >= erased.at


def tell(members: Members, found: Outcomes, begin: int, end: int, now: int, *, final: bool) -> CampaignResults:
    """What there is to say as of `now`: an effect only once the days are over, and only of enough customers."""
    treated = members.table["treated"]
    spend = found.spend
    groups = [_group(found.orders[group], spend[group]) for group in (treated, ~treated)]
    lacking: list[str] = []
    conversion = net_spend = None
    if now < end:
        lacking.append(f"{max(1, -(-(end - max(now, begin)) // DAY))} more days: an effect is told when they are over")
    else:
        lacking += [
            *missing("treated", groups[0].customers, groups[0].buyers),
            *missing("as controls", groups[1].customers, groups[1].buyers),
        ]
    if not lacking:
        conversion = _rounded(conversion_effect(*((one.buyers, one.customers) for one in groups)))
        net_spend = _rounded(spend_effect(spend, members.table["before"].astype(np.float64), treated))
    return CampaignResults(
        as_of=from_micros(now),
        final=final,
        treated=groups[0],
        control=groups[1],
        left=0,
        conversion=conversion,
        net_spend=net_spend,
        missing=tuple(lacking),
    )


def held_from(campaigns: Iterable[Campaign], now: int, lateness: int) -> dict[int, int]:
    """By partition, from where on the log is still needed by campaigns under way, as of `now` (microseconds UTC)."""
    found: dict[int, int] = {}
    for one in campaigns:
        if one.ends_at is None or (one.results is not None and one.results.final):
            continue
        if now <= to_micros(one.ends_at) + lateness + HELD_AFTER:
            for number, position in one.positions.items():
                found[number] = min(position, found.get(number, position))
    return found


def _positions(state: State, partitions: int) -> tuple[dict[int, int], str]:
    metas = {number: state.meta(number) for number in range(partitions)}
    identity = next((meta.log_identity for meta in metas.values() if meta is not None and meta.log_identity), "")
    found = {number: meta.position for number, meta in metas.items() if meta is not None and meta.position is not None}
    return found, identity


def _window(campaign: Campaign) -> tuple[int, int]:
    if campaign.started_at is None or campaign.ends_at is None:
        raise CampaignError(
            f"campaign {plain(campaign.name)} has not been started: livesegments campaign start, once the treated are"
            " written to"
        )
    return to_micros(campaign.started_at), to_micros(campaign.ends_at)


def _group(orders: np.ndarray, spend: np.ndarray) -> GroupOutcome:
    return GroupOutcome(
        customers=len(orders),
        buyers=int(np.count_nonzero(orders)),
        orders=int(orders.sum()),
        net_spend=round(float(spend.sum()), 6),
    )


def _rounded(found: Effect) -> Effect:
    # Sums of floats hang on the order of rows in their last digits.
    return Effect(**{name: round(value, 9) for name, value in found})
