"""Names of Redis keys and of logs. The prefix is a setting; the layout under it is public where it says so."""

from dataclasses import dataclass
from typing import Final

EVENTS: Final = "customer-events"

BUCKETS: Final = 1024
"""Row hashes per partition. The first b buckets of every partition are a uniform sample of all customers."""


@dataclass(frozen=True, slots=True)
class LogNames:
    """The logs of one deployment."""

    prefix: str = ""

    @property
    def events(self) -> str:
        """Where producers publish what customers do."""
        return self.prefix + EVENTS

    @property
    def catalog(self) -> str:
        """What is known of items, compacted by item id."""
        return f"{self.prefix}catalog"

    @property
    def changes(self) -> str:
        """Who moved between segments."""
        return f"{self.prefix}segment-changes"

    @property
    def dead_letters(self) -> str:
        """Records of the events log that could not be used."""
        return f"{self.prefix}dead-letters"

    @property
    def audit(self) -> str:
        """Who took data out or had a customer erased, over the HTTP API."""
        return f"{self.prefix}audit"

    @property
    def all(self) -> tuple[str, ...]:
        """The logs that workers and producers need."""
        return (self.events, self.changes, self.dead_letters, self.catalog)


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key of one deployment."""

    prefix: str = "livesegments"

    # ---- public: what applications may read ----
    def customer(self, customer_id: str) -> str:
        """JSON: the view of one customer."""
        return f"{self.prefix}:customer:{customer_id}"

    def segment(self, segment_id: int) -> str:
        """JSON: the card of one segment."""
        return f"{self.prefix}:segment:{segment_id}"

    def segments(self) -> str:
        """JSON: all segments with their sizes."""
        return f"{self.prefix}:segments"

    def cold_start(self) -> str:
        """JSON: recommendations for somebody unknown."""
        return f"{self.prefix}:cold-start"

    def similar(self, item_id: str) -> str:
        """JSON: what is bought together with an item."""
        return f"{self.prefix}:similar:{item_id}"

    def popular(self, category: str | None = None) -> str:
        """JSON: what sells best, in all or in a category of the catalogue."""
        return f"{self.prefix}:popular" if category is None else f"{self.prefix}:popular:{category}"

    def catalogue(self) -> str:
        """Hash: item id to what the catalogue says of the item, as JSON. One cluster slot with the next two."""
        return f"{self.prefix}:{{catalogue}}:items"

    def withdrawn(self) -> str:
        """JSON: the items that may not be recommended now (out of stock, no products), with the catalogue's version."""
        return f"{self.prefix}:{{catalogue}}:withdrawn"

    def catalogue_version(self) -> str:
        """Decimal number, raised by each change of the catalogue: a reader whose copy has another one reads anew."""
        return f"{self.prefix}:{{catalogue}}:version"

    def model(self) -> str:
        """JSON: the current model document."""
        return f"{self.prefix}:model"

    def model_version(self, version: int) -> str:
        """JSON: an older model document."""
        return f"{self.prefix}:model:{version}"

    def review(self) -> str:
        """JSON: what the leader's last review found: curves over the number of segments, the choice, the shadow."""
        return f"{self.prefix}:review"

    def history(self, day: str) -> str:
        """JSON: one stream day, YYYY-MM-DD: sizes and revenue by segment, the matrix of moves."""
        return f"{self.prefix}:history:{day}"

    def audience_sizes(self, day: str) -> str:
        """JSON: how many customers were in each audience on one stream day, YYYY-MM-DD."""
        return f"{self.prefix}:audience-sizes:{day}"

    def feedback(self, day: str) -> str:
        """JSON: what became of what was shown on one UTC day, YYYY-MM-DD: impressions, clicks, purchases."""
        return f"{self.prefix}:feedback:{day}"

    def lift(self) -> str:
        """JSON: orders and net spend of customers with recommendations against those held out."""
        return f"{self.prefix}:lift"

    # ---- internal: documented, not public; may change with any version ----
    def meta(self, partition: int) -> str:
        """Hash: owner token, sequence number, position, log identity, clock of one partition."""
        return f"{self.prefix}:{{p{partition}}}:meta"

    def rows(self, partition: int, bucket: int) -> str:
        """Hash: customer id to packed row."""
        return f"{self.prefix}:{{p{partition}}}:rows:{bucket}"

    def items(self, partition: int) -> str:
        """Hash: number to item id; a row's lines name items by these numbers."""
        return f"{self.prefix}:{{p{partition}}}:items"

    def outbox(self, partition: int) -> str:
        """Hash: change id to the segment change that is still to be published."""
        return f"{self.prefix}:{{p{partition}}}:outbox"

    def erased(self, partition: int) -> str:
        """Hash: hash of an erased customer's id to the marker that refuses what is older."""
        return f"{self.prefix}:{{p{partition}}}:erased"

    def unviewed(self, partition: int) -> str:
        """Set: ids of erased customers whose view is still to be deleted."""
        return f"{self.prefix}:{{p{partition}}}:unviewed"

    def bonds(self, partition: int) -> str:
        """Hash: an id that was joined, or that others are joined to, to what it and they did by themselves."""
        return f"{self.prefix}:{{p{partition}}}:bonds"

    def days(self, partition: int) -> str:
        """Hash: stream day to what happened in the partition: moves, sales, sizes."""
        return f"{self.prefix}:{{p{partition}}}:days"

    def feedback_days(self, partition: int) -> str:
        """Hash: UTC day to the numbers of impressions in the partition."""
        return f"{self.prefix}:{{p{partition}}}:feedback"

    def model_fence(self) -> str:
        """Hash: the number of the leader that published last, and the current version. One slot with the model."""
        return f"{self.prefix}:{{{self.model()}}}:fence"

    def catalogue_fence(self) -> str:
        """Decimal number: the leader that wrote the catalogue last. One cluster slot with what it guards."""
        return f"{self.prefix}:{{catalogue}}:fence"

    def leader_notes(self) -> str:
        """Hash: what the leader keeps in mind beside the model: the pin, the shadow, what was announced."""
        return f"{self.prefix}:model:notes"

    def model_requests(self) -> str:
        """Hash: id to what somebody asks of the leader (JSON), then to its answer."""
        return f"{self.prefix}:model:requests"

    def segment_names(self) -> str:
        """Hash: segment id to the name (and strategy) that a user gave it, as JSON."""
        return f"{self.prefix}:segment-names"

    def audiences(self) -> str:
        """Hash: name of an audience to the number of its bit in rows; for ever."""
        return f"{self.prefix}:audiences"

    def campaigns(self) -> str:
        """Hash: name of a campaign to its document, as JSON; its figures name no customer."""
        return f"{self.prefix}:campaigns"

    def campaign_members(self, number: str) -> str:
        """Hash: a campaign's frozen members in pieces: a keyed hash of each id, group, spend before. Expires."""
        return f"{self.prefix}:campaign-members:{number}"

    def item_model(self) -> str:
        """Hash: what was learnt last about items bought together (bytes), its version, the leader who published it."""
        return f"{self.prefix}:item-model"

    def forecast(self) -> str:
        """Hash: the forecast document, its version, the leader who published it, what the next review goes on from."""
        return f"{self.prefix}:forecast"

    def popularity(self) -> str:
        """Hash: worker to its items' popularity, as the others add them up."""
        return f"{self.prefix}:popularity"

    def sums(self) -> str:
        """Hash: partition to the sums over its rows, as the leader adds them up."""
        return f"{self.prefix}:sums"

    def workers(self) -> str:
        """Hash: worker to what it says of itself, as JSON; `livesegments watch` shows it."""
        return f"{self.prefix}:workers"

    def imports(self) -> str:
        """Hash: hash of a command and its files to what the newest import or replay of them came to, as JSON."""
        return f"{self.prefix}:imports"

    def ended_sessions(self) -> str:
        """Hash: nonce of a session of the pages that somebody has logged out of, to when it would have been over."""
        return f"{self.prefix}:ended-sessions"

    def webhook(self, name: str) -> str:
        """Hash: how far a webhook's endpoint was told, and how it is doing. One cluster slot with the next three."""
        return f"{self.prefix}:{{webhook-{name}}}:kept"

    def webhook_letters(self, name: str) -> str:
        """Sorted set: where changes stand on their log that were given up for the endpoint, by when."""
        return f"{self.prefix}:{{webhook-{name}}}:letters"

    def webhook_again(self, name: str) -> str:
        """Sorted set: those of them that are to be tried again, by until when somebody does."""
        return f"{self.prefix}:{{webhook-{name}}}:again"

    def webhook_about(self, name: str) -> str:
        """Hash: partition and position to how often such a change was tried, and the last error, as JSON."""
        return f"{self.prefix}:{{webhook-{name}}}:about"
