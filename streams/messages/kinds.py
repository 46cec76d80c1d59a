"""Every kind of change: one struct each, which says what its key, its ``pk`` and its row are, and one union per topic.

The kind is the struct's tag. A topic's decoder is made from its union, so it reads the kinds that the topic carries, each with
the row that belongs to it, and nothing else; that costs nothing per change. On the wire a change is the array
``[kind, key, pk, position, lane, caused_at, row, keep]``, and of what the joins want behind that the generation.
"""

from typing import ClassVar, Final, TypeAlias, get_args

from streams.capture import rows
from streams.messages import drift, generation_kinds, removal_kinds
from streams.messages.barriers import BarrierChange
from streams.messages.changes import (
    CarriedRefusal,
    Change,
    ChangeKind,
    ContactObserved,
    CreditedAmount,
    CreditedOrder,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    EraseAddress,
    JoinedChange,
    LineOwnership,
    LineQuery,
    LineReply,
    OrderFact,
    ReadbackWatermark,
    RecipientsQuery,
    RecipientsReply,
    RecipientsSweep,
    Sweep,
    VariantInfo,
)
from streams.messages.consent_kinds import CorrectionsStoppedChange
from streams.messages.contributions import AddressLeft, BuyerContribution, ContributionExcluded, ContributionHeld
from streams.messages.moves import MoveAnswerChange, MovedRecordChange, MoveQueryChange

# Captured rows, by ingest. ``pk``: primary key; ``position``: the version's; None: deleted, or left this key for another.


class CustomerRowChange(Change, tag=ChangeKind.CUSTOMER.value):
    """An account; key: the buyer."""

    kind: ClassVar[ChangeKind] = ChangeKind.CUSTOMER
    row: rows.Customer | None


class ContactRowChange(Change, tag=ChangeKind.CONTACT.value):
    """A person of an account; key: the buyer. ``AddressLeft``: the person has another buyer now, under that address."""

    kind: ClassVar[ChangeKind] = ChangeKind.CONTACT
    row: rows.Contact | AddressLeft | None


class HeaderRowChange(Change, tag=ChangeKind.HEADER.value):
    """The head of an order, credit note or quote; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.HEADER
    row: rows.Header | None


class DetailRowChange(Change, tag=ChangeKind.DETAIL.value):
    """The second head of an order, with its e-mail address and currency; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.DETAIL
    row: rows.Detail | None


class TotalRowChange(Change, tag=ChangeKind.TOTAL.value):
    """The money of an order; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.TOTAL
    row: rows.Total | None


class LineRowChange(Change, tag=ChangeKind.LINE.value):
    """A line of an order, or a line of a credit note that gives one back; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.LINE
    row: rows.Line | None


class DespatchRowChange(Change, tag=ChangeKind.DESPATCH.value):
    """A despatch of an order; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.DESPATCH
    row: rows.Despatch | None


class StatusRowChange(Change, tag=ChangeKind.STATUS.value):
    """A text of the status lookup; every partition needs it, for any of its orders may have the status."""

    kind: ClassVar[ChangeKind] = ChangeKind.STATUS
    row: rows.StatusText | None


class ReturnRowChange(Change, tag=ChangeKind.RETURN.value):
    """A customer's return against an order; key: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.RETURN
    row: rows.Return | None


class ProductRowChange(Change, tag=ChangeKind.PRODUCT.value):
    """What several variants have in common; every partition needs it, for any of its variants may name the product."""

    kind: ClassVar[ChangeKind] = ChangeKind.PRODUCT
    row: rows.Product | None


class VariantRowChange(Change, tag=ChangeKind.VARIANT.value):
    """A variant; key: the variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.VARIANT
    row: rows.Variant | None


class PriceRowChange(Change, tag=ChangeKind.PRICE.value):
    """A price of a variant; key: the variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.PRICE
    row: rows.Price | None


class StockRowChange(Change, tag=ChangeKind.STOCK.value):
    """Free stock of a variant at one place; key: the variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.STOCK
    row: rows.Stock | None


class CategoryRowChange(Change, tag=ChangeKind.CATEGORY.value):
    """A category; every partition needs it, for any of its variants may be in it."""

    kind: ClassVar[ChangeKind] = ChangeKind.CATEGORY
    row: rows.Category | None


class MembershipRowChange(Change, tag=ChangeKind.MEMBERSHIP.value):
    """A category of a variant; key: the variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.MEMBERSHIP
    row: rows.Membership | None


# What stages emit. ``position`` is the version of the row that the content was computed from, unless it says otherwise.


class LineOwnershipChange(Change, tag=ChangeKind.LINE_OWNERSHIP.value):
    """Whether an order has a line; key: the line's block, pk: the line, position: that of the captured line."""

    kind: ClassVar[ChangeKind] = ChangeKind.LINE_OWNERSHIP
    row: LineOwnership


