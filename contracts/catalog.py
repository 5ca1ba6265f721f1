"""What is known of an item, on the compacted log `catalog`, keyed by the item's id; an empty record takes it back."""

from pydantic import BaseModel, ConfigDict

from contracts.events import Identifier


class CatalogItem(BaseModel):
    """One item. Frozen; unknown fields are ignored, so that writers may be newer than readers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    item_id: Identifier
    name: str | None = None
    category: str | None = None
    in_stock: bool = True
    recommendable: bool = True
    """False for what nobody can want: postage, fees, vouchers, manual entries."""

    @property
    def offered(self) -> bool:
        """Whether it may be recommended now."""
        return self.in_stock and self.recommendable

    def encode(self) -> bytes:
        """The item as it stands on the log: compact JSON in UTF-8."""
        return self.model_dump_json(exclude_none=True).encode()


def parse_item(record: bytes) -> CatalogItem:
    """The item of a record. Raises pydantic.ValidationError, whose text says what is wrong."""
    return CatalogItem.model_validate_json(record)
