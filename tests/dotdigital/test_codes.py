"""Every documented code has a meaning, in whatever way it is spelled."""

import pytest

from streams.dotdigital.codes import CODES, DELETED_IN_DOTDIGITAL, ErrorClass, canonical, explain, known
from streams.dotdigital.errors import Limit

DOCUMENTED = {
    "contacts": "badJson badRequest invalidValue invalidId invalidFilter invalidContacts idAlreadyExists contactNotFound "
    "importNotFound invalidDeleteId noContactsSpecified tooManyActiveImports tooManyBulkDeleteJobs",
    "insightData": "badJson invalidId importNotFound asyncJobNotFound collectionNotFound contactNotFound recordNotFound "
    "noRecordsSpecified",
    "events": "badJson invalidCheckpoint inactiveSubscription invalidEventType nameAlreadyExists",
    "customIdentifiers": "nameTooLong nameAlreadyExists inUse notExist",
    "server": "badJson",
    "accounts": "maxAccountLimit",
}
"""The codes of the v3 specifications, by service."""

V2 = """
ACCOUNT_INVALID ADDRESSBOOK_DUPLICATE ADDRESSBOOK_INVALID ADDRESSBOOK_IN_USE ADDRESSBOOK_LIMITEXCEEDED ADDRESSBOOK_NOTWRITABLE
ADDRESSBOOK_NOT_FOUND ADDRESSBOOK_TOOMANY APIUSAGE_EXCEEDED APIUSER_INVALID BODY_DOES_NOT_MATCH_CONTENT_TYPE
CAMPAIGN_CONTAINS_UNSUPPORTED_BLOCKS CAMPAIGN_INVALID CAMPAIGN_NOT_FOUND CAMPAIGN_READONLY CAMPAIGN_SENDNOTPERMITTED
CAMPAIGN_SEND_INVALID CANNOT_PERFORM_OPERATION_ON_ACCOUNT CONTACTS_ARE_NOT_SPECIFIED CONTACT_INVALID CONTACT_NOT_FOUND
CONTACT_RESUBSCRIPTION_INVALID CONTACT_SUPPRESSED CONTACT_SUPPRESSEDFORADDRESSBOOK CONTACT_TOOMANY
CONTENT_TYPE_IS_NOT_SUPPORTED DATAFIELD_INVALID DATAFIELD_LIMITEXCEEDED DATAFIELD_NOTFOUND DATAFIELD_VALUE_OVERFLOW
DOCUMENT_ALREADYATTACHED DOCUMENT_ATTACHMENTSTOOLARGE DOCUMENT_DATAEMPTY DOCUMENT_FOLDER_INVALID DOCUMENT_FOLDER_NOT_FOUND
DOCUMENT_INVALID DOCUMENT_NAMEINVALID DOCUMENT_NOT_FOUND DOCUMENT_TOOLARGE DOCUMENT_TOOMANYATTACHMENTS
DOCUMENT_UNSUPPORTEDFORMAT EMAIL_BANNED ENROLMENT_ALLOWANCE_EXCEEDED ENROLMENT_INVALID ENROLMENT_IS_PROCESSING
ENROLMENT_NOT_FOUND FEATURENOTACTIVE IMAGE_DATAEMPTY IMAGE_FOLDER_DELETED IMAGE_FOLDER_INVALID IMAGE_FOLDER_NOT_FOUND
IMAGE_INVALID IMAGE_NAMEINVALID IMAGE_PARENTFOLDERISFULL IMAGE_UNSUPPORTEDFORMAT IMPORT_NOT_FOUND IMPORT_REPORT_NOT_FOUND
IMPORT_TOOMANYACTIVEIMPORTS IMPORT_UNSUPPORTED_FORMAT INVALID_APIUSEREXISTS INVALID_EMAIL INVALID_LOGIN
INVALID_PERSONALISATION_VALUES MALFORMED_REQUEST MANAGED_USER_INVALID MISSING_SETUPKEYVALUES MULTI_FILE_UPLOAD_NOT_ALLOWED
NON_UNIQUE_DATAFIELD NON_UNIQUE_EMAIL NO_EMAIL_COLUMN OAUTH_TOKEN_INVALID PARAMETER_INVALID PREFERENCE_INVALID
PREFERENCE_NOT_FOUND PROGRAM_NOT_ACTIVE PROGRAM_NOT_FOUND SEGMENT_NOT_FOUND SEND_LIMITEXCEEDED SMS_INVALID
SMS_INVALIDPHONENUMBER SMS_SENDNOTPERMITTED SURVEY_NOT_FOUND SYSTEM_SERVICETEMPORARILYUNAVAILABLE TEMPLATE_INVALID
TEMPLATE_NOT_FOUND THEME_INVALID TRANSACTIONAL_DATA_COLLECTION_DOES_NOT_EXIST TRANSACTIONAL_DATA_COLLECTION_IS_RESTORING
TRANSACTIONAL_DATA_DOES_NOT_EXIST TRANSACTIONAL_DATA_INVALID_COLLECTION_NAME TRANSACTIONAL_DATA_STORAGE_ALLOWANCE_EXCEEDED
TRANSACTIONAL_DATA_VALIDATION_FAILED UNKNOWN UNKNOWN_ACCOUNT USERACCOUNT_UNKNOWN WEAK_PASSWORD
"""
"""The published list of v2 errors, without its prefix."""