class LineQueryChange(Change, tag=ChangeKind.LINE_QUERY.value):
    """A credit note asks which order has a line; key: the line's block, pk: the line. The question has no position."""

    kind: ClassVar[ChangeKind] = ChangeKind.LINE_QUERY
    row: LineQuery


class LineReplyChange(Change, tag=ChangeKind.LINE_REPLY.value):
    """The reply to a credit note's question; key and pk: the credit note."""

    kind: ClassVar[ChangeKind] = ChangeKind.LINE_REPLY
    row: LineReply


class CreditedAmountChange(Change, tag=ChangeKind.CREDITED_AMOUNT.value):
    """What a credit note gives back of an order; key: the order, pk: the credit note. None: nothing any more."""

    kind: ClassVar[ChangeKind] = ChangeKind.CREDITED_AMOUNT
    row: CreditedAmount | None


class OrderFactChange(Change, tag=ChangeKind.ORDER_FACT.value):
    """What an order is worth to its buyer; key: the buyer, pk: the order. None: it is no order of this buyer (any more)."""

    kind: ClassVar[ChangeKind] = ChangeKind.ORDER_FACT
    row: OrderFact | None


class RecipientsQueryChange(Change, tag=ChangeKind.RECIPIENTS_QUERY.value):
    """An order asks its buyer, or the contact of its own address; key: the buyer, or the address, pk: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.RECIPIENTS_QUERY
    row: RecipientsQuery


class RecipientsReplyChange(Change, tag=ChangeKind.RECIPIENTS_REPLY.value):
    """The reply to an order's question; key: the order, pk: the buyer, or the address."""

    kind: ClassVar[ChangeKind] = ChangeKind.RECIPIENTS_REPLY
    row: RecipientsReply


class CreditedOrderChange(Change, tag=ChangeKind.CREDITED_ORDER.value):
    """An order as a credit note that gives it back needs it; key: the credit note, pk: the order."""

    kind: ClassVar[ChangeKind] = ChangeKind.CREDITED_ORDER
    row: CreditedOrder


class BuyerContributionChange(Change, tag=ChangeKind.BUYER_CONTRIBUTION.value):
    """What a buyer contributes to an address, that this is not known, or that it left; key: the address, pk: the buyer."""

    kind: ClassVar[ChangeKind] = ChangeKind.BUYER_CONTRIBUTION
    row: BuyerContribution | ContributionHeld | ContributionExcluded | AddressLeft


class VariantInfoChange(Change, tag=ChangeKind.VARIANT_INFO.value):
    """A variant as order records show it; pk: the variant. Every partition needs it, for any order may have it."""

    kind: ClassVar[ChangeKind] = ChangeKind.VARIANT_INFO
    row: VariantInfo | None


class DesiredContactChange(JoinedChange, tag=ChangeKind.DESIRED_CONTACT.value):
    """A contact as Dotdigital should hold it; key: the address, pk: 0."""

    kind: ClassVar[ChangeKind] = ChangeKind.DESIRED_CONTACT
    row: DesiredContact


class CarriedRefusalChange(Change, tag=ChangeKind.CARRIED_REFUSAL.value):
    """A refusal that follows a person to another address; key: that address, pk: 0. It only tightens, in any order."""

    kind: ClassVar[ChangeKind] = ChangeKind.CARRIED_REFUSAL
    row: CarriedRefusal


class DesiredRecordChange(JoinedChange, tag=ChangeKind.DESIRED_RECORD.value):
    """An order record as Dotdigital should hold it; key: the recipient's address, pk: the record's key."""

    kind: ClassVar[ChangeKind] = ChangeKind.DESIRED_RECORD
    row: DesiredRecord | None


class DesiredCatalogueChange(JoinedChange, tag=ChangeKind.DESIRED_CATALOGUE.value):
    """A catalogue record as Dotdigital should hold it; key and pk: the variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.DESIRED_CATALOGUE
    row: DesiredRecord | None


class DesiredFollowUpChange(JoinedChange, tag=ChangeKind.DESIRED_FOLLOW_UP.value):
    """A credit note for which Dotdigital is to start a follow-up; key: the recipient's address, pk: the credit note."""

    kind: ClassVar[ChangeKind] = ChangeKind.DESIRED_FOLLOW_UP
    row: DesiredFollowUp | None


class ContactObservedChange(Change, tag=ChangeKind.CONTACT_OBSERVED.value):
    """A contact as read from Dotdigital; key: the address, pk: the contact's id, position: when Dotdigital changed it."""

    kind: ClassVar[ChangeKind] = ChangeKind.CONTACT_OBSERVED
    row: ContactObserved


