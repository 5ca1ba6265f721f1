"""The questions about customers and items, without I/O: what is read for each, and what is made of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import msgspec
import pydantic
from msgspec.structs import replace

from contracts.documents import VERSION, SegmentCard, SegmentList
from contracts.keys import Keys
from recommender.answers import (
    ItemList,
    Recommendations,
    Withdrawn,
    decode_category,
    decode_cold_start,
    decode_popular,
    decode_similar,
    decode_view,
    unusable,
)
from recommender.choosing import Choice, first, offered
from recommender.near_cache import NearCache
from recommender.reading import NOTHING_WITHDRAWN, Decoder, DocumentReading, Documents, Reading, Wanted
from recommender.store import ViewsUnavailableError

_Document = TypeVar("_Document", SegmentCard, SegmentList)

AS_IT_IS: Final = Choice()
"""The whole list."""
_MOST_STEPS: Final = 8
"""From an id to its customer: ids that are joined to joined ids."""


class Questions:
    """Each question is a generator that reads (see `reading`) and returns the answer.

    Every one raises ViewsUnavailableError where Redis does not answer and never did, BrokenDocumentError and
    NewerDocumentError where a stored document can not be used.
    """

    def __init__(self, keys: Keys, documents: DocumentReading) -> None:
        self._keys = keys
        self._documents = documents
        self._customer = keys.customer("")

    def get(self, customer_id: str, choice: Choice) -> Reading[Recommendations]:
        """Segment and recommendations of one customer."""
        key = self._customer + customer_id
        found = yield from self._documents.read({key: decode_view})
        view = found.values[key]
        if view is not None and view.joined_to is not None:
            found = yield from self._followed(found, [customer_id])
            view = found.values[key]
        if view is None:
            nobody = yield from self._nobody()
            if found.error and nobody.as_of is None:
                raise found.error
            answer = replace(nobody, customer_id=customer_id)
        else:
            answer = _shown(view, found.withdrawn, stale=found.error is not None)
        if choice.category is None:
            return answer if choice is AS_IT_IS else replace(answer, items=choice.of(answer))
        return (yield from self._of_category({customer_id: answer}, choice))[customer_id]

    def get_many(self, customer_ids: Sequence[str], choice: Choice) -> Reading[dict[str, Recommendations]]:
        """The same of many, in the order of their ids."""
        if not customer_ids:
            return {}
        wanted: dict[str, Decoder] = dict.fromkeys([self._customer + each for each in customer_ids], decode_view)
        if len(wanted) > 1:
            # Of many, somebody will be unknown.
            wanted[self._keys.cold_start()] = decode_cold_start
        found = yield from self._documents.read(wanted)
        joined = [each for each in customer_ids if (view := found.values[self._customer + each]) and view.joined_to]
        if joined:
            found = yield from self._followed(found, joined)
        stale = found.error is not None
        answers: dict[str, Recommendations | None] = {}
        for customer_id in customer_ids:
            view = found.values[self._customer + customer_id]
            answers[customer_id] = view and _shown(view, found.withdrawn, stale=stale)
        if None in answers.values():
            nobody = yield from self._nobody(found)
            if found.error and nobody.as_of is None and not any(answers.values()):
                raise found.error
            answers = {
                customer_id: answer or replace(nobody, customer_id=customer_id)
                for customer_id, answer in answers.items()
            }
        complete = cast("dict[str, Recommendations]", answers)
        if choice.category is not None:
            return (yield from self._of_category(complete, choice))
        if choice is AS_IT_IS:
            return complete
        return {each: replace(answer, items=choice.of(answer)) for each, answer in complete.items()}

    def similar_items(self, item_id: str, n: int | None, exclude: Collection[str]) -> Reading[ItemList]:
        """What is bought together with an item."""
        found = yield from self._list(self._keys.similar(item_id), decode_similar)
        return replace(found, items=first(found.items, n, exclude))

    def popular(self, n: int | None, category: str | None, exclude: Collection[str]) -> Reading[ItemList]:
        """What sells best, in all or in a category."""
        found = yield from self._list(self._keys.popular(category), decode_popular)
        if found.as_of is None and category is None:
            # Workers that publish no list of what is popular have the cold start.
            nobody = yield from self._nobody()
            found = ItemList(nobody.items, nobody.as_of, nobody.stale)
        return replace(found, items=first(found.items, n, exclude))

    def segment(self, segment_id: int) -> Reading[SegmentCard | None]:
        """What there is to say about a segment; None where there is no such segment."""
        return (yield from self._document(self._keys.segment(segment_id), SegmentCard))

    def segments(self) -> Reading[SegmentList | None]:
        """Every segment with its size; None before there are any."""
        return (yield from self._document(self._keys.segments(), SegmentList))

    def model(self) -> Reading[Mapping[str, Any] | None]:
        """The current model document; None before there is one."""
        key = self._keys.model()
        (document,) = yield Wanted([key])
        if document is None:
            return None
        try:
            return msgspec.json.decode(document, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise unusable(key, document, error) from error

    def _document(self, key: str, model: type[_Document]) -> Reading[_Document | None]:
        (document,) = yield Wanted([key])
        if document is None:
            return None
        try:
            decoded = model.model_validate_json(document)
        except pydantic.ValidationError as error:
            raise unusable(key, document, error) from error
        if decoded.v > VERSION:
            raise unusable(key, document, None)
        return decoded

    def _followed(self, found: Documents, joined_ids: Sequence[str]) -> Reading[Documents]:
        """The documents with the customers' own views for ids that are joined to them: mostly one more round trip."""
        key = self._customer
        ends = {each: found.values[key + each].joined_to for each in joined_ids}
        values, error = dict(found.values), found.error
        for _ in range(_MOST_STEPS):
            unread = dict.fromkeys([key + to for to in ends.values() if key + to not in values], decode_view)
            if unread:
                more = yield from self._documents.read(unread)
                values.update(more.values)
                found, error = more, error or more.error
            steps = {each: view.joined_to for each, to in ends.items() if (view := values[key + to]) and view.joined_to}
            if not steps:
                break
            ends.update(steps)
        for each, to in ends.items():
            view = values.get(key + to)
            # None while the customer's view is still to be written, and where ids just joined point at each other.
            if view is not None and view.joined_to is None:
                values[key + each] = replace(view, customer_id=each, joined_to=to)
            else:
                values[key + each] = None
        return Documents(values, found.withdrawn, error)

    def _nobody(self, found: Documents | None = None) -> Reading[Recommendations]:
        """What somebody unknown gets; nothing before there is anything. `found` may have it."""
        key = self._keys.cold_start()
        if found is None or key not in found.values:
            found = yield from self._documents.read({key: decode_cold_start})
        cold_start = found.values[key]
        nobody = Recommendations("", (), known=False) if cold_start is None else cold_start.answer("")
        return _shown(nobody, found.withdrawn, stale=found.error is not None)

    def _list(self, key: str, decode: Decoder) -> Reading[ItemList]:
        found = yield from self._documents.read({key: decode})
        items = found.values[key]
        if items is None:
            # Where Redis does not answer, an empty list is an answer too: pages leave such a box out.
            return ItemList((), stale=found.error is not None)
        return ItemList(offered(items.items, found.withdrawn), items.as_of, found.error is not None)

    def _of_category(self, answers: dict[str, Recommendations], choice: Choice) -> Reading[dict[str, Recommendations]]:
        """The answers with items of one category."""
        popular = yield from self._list(self._keys.popular(choice.category), decode_popular)
        item_ids = list(dict.fromkeys(item.item_id for answer in answers.values() for item in answer.items))
        categories, stale = {}, popular.stale
        if item_ids:
            key = self._keys.catalogue()
            try:
                entries = yield Wanted(item_ids, key)
            except ViewsUnavailableError:
                stale = True
            else:
                categories = {
                    item_id: decode_category(key, entry)
                    for item_id, entry in zip(item_ids, entries, strict=True)
                    if entry is not None
                }
        return {
            each: replace(
                answer, items=choice.in_category(answer, categories, popular.items), stale=answer.stale or stale
            )
            for each, answer in answers.items()
        }