REPORTS = """
ApiSchemaViolation Blocker Duplicate GloballySuppressed InvalidEmail InvalidContactId InvalidPhoneNumber InvalidDomain
InvalidContact InvalidAddressBookIds InvalidMatchIdentifier InvalidContactStatus NoValidIdentifiers SuppressedByDomain
invalidEmail duplicateIdentifier consentRecordsNotApplied
Unknown InvalidClientKey InvalidContactIdentifier InvalidJson DuplicateKey ContactIdDoesNotExist ContactEmailDoesNotExist
JsonContainsNestedArray JsonKeyTooLong JsonKeyInvalidCharacters JsonValueTooLong JsonValueIncompatibleWithSchema
JsonNumberValueTooLarge JsonDoesNotMatchSchema JsonContainsDashUnderscoreClash MissingCollection InconsistentTypes
TooManyDistinctKeyValuePairs ContactPhoneNumberDoesNotExist InvalidContactIdentifierType KeyExistingForDifferentContact
ContactCustomIdentifierValueDoesNotExist RejectedByWatchdog ExceedsAllowedContactLimit
Unsubcribed AlreadyInProgram
"""
"""Failure codes of contact imports, failure reasons of insight imports, and their ends; faults of enrolments."""

ALL = (
    [f"{service}:{name}" for service, names in DOCUMENTED.items() for name in names.split()]
    + [f"ERROR_{name}" for name in V2.split()]
    + REPORTS.split()
)


@pytest.mark.parametrize("code", ALL)
def test_every_documented_code_is_known_in_any_casing(code: str) -> None:
    assert known(code) and known(code.swapcase()) and known(f" {code} ")
    assert explain(code).hint


def test_nothing_is_in_the_table_that_is_not_documented() -> None:
    # Assumed: what a sixth insight import answers is not published. And our own, which no call answers.
    ours = {"insightData:tooManyActiveImports", DELETED_IN_DOTDIGITAL}
    assert {canonical(code) for code in CODES} == {canonical(code) for code in ALL} | {canonical(code) for code in ours}


def test_a_code_that_nobody_documented_concerns_one_request() -> None:
    assert not known("contacts:brandNew")
    assert explain("contacts:brandNew").error_class is ErrorClass.DATA


def test_two_words_for_one_failure_are_one() -> None:
    assert canonical("duplicateIdentifier") == canonical("Duplicate") == "duplicate"


def test_what_is_throttled_names_its_ceiling_and_nothing_else_does() -> None:
    for code, meaning in CODES.items():
        assert (meaning.limit is not None) is (meaning.error_class is ErrorClass.THROTTLED), code


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("ERROR_ACCOUNT_INVALID", ErrorClass.ACCESS),
        ("ERROR_APIUSER_INVALID", ErrorClass.ACCESS),
        ("ERROR_FEATURENOTACTIVE", ErrorClass.ACCESS),
        ("ERROR_CONTACT_TOOMANY", ErrorClass.ACCESS),
        ("ERROR_TRANSACTIONAL_DATA_STORAGE_ALLOWANCE_EXCEEDED", ErrorClass.ACCESS),
        ("RejectedByWatchdog", ErrorClass.ACCESS),
        ("insightData:contactNotFound", ErrorClass.MISSING),
        ("insightData:collectionNotFound", ErrorClass.MISSING),
        ("ERROR_DATAFIELD_NOTFOUND", ErrorClass.MISSING),
        ("contactEmailDoesNotExist", ErrorClass.MISSING),
        ("ERROR_ADDRESSBOOK_IN_USE", ErrorClass.UNAVAILABLE),
        ("ERROR_CONTACT_SUPPRESSED", ErrorClass.DATA),
        ("JsonValueIncompatibleWithSchema", ErrorClass.DATA),
        ("ERROR_NON_UNIQUE_EMAIL", ErrorClass.EXISTS),
    ],
)
def test_what_to_do_about_the_codes_that_a_bridge_meets(code: str, verdict: ErrorClass) -> None:
    assert explain(code).error_class is verdict


@pytest.mark.parametrize(
    ("code", "ceiling"),
    [
        ("contacts:tooManyActiveImports", Limit.CONTACT_IMPORTS),
        ("ERROR_IMPORT_TOOMANYACTIVEIMPORTS", Limit.CONTACT_IMPORTS),
        ("insightData:tooManyActiveImports", Limit.INSIGHT_IMPORTS),
        ("contacts:tooManyBulkDeleteJobs", Limit.BULK_DELETES),
        ("ERROR_ENROLMENT_ALLOWANCE_EXCEEDED", Limit.ENROLMENTS),
        ("ERROR_APIUSAGE_EXCEEDED", Limit.FLAT),
    ],
)
def test_the_ceilings_are_distinguished(code: str, ceiling: Limit) -> None:
    assert explain(code).limit is ceiling
