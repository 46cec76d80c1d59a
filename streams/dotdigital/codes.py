"""Every documented error code of Dotdigital, with its class and a hint for the operator (``docs/dotdigital-codes.md``).

There are codes of the v3 services (``contacts:...``), of v2 (``ERROR_...``), and of the rows of import reports, whose case
differs between the documentation and the specifications. Sources: the error list, and the specifications of the contacts 3.4,
insight 3.3, events 3.1 and configuration 3.0 services and of v2. Dotdigital does not publish which codes can be retried: the
classes are our reading of the descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.dotdigital.errors import Limit


class ErrorClass(StrEnum):
    """The meaning of a code for its call; each has an error in ``streams.dotdigital.errors``."""

    LATER = "later"
    """Try this request again with back-off."""
    UNAVAILABLE = "unavailable"
    """No request of this kind works at the moment."""
    THROTTLED = "throttled"
    """A limit is reached."""
    ACCESS = "access"
    """No request of this kind works until a person acts."""
    EXISTS = "exists"
    """The contact exists already."""
    MISSING = "missing"
    """The request depends on something that does not exist; try again once it does."""
    NOT_FOUND = "not-found"
    """The requested object does not exist."""
    DATA = "data"
    """The request is wrong and stays wrong: park it."""


@dataclass(frozen=True, slots=True)
class Code:
    """The meaning of one code.

    Attributes:
        error_class: its class.
        hint: a line for the operator, shown with a parked delivery.
        limit: the limit that is reached, for the class ``throttled``.
    """

    error_class: ErrorClass
    hint: str
    limit: Limit | None = None


_LATER, _UNAVAILABLE, _ACCESS, _MISSING, _NOT_FOUND, _DATA = (
    ErrorClass.LATER,
    ErrorClass.UNAVAILABLE,
    ErrorClass.ACCESS,
    ErrorClass.MISSING,
    ErrorClass.NOT_FOUND,
    ErrorClass.DATA,
)

_V3: Final[dict[str, Code]] = {
    "contacts:badJson": Code(_DATA, "the request is not valid JSON: report it as a defect"),
    "contacts:badRequest": Code(_DATA, "the request's structure is wrong: report it as a defect"),
    "contacts:invalidValue": Code(_DATA, "a value does not fit its data field: check the fields' types in Dotdigital"),
    "contacts:invalidId": Code(_DATA, "the e-mail address or the contact id is not valid: correct it in Orderwise"),
    "contacts:invalidFilter": Code(_DATA, "a listing's filter is wrong: report it as a defect"),
    "contacts:invalidContacts": Code(_DATA, "no contact of the request can be used: check the addresses in Orderwise"),
    "contacts:idAlreadyExists": Code(ErrorClass.EXISTS, "another contact has the identifier: merge the two in Dotdigital"),
    "contacts:contactNotFound": Code(_NOT_FOUND, "the contact is not in the account, or in its bin"),
    "contacts:importNotFound": Code(_NOT_FOUND, "Dotdigital does not have the import: its items are sent again"),
    "contacts:invalidDeleteId": Code(_DATA, "the id of a bulk delete is not valid: report it as a defect"),
    "contacts:noContactsSpecified": Code(_DATA, "a bulk delete named no contacts, or too many: report it as a defect"),
    "contacts:tooManyActiveImports": Code(ErrorClass.THROTTLED, "25 contact imports are in flight", Limit.CONTACT_IMPORTS),
    "contacts:tooManyBulkDeleteJobs": Code(ErrorClass.THROTTLED, "too many bulk deletes are in flight", Limit.BULK_DELETES),
    "insightData:badJson": Code(_DATA, "the record does not fit its collection: compare it with the collection's schema"),
    "insightData:invalidId": Code(_DATA, "the name of the key, collection or contact is not valid: check mapping.yaml"),
    "insightData:importNotFound": Code(_NOT_FOUND, "Dotdigital does not have the import: its items are sent again"),
    "insightData:asyncJobNotFound": Code(_NOT_FOUND, "Dotdigital does not have the job"),
    "insightData:collectionNotFound": Code(_MISSING, "the collection is missing: run 'owdd dotdigital apply --execute'"),
    "insightData:contactNotFound": Code(_MISSING, "the record's contact is missing: it is sent once the contact exists"),
    "insightData:recordNotFound": Code(_NOT_FOUND, "the record is not in the collection"),
    "insightData:noRecordsSpecified": Code(_DATA, "a deletion named no records, or too many: report it as a defect"),
    "insightData:tooManyActiveImports": Code(ErrorClass.THROTTLED, "5 insight imports are in flight", Limit.INSIGHT_IMPORTS),
    "events:badJson": Code(_DATA, "the event is malformed: report it as a defect"),
    "events:invalidCheckpoint": Code(_DATA, "an event export was read with a wrong checkpoint"),
    "events:inactiveSubscription": Code(_ACCESS, "the event export was not read for 30 days: activate it again"),
    "events:invalidEventType": Code(_DATA, "there is no such event type: check delivery.follow_up.type"),
    "events:nameAlreadyExists": Code(_DATA, "an event export already has that name"),
    "customIdentifiers:nameTooLong": Code(_DATA, "the name of a custom identifier may have 50 characters at most"),
    "customIdentifiers:nameAlreadyExists": Code(_DATA, "the custom identifier exists already"),
    "customIdentifiers:inUse": Code(_DATA, "the custom identifier is in use"),
    "customIdentifiers:notExist": Code(_NOT_FOUND, "there is no such custom identifier"),
    "server:badJson": Code(_DATA, "the request has the wrong structure: report it as a defect"),
    "accounts:maxAccountLimit": Code(_ACCESS, "the account has reached a limit: talk to Dotdigital"),
}

_V2: Final[dict[str, Code]] = {
    "ACCOUNT_INVALID": Code(_ACCESS, "the account is not active: talk to Dotdigital"),
    "ADDRESSBOOK_DUPLICATE": Code(_DATA, "a list or a segment already has that name"),
    "ADDRESSBOOK_INVALID": Code(_DATA, "a list cannot have that name: check delivery.recent_buyers.list"),
    "ADDRESSBOOK_IN_USE": Code(_UNAVAILABLE, "the list is in use at the moment"),
    "ADDRESSBOOK_LIMITEXCEEDED": Code(_ACCESS, "the account has as many lists as are allowed: delete some"),
    "ADDRESSBOOK_NOTWRITABLE": Code(_DATA, "the list cannot be written to: choose another in mapping.yaml"),
    "ADDRESSBOOK_NOT_FOUND": Code(_MISSING, "the list is missing: run 'owdd dotdigital apply --execute'"),
    "ADDRESSBOOK_TOOMANY": Code(_DATA, "too many lists in one call: report it as a defect"),
    "APIUSAGE_EXCEEDED": Code(ErrorClass.THROTTLED, "the calls of this hour are used up", Limit.FLAT),
    "APIUSER_INVALID": Code(_ACCESS, "the API user is disabled or deleted: check it in Dotdigital"),
    "BODY_DOES_NOT_MATCH_CONTENT_TYPE": Code(
        _DATA, "the request's body does not match its content type: report it as a defect"
    ),
    "CAMPAIGN_CONTAINS_UNSUPPORTED_BLOCKS": Code(_DATA, "the campaign has blocks that the API cannot handle"),
    "CAMPAIGN_INVALID": Code(_DATA, "the campaign is not valid"),
    "CAMPAIGN_NOT_FOUND": Code(_NOT_FOUND, "there is no such campaign"),
    "CAMPAIGN_READONLY": Code(_DATA, "the campaign cannot be changed"),
    "CAMPAIGN_SENDNOTPERMITTED": Code(_ACCESS, "the API user may not send campaigns"),
    "CAMPAIGN_SEND_INVALID": Code(_DATA, "the campaign cannot be sent in this state"),
    "CANNOT_PERFORM_OPERATION_ON_ACCOUNT": Code(_ACCESS, "the account does not allow the operation: talk to Dotdigital"),
    "CONTACTS_ARE_NOT_SPECIFIED": Code(_DATA, "a bulk call named no contacts: report it as a defect"),
    "CONTACT_INVALID": Code(_DATA, "the contact is not valid: check its values in Orderwise"),
    "CONTACT_NOT_FOUND": Code(_MISSING, "the contact is missing: deliver it first"),
    "CONTACT_RESUBSCRIPTION_INVALID": Code(_DATA, "the contact cannot be resubscribed"),
    "CONTACT_SUPPRESSED": Code(_DATA, "the contact is suppressed and remains so"),
    "CONTACT_SUPPRESSEDFORADDRESSBOOK": Code(_DATA, "the contact left that list and cannot be added again"),
    "CONTACT_TOOMANY": Code(_ACCESS, "the account has as many contacts as its contract allows: talk to Dotdigital"),
    "CONTENT_TYPE_IS_NOT_SUPPORTED": Code(_DATA, "the request's content type is wrong: report it as a defect"),
    "DATAFIELD_INVALID": Code(_DATA, "a data field or its value is not valid: check contact_fields in mapping.yaml"),
    "DATAFIELD_LIMITEXCEEDED": Code(_ACCESS, "the account has as many data fields as are allowed: delete some"),
    "DATAFIELD_NOTFOUND": Code(_MISSING, "a data field is missing: run 'owdd dotdigital apply --execute'"),
    "DATAFIELD_VALUE_OVERFLOW": Code(_DATA, "a value is too long for its data field"),
    "DOCUMENT_ALREADYATTACHED": Code(_DATA, "the document is attached already"),
    "DOCUMENT_ATTACHMENTSTOOLARGE": Code(_DATA, "the attachments are too large"),
    "DOCUMENT_DATAEMPTY": Code(_DATA, "the document is empty"),
    "DOCUMENT_FOLDER_INVALID": Code(_DATA, "the document folder is not valid"),
    "DOCUMENT_FOLDER_NOT_FOUND": Code(_NOT_FOUND, "there is no such document folder"),
    "DOCUMENT_INVALID": Code(_DATA, "the document is not valid"),
    "DOCUMENT_NAMEINVALID": Code(_DATA, "a document cannot have that name"),
    "DOCUMENT_NOT_FOUND": Code(_NOT_FOUND, "there is no such document"),
    "DOCUMENT_TOOLARGE": Code(_DATA, "the document is too large"),
    "DOCUMENT_TOOMANYATTACHMENTS": Code(_DATA, "there are too many attachments"),
    "DOCUMENT_UNSUPPORTEDFORMAT": Code(_DATA, "documents cannot have that format"),
    "EMAIL_BANNED": Code(_DATA, "Dotdigital bars the address: correct it in Orderwise, or leave it"),
    "ENROLMENT_ALLOWANCE_EXCEEDED": Code(ErrorClass.THROTTLED, "20 enrolment calls in an hour", Limit.ENROLMENTS),
    "ENROLMENT_INVALID": Code(_DATA, "an enrolment named no contacts, or too many: report it as a defect"),
    "ENROLMENT_IS_PROCESSING": Code(_LATER, "the enrolment is not finished"),
    "ENROLMENT_NOT_FOUND": Code(_NOT_FOUND, "Dotdigital does not have the enrolment"),
    "FEATURENOTACTIVE": Code(_ACCESS, "the account's contract lacks the feature: talk to Dotdigital"),
    "IMAGE_DATAEMPTY": Code(_DATA, "the image is empty"),
    "IMAGE_FOLDER_DELETED": Code(_DATA, "the image folder was deleted"),
    "IMAGE_FOLDER_INVALID": Code(_DATA, "the image folder is not valid"),
    "IMAGE_FOLDER_NOT_FOUND": Code(_NOT_FOUND, "there is no such image folder"),
    "IMAGE_INVALID": Code(_DATA, "the image is not valid"),
    "IMAGE_NAMEINVALID": Code(_DATA, "an image cannot have that name"),
    "IMAGE_PARENTFOLDERISFULL": Code(_DATA, "the image folder is full"),
    "IMAGE_UNSUPPORTEDFORMAT": Code(_DATA, "images cannot have that format"),
    "IMPORT_NOT_FOUND": Code(_NOT_FOUND, "Dotdigital does not have the import"),
    "IMPORT_REPORT_NOT_FOUND": Code(_NOT_FOUND, "the import has no report"),
    "IMPORT_TOOMANYACTIVEIMPORTS": Code(ErrorClass.THROTTLED, "too many imports are in flight", Limit.CONTACT_IMPORTS),
    "IMPORT_UNSUPPORTED_FORMAT": Code(_DATA, "imports cannot have that format"),
    "INVALID_APIUSEREXISTS": Code(_DATA, "the API user exists already"),
    "INVALID_EMAIL": Code(_DATA, "the e-mail address is not valid: correct it in Orderwise"),
    "INVALID_LOGIN": Code(_ACCESS, "the API user or its password is wrong"),
    "INVALID_PERSONALISATION_VALUES": Code(_DATA, "the personalisation values are not valid"),
    "MALFORMED_REQUEST": Code(_DATA, "the request is malformed: report it as a defect"),
    "MANAGED_USER_INVALID": Code(_ACCESS, "the managed user is not valid"),
    "MISSING_SETUPKEYVALUES": Code(_DATA, "values are missing in the request"),
    "MULTI_FILE_UPLOAD_NOT_ALLOWED": Code(_DATA, "only one file at a time can be uploaded"),
    "NON_UNIQUE_DATAFIELD": Code(_DATA, "the data field exists already"),
    "NON_UNIQUE_EMAIL": Code(ErrorClass.EXISTS, "the contact was created at the same time by another call"),
    "NO_EMAIL_COLUMN": Code(_DATA, "the import has no column of addresses"),
    "OAUTH_TOKEN_INVALID": Code(_ACCESS, "the token is not valid"),
    "PARAMETER_INVALID": Code(_DATA, "a parameter is not valid: report it as a defect"),
    "PREFERENCE_INVALID": Code(_DATA, "the preference is not valid"),
    "PREFERENCE_NOT_FOUND": Code(_NOT_FOUND, "there is no such preference"),
    "PROGRAM_NOT_ACTIVE": Code(_MISSING, "the programme is not active: activate it in Dotdigital"),
    "PROGRAM_NOT_FOUND": Code(_MISSING, "there is no such programme: check delivery.follow_up.program"),
    "SEGMENT_NOT_FOUND": Code(_NOT_FOUND, "there is no such segment"),
    "SEND_LIMITEXCEEDED": Code(_ACCESS, "the account has sent as much as is allowed"),
    "SMS_INVALID": Code(_DATA, "the text message is not valid"),
    "SMS_INVALIDPHONENUMBER": Code(_DATA, "the telephone number is not valid"),
    "SMS_SENDNOTPERMITTED": Code(_ACCESS, "the API user may not send text messages"),
    "SURVEY_NOT_FOUND": Code(_NOT_FOUND, "there is no such survey"),
    "SYSTEM_SERVICETEMPORARILYUNAVAILABLE": Code(_UNAVAILABLE, "Dotdigital is unavailable at the moment"),
    "TEMPLATE_INVALID": Code(_DATA, "the template is not valid"),
    "TEMPLATE_NOT_FOUND": Code(_NOT_FOUND, "there is no such template"),
    "THEME_INVALID": Code(_DATA, "the theme is not valid"),
    "TRANSACTIONAL_DATA_COLLECTION_DOES_NOT_EXIST": Code(_MISSING, "the collection is missing"),
    "TRANSACTIONAL_DATA_COLLECTION_IS_RESTORING": Code(_UNAVAILABLE, "the collection is being restored"),
    "TRANSACTIONAL_DATA_DOES_NOT_EXIST": Code(_NOT_FOUND, "the record is not in the collection"),
    "TRANSACTIONAL_DATA_INVALID_COLLECTION_NAME": Code(_DATA, "a collection cannot have that name: check mapping.yaml"),
    "TRANSACTIONAL_DATA_STORAGE_ALLOWANCE_EXCEEDED": Code(_ACCESS, "the account's storage for insight data is full"),
    "TRANSACTIONAL_DATA_VALIDATION_FAILED": Code(_DATA, "the record does not fit its collection"),
    "UNKNOWN": Code(_LATER, "Dotdigital failed without a reason"),
    "UNKNOWN_ACCOUNT": Code(_ACCESS, "there is no such account"),
    "USERACCOUNT_UNKNOWN": Code(_ACCESS, "there is no such account"),
    "WEAK_PASSWORD": Code(_DATA, "the password is too weak"),
}

REASONS: Final[dict[str, Code]] = {
    # a contact import as a whole
    "RejectedByWatchdog": Code(_ACCESS, "Dotdigital has to check the import first: ask their support"),
    "ExceedsAllowedContactLimit": Code(_ACCESS, "the account has as many contacts as its contract allows"),
    # rows of a contact import
    "ApiSchemaViolation": Code(_DATA, "a value does not fit its data field: check the fields' types in Dotdigital"),
    "Blocker": Code(_DATA, "Dotdigital bars the address"),
    "ConsentRecordsNotApplied": Code(_DATA, "the contact was imported, but its consent records were not"),
    "Duplicate": Code(
        _LATER, "the identifier was in the import twice, or belongs to another contact: it is sent by a single call"
    ),
    "GloballySuppressed": Code(_DATA, "Dotdigital itself suppresses the address: leave it"),
    "InvalidEmail": Code(_DATA, "the e-mail address is not valid: correct it in Orderwise"),
    "InvalidContactId": Code(_DATA, "there is no contact with that id"),
    "InvalidPhoneNumber": Code(_DATA, "the telephone number is not valid"),
    "InvalidDomain": Code(_DATA, "the domain of the address cannot receive mail: correct it in Orderwise"),
    "InvalidContact": Code(_DATA, "the contact is not valid"),
    "InvalidAddressBookIds": Code(_MISSING, "the contact was imported, but a list is missing: run 'owdd dotdigital apply'"),
    "InvalidMatchIdentifier": Code(_DATA, "the contact cannot be matched by that identifier: report it as a defect"),
    "InvalidContactStatus": Code(_DATA, "the contact's status does not allow the change"),
    "NoValidIdentifiers": Code(_DATA, "the contact has no usable identifier"),
    "SuppressedByDomain": Code(_DATA, "the account suppresses the domain of the address: leave it"),
    # rows of an insight import
    "Unknown": Code(_LATER, "Dotdigital failed without a reason"),
    "InvalidClientKey": Code(_DATA, "the record's key cannot be used: an order number may have 255 characters at most"),
    "InvalidContactIdentifier": Code(_DATA, "the record's address is not valid"),
    "InvalidContactIdentifierType": Code(_DATA, "the record's contact has the wrong type of identifier: report it as a defect"),
    "InvalidJson": Code(_DATA, "the record is not valid JSON: report it as a defect"),
    "DuplicateKey": Code(_LATER, "the key was in the import twice: the record is sent by a single call"),
    "ContactIdDoesNotExist": Code(_MISSING, "the record's contact is missing: it is sent once the contact exists"),
    "ContactEmailDoesNotExist": Code(_MISSING, "the record's contact is missing: it is sent once the contact exists"),
    "ContactPhoneNumberDoesNotExist": Code(_MISSING, "the record's contact is missing"),
    "ContactCustomIdentifierValueDoesNotExist": Code(_MISSING, "the record's contact is missing"),
    "JsonContainsNestedArray": Code(_DATA, "the record has an array inside an array: report it as a defect"),
    "JsonContainsDashUnderscoreClash": Code(_DATA, "two properties differ only in - and _"),
    "JsonDoesNotMatchSchema": Code(_DATA, "the record does not fit its collection: compare it with the collection's schema"),
    "JsonKeyTooLong": Code(_DATA, "the name of a property is too long"),
    "JsonKeyInvalidCharacters": Code(_DATA, "the name of a property may have only letters, digits, - and _"),
    "JsonValueTooLong": Code(_DATA, "a text of the record is too long: shorten it in Orderwise"),
    "JsonValueIncompatibleWithSchema": Code(_DATA, "a property had another type in the collection's first record"),
    "JsonNumberValueTooLarge": Code(_DATA, "a number of the record is too large"),
    "MissingCollection": Code(_MISSING, "the collection is missing: run 'owdd dotdigital apply --execute'"),
    "InconsistentTypes": Code(_DATA, "a property has several types in one record"),
    "TooManyDistinctKeyValuePairs": Code(_DATA, "the collection has too many properties"),
    "KeyExistingForDifferentContact": Code(_DATA, "the record's key belongs to another contact: delete it there first"),
    # contacts of an enrolment, in Dotdigital's spelling
    "Unsubcribed": Code(_DATA, "the contact cannot be mailed, so no programme takes it: leave it"),
    "AlreadyInProgram": Code(_DATA, "the contact is on the programme already"),
}
"""Codes of reports: of a whole import, of its rows, and of the contacts of an enrolment."""

DELETED_IN_DOTDIGITAL: Final = "deleted_in_dotdigital"
"""Our own code, for a contact that we delivered and that is gone: no call may create it again before a person says so."""

_OURS: Final = {
    DELETED_IN_DOTDIGITAL: Code(_DATA, "somebody deleted the contact in Dotdigital: 'owdd dlq retry' creates it again"),
}

CODES: Final[Mapping[str, Code]] = _V3 | {f"ERROR_{name}": code for name, code in _V2.items()} | REASONS | _OURS
"""Every documented code, in the spelling of its documentation, and ours."""

_SAME: Final = {"duplicateidentifier": "duplicate"}
"""Codes for which the specification and the documentation use different words."""

_FOLDED: Final = {name.casefold(): code for name, code in CODES.items()}
# An unknown code parks one request. Any other class would repeat it for ever, or stop every delivery because of it.
_UNKNOWN: Final = Code(_DATA, "an undocumented code: ask Dotdigital for its meaning")


def canonical(code: str) -> str:
    """A code of an import report in the spelling that we store: lower case, one word for each meaning."""
    folded = code.strip().casefold()
    return _SAME.get(folded, folded)


def known(code: str) -> bool:
    """Whether the code is documented, in any casing."""
    return canonical(code) in _FOLDED


def explain(code: str) -> Code:
    """The meaning of a code, in any casing; an undocumented code means that this one request is wrong."""
    return _FOLDED.get(canonical(code), _UNKNOWN)