class NearAnswers:
    """Answers for which all that it takes is in the near-cache: no generator, no key is built twice, no lock."""

    def __init__(self, keys: Keys, near: NearCache) -> None:
        self._near = near
        self._customer = keys.customer("")
        self._withdrawn = keys.withdrawn()

    def get(self, customer_id: str, choice: Choice) -> Recommendations | None:
        """The answer about a known customer; None where something has to be read, or categories be looked up."""
        entries = self._near.entries
        entry = entries.get(self._customer + customer_id)
        withdrawn = entries.get(self._withdrawn)
        if entry is None or withdrawn is None:
            return None
        entry.used = withdrawn.used = True
        shown = entry.shown
        if shown is None or shown[1] != withdrawn.number:
            view = entry.value
            if not isinstance(view, Recommendations) or view.joined_to is not None:
                return None
            gone = withdrawn.value.items if isinstance(withdrawn.value, Withdrawn) else NOTHING_WITHDRAWN.items
            # One assignment: another thread sees both halves or neither.
            shown = entry.shown = (_shown(view, gone, stale=False), withdrawn.number)
        if choice is AS_IT_IS:
            return shown[0]
        return None if choice.category is not None else replace(shown[0], items=choice.of(shown[0]))


def _shown(answer: Recommendations, withdrawn: frozenset[str], *, stale: bool) -> Recommendations:
    """The answer without what may not be recommended."""
    items = offered(answer.items, withdrawn)
    if items is answer.items and not stale:
        return answer
    return replace(answer, items=items, stale=stale)