class ReadbackWatermarkChange(Change, tag=ChangeKind.READBACK_WATERMARK.value):
    """Until when the account was read; in every partition, behind everything that was read."""

    kind: ClassVar[ChangeKind] = ChangeKind.READBACK_WATERMARK
    row: ReadbackWatermark


class ErasureChange(JoinedChange, tag=ChangeKind.ERASURE.value):
    """A person must be forgotten. Key: the address; on its way to every partition of a stage, ``*``, and pk the address."""

    kind: ClassVar[ChangeKind] = ChangeKind.ERASURE
    row: EraseAddress


class ResendRequestChange(Change, tag=ChangeKind.RESEND_REQUEST.value):
    """The outbox needs the content of a record once more; key and pk: the order or variant."""

    kind: ClassVar[ChangeKind] = ChangeKind.RESEND_REQUEST
    row: None


class UnparkChange(Change, tag=ChangeKind.UNPARK.value):
    """An operator wants a parked delivery tried again; key: its owner, pk: the delivery task."""

    kind: ClassVar[ChangeKind] = ChangeKind.UNPARK
    row: None


class FollowUpDeliveredChange(Change, tag=ChangeKind.FOLLOW_UP_DELIVERED.value):
    """The follow-up of a credit note was delivered; key and pk: the credit note."""

    kind: ClassVar[ChangeKind] = ChangeKind.FOLLOW_UP_DELIVERED
    row: None


class SweepChange(Change, tag=ChangeKind.SWEEP.value):
    """The rest of a change that reaches many rows; key: ``.``, pk: the kind of the change. Its stage goes on with it."""

    kind: ClassVar[ChangeKind] = ChangeKind.SWEEP
    row: Sweep


class RecipientsSweepChange(Change, tag=ChangeKind.RECIPIENTS_SWEEP.value):
    """The rest of a change of addresses that concerns many orders; key: the buyer, or the address, pk: 0."""

    kind: ClassVar[ChangeKind] = ChangeKind.RECIPIENTS_SWEEP
    row: RecipientsSweep


class CanaryChange(JoinedChange, tag=ChangeKind.CANARY.value):
    """A change that nobody delivers: it goes through every stage, and shows that the way is open. Key: :data:`HERE`."""

    kind: ClassVar[ChangeKind] = ChangeKind.CANARY
    row: None


OrderChange: TypeAlias = (
    HeaderRowChange
    | DetailRowChange
    | TotalRowChange
    | LineRowChange
    | DespatchRowChange
    | ReturnRowChange
    | StatusRowChange
    | LineOwnershipChange
    | LineQueryChange
    | LineReplyChange
    | CreditedAmountChange
    | RecipientsReplyChange
    | CreditedOrderChange
    | VariantInfoChange
    | ResendRequestChange
    | FollowUpDeliveredChange
    | SweepChange
    | ErasureChange
    | CanaryChange
    | BarrierChange
)
BuyerChange: TypeAlias = (
    CustomerRowChange
    | ContactRowChange
    | OrderFactChange
    | RecipientsQueryChange
    | RecipientsSweepChange
    | ErasureChange
    | CanaryChange
    | BarrierChange
)
ContactChange: TypeAlias = (
    BuyerContributionChange | RecipientsQueryChange | RecipientsSweepChange | ErasureChange | CanaryChange | BarrierChange
)
ProductChange: TypeAlias = (
    ProductRowChange
    | VariantRowChange
    | PriceRowChange
    | StockRowChange
    | CategoryRowChange
    | MembershipRowChange
    | ResendRequestChange
    | SweepChange
    | BarrierChange
)
DesiredChange: TypeAlias = (
    DesiredContactChange
    | CarriedRefusalChange
    | MoveQueryChange
    | MoveAnswerChange
    | MovedRecordChange
    | DesiredRecordChange
    | DesiredCatalogueChange
    | DesiredFollowUpChange
    | ContactObservedChange
    | ReadbackWatermarkChange
    | UnparkChange
    | drift.DriftFoundChange
    | ErasureChange
    | removal_kinds.RemovalTallyChange
    | removal_kinds.RemovalQueryChange
    | removal_kinds.RemovalTickChange
    | removal_kinds.RemovalRulingChange
    | removal_kinds.RemovalDecisionChange
    | CanaryChange
    | generation_kinds.GenerationOrderChange
    | generation_kinds.GenerationSliceChange
    | generation_kinds.HeldOrderChange
    | BarrierChange
    | CorrectionsStoppedChange
)

CHANGES: Final[dict[ChangeKind, type[Change]]] = {
    change.kind: change
    for union in (OrderChange, BuyerChange, ContactChange, ProductChange, DesiredChange)
    for change in get_args(union)
}
"""The struct of every kind."""
