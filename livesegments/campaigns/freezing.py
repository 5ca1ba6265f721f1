"""Making a campaign: who is in an audience now, who of them may be written to, who of those is a control."""

from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np

from consumer.layout import HEADER
from consumer.state import State
from contracts.campaigns import MAX_DAYS, Campaign, Expected
from contracts.times import DAY, from_micros
from livesegments.campaigns.book import CampaignBook, checked_name
from livesegments.campaigns.consent import Consent, Given
from livesegments.campaigns.effect import detectable_conversion, detectable_spend
from livesegments.campaigns.errors import CampaignError
from livesegments.campaigns.members import Members, new_number, salt_of
from livesegments.campaigns.recent import Recent, RecentRows, recent_behaviour, spend_before
from livesegments.records import Records, are_whole, count_partitions, read_records
from livesegments.row_lists import audience_bit
from livesegments.screen import plain
from recommender.holdout import MAX_SHARE, held_out

CONTROL: Final = 0.1
DAYS: Final = 28
FEW: Final = 10
"""With fewer buyers in the days before, these tell nothing of the days to come."""
_SUPPOSED: Final = (0.01, 0.05)
"""Shares who order that are supposed then."""
_LEAST: Final = 2
"""Customers of a group: of one there is no spread."""


def freeze(
    state: State,
    name: str,
    audience: str,
    condition: str,
    consent: Consent,
    *,
    control: float,
    days: int,
    now: int,
    keep_seconds: Callable[[int], int],
) -> Campaign:
    """Freeze an audience as a campaign that is not yet started, and keep it.

    `keep_seconds`: so long members are kept that are needed for so many microseconds from now on. Raises CampaignError,
    NoSuchAudienceError, StateError.
    """
    name = checked_name(name)
    if not 0 < control <= MAX_SHARE:
        raise CampaignError(f"the control group must be a share above 0 and at most {MAX_SHARE:g}, not {control:g}")
    if not 1 <= days <= MAX_DAYS:
        raise CampaignError(f"a campaign has 1 to {MAX_DAYS} days, not {days}")
    book = CampaignBook(state)
    book.check_free(name)
    since = now - days * DAY
    rows = _Frozen(consent, since)
    bit = audience_bit(state, audience)
    partitions = count_partitions(state) or 0
    check_whole(state, partitions)
    for records in read_records(state, range(partitions)):
        rows.add(records, np.flatnonzero(records.header["audiences"] & bit).tolist())
    check_whole(state, partitions)
    controls = held_out(rows.ids, control, salt_of(name))
    treated_count, control_count = int((~controls).sum()), int(controls.sum())
    if min(treated_count, control_count) < _LEAST:
        raise CampaignError(
            f"{len(rows.ids):,} customers in {plain(audience)} may be written to"
            f" ({rows.said[Given.NO]:,} refused, of {rows.said[Given.UNKNOWN]:,} it is not known, of {rows.size:,}):"
            f" {treated_count:,} would be treated and {control_count:,} be controls, and each takes {_LEAST} at least"
        )
    recent = recent_behaviour(RecentRows(rows.header, rows.heads), since)
    campaign = Campaign(
        name=name,
        number=new_number(),
        audience=audience,
        condition=condition,
        days=days,
        control_share=control,
        created_at=from_micros(now),
        audience_size=rows.size,
        without_consent=rows.said[Given.NO],
        consent_unknown=0 if consent.unknown else rows.said[Given.UNKNOWN],
        treated=treated_count,
        control=control_count,
        expected=expected(recent, days, treated_count, control_count),
    )
    members = Members.of(campaign.number, rows.ids, ~controls, spend_before(rows.header, now))
    book.add(campaign, members, keep_seconds(days * DAY))
    return campaign


def check_whole(state: State, partitions: int) -> None:
    """Raises CampaignError where some customers may be missing."""
    if not are_whole(state, partitions):
        raise CampaignError(
            "customers' rows are being written whole (snapshot restore, repartition or rebuild): try again when that"
            " has ended"
        )


def expected(recent: Recent, days: int, treated: int, control: int) -> Expected:
    """What can be seen of a campaign whose customers behave as in as many days before."""
    enough = recent.buyers >= FEW
    share = recent.buyers / recent.customers
    return Expected(
        days=days,
        conversion=share,
        net_spend=recent.mean,
        conversion_detectable=detectable_conversion(share, treated, control) if enough else None,
        net_spend_detectable=detectable_spend(recent.unexplained, treated, control) if enough else None,
        supposed=() if enough else tuple((one, detectable_conversion(one, treated, control)) for one in _SUPPOSED),
    )


class _Frozen:
    """The customers who may be written to, as they are read."""

    def __init__(self, consent: Consent, since: int) -> None:
        self.size = 0
        self.said: Counter[Given] = Counter()
        self.ids: list[str] = []
        self.heads: list[bytes] = []
        """Of who bought or gave back anything since then; of the others nothing is to be looked at."""
        self._since = since
        self._consent = consent
        self._headers: list[np.ndarray] = []

    def add(self, records: Records, places: list[int]) -> None:
        """Take those at these places."""
        allowed = []
        for place in places:
            given = self._consent.given(records.attributes[place])
            self.said[given] += 1
            if given is Given.YES or (given is Given.UNKNOWN and self._consent.unknown):
                allowed.append(place)
        self.size += len(places)
        self.ids += [records.customer_ids[place] for place in allowed]
        lately = (records.header["newest_at"] >= self._since).tolist()
        self.heads += [records.heads[place] if lately[place] else b"" for place in allowed]
        self._headers.append(records.header[allowed])

    @property
    def header(self) -> np.ndarray:
        """(customers,), dtype HEADER."""
        return np.concatenate(self._headers) if self._headers else np.empty(0, HEADER)
