"""Records that must not get through, each with the one code that an operator must see for it.

Every record but those that are no text at all holds :data:`MARK` or :data:`NUMBER` where a person's data would stand; neither
may ever show up in an error.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.capture.records import LSN, ROWS, Row, decimal_type, encoded, key, message, source, time_type, with_schemas

MARK: Final = "quagga"
NUMBER: Final = 987654321987

_LONG: Final = 10 * 2**20
_DEEP: Final = b'{"quagga":' * 3000
_HEADER: Final = "order_header"
_KEY: Final = key(_HEADER)
_VALUE: Final = encoded(message(_HEADER))


class Hostile(NamedTuple):
    """One record, and the code with which it must be refused."""

    name: str
    key: bytes | None
    value: bytes
    code: str


def _spoilt(table: str = _HEADER, op: str = "c", **columns: Any) -> bytes:
    """An envelope whose row has other values in some columns; ``...`` removes a column."""
    row = {name: item for name, item in (ROWS[table] | columns).items() if item is not ...}
    before = ROWS[table] if op == "u" else None
    return encoded(message(table, op, before, row))


def _envelope(change: str = "c", /, **members: Any) -> bytes:
    """An envelope with other members; ``...`` removes one."""
    return encoded({name: item for name, item in (message(_HEADER, change) | members).items() if item is not ...})


def _source(**members: Any) -> bytes:
    """An envelope whose source has other members; ``...`` removes one."""
    return _envelope(source={name: item for name, item in (source(_HEADER) | members).items() if item is not ...})


def _number(text: str) -> bytes:
    """An order's header with raw JSON for its customer."""
    return _VALUE.replace(b'"oh_cd_id":7', b'"oh_cd_id":' + text.encode())


def _typed(types: dict[str, Row], spoil: Callable[[Row], None] = lambda _: None, **columns: Any) -> bytes:
    """A total's envelope with schemas on."""
    record = with_schemas(message("order_header_total", after=ROWS["order_header_total"] | columns), types)
    spoil(record)
    return encoded(record)


def _of(table: str, name: str, code: str, **columns: Any) -> Hostile:
    return Hostile(name, key(table), _spoilt(table, **columns), code)


def _unreadable() -> Iterator[Hostile]:
    """Bytes that are no JSON object."""
    value = encoded(message(_HEADER, after=ROWS[_HEADER] | {"oh_order_number": MARK}))
    bad: dict[str, tuple[bytes, str]] = {
        "no bytes": (b"", "empty"),
        "white space": (b" \r\n\t ", "empty"),
        "invalid UTF-8": (b'{"quagga":"\xc3\x28"}', "invalid_utf8"),
        "UTF-16": ('{"quagga":1}'.encode("utf-16"), "invalid_utf8"),
        "NaN": (b'{"quagga":NaN}', "not_a_number"),
        "Infinity": (b'{"quagga":Infinity}', "not_a_number"),
        "minus Infinity": (b'{"quagga":-Infinity}', "not_a_number"),
        "nesting without end": (_DEEP, "too_deep"),
        "deep nesting": (_DEEP + b"1" + b"}" * 3000, "too_deep"),
        "half a record": (value[: len(value) // 2], "truncated"),
        "half a record about NaN": (b'{"quagga":"Infinity NaN"', "truncated"),
        "half a character": (b'{"quagga":"\xe2\x82', "invalid_utf8"),
        "trailing garbage": (value + b"quagga", "not_json"),
        "two documents": (value + value, "not_json"),
        "single quotes": (b"{'quagga':1}", "not_json"),
        "a byte order mark": (b'\xef\xbb\xbf{"quagga":1}', "not_json"),
        "an infinite number": (b'{"quagga":1e999}', "not_json"),
        "a control character": (b'{"quagga":"\x01"}', "not_json"),
        "Avro": (b"\x00\x00\x00\x00\x07\x0equagga", "not_json"),
        "a number": (b"987654321987", "not_object"),
        "text": (b'"quagga"', "not_object"),
        "null": (b"null", "not_object"),
        "an array": (b'["quagga"]', "not_object"),
        "a huge field": (b'{"quagga":"' + b"x" * _LONG + b'"}', "too_large"),
    }
    for name, (data, code) in bad.items():
        yield Hostile(f"the value is {name}", _KEY, data, f"value_{code}")
        yield Hostile(f"the key is {name}", data, value, f"key_{code}")


def _keys() -> Iterator[Hostile]:
    """Keys that name no row."""
    yield Hostile("there is no key", None, _VALUE, "no_key")
    yield Hostile("the key has no column", b"{}", _VALUE, "bad_key")
    yield Hostile("the key's payload is null", b'{"schema":{},"payload":null}', _VALUE, "bad_key")
    yield Hostile("the key's payload is text", b'{"schema":{},"payload":"quagga"}', _VALUE, "bad_key")
    yield Hostile("the key is another table's", b'{"quagga":987654321987}', _VALUE, "key_column_missing")
    yield Hostile("the key column is null", b'{"oh_id":null}', _VALUE, "key_null")
    yield Hostile("the key column is text", b'{"oh_id":"quagga"}', _VALUE, "bad_integer")
    yield Hostile("the key column is a flag", b'{"oh_id":true}', _VALUE, "bad_integer")
    yield Hostile("the key column is a fraction", b'{"oh_id":987654321987.5}', _VALUE, "bad_integer")
    yield Hostile("the key column is an object", b'{"oh_id":{"oh_id":987654321987}}', _VALUE, "bad_integer")
    yield Hostile("the key column is out of range", b'{"oh_id":9876543219879876543}', _VALUE, "integer_out_of_range")


def _envelopes() -> Iterator[Hostile]:
    """JSON objects that are no envelope, or one that contradicts itself."""
    row = ROWS[_HEADER] | {"oh_order_number": MARK}
    bad: dict[str, tuple[bytes, str]] = {
        "nothing": (b"{}", "not_debezium"),
        "another program's": (b'{"quagga":987654321987}', "not_debezium"),
        "a heartbeat and more": (b'{"ts_ms":1,"quagga":1}', "not_debezium"),
        "a transaction without an id": (b'{"status":"BEGIN","quagga":1}', "not_debezium"),
        "without op": (_envelope(op=..., after=row), "not_debezium"),
        "with a payload that is text": (b'{"schema":null,"payload":"quagga"}', "bad_payload"),
        "with a payload that is an array": (b'{"schema":null,"payload":["quagga"]}', "bad_payload"),
        "a truncation": (_envelope(op="t"), "unknown_op"),
        "of an unknown op": (_envelope(op=MARK), "unknown_op"),
        "of another op the second time": (_VALUE[:-1] + b',"op":"quagga"}', "unknown_op"),
        "of an op that is a number": (_envelope(op=NUMBER), "bad_op"),
        "of an op that is an array": (_envelope(op=[MARK]), "bad_op"),
        "without source": (_envelope(source=...), "no_source"),
        "with a source that is text": (_envelope(source=MARK), "bad_source"),
        "without table": (_source(table=...), "no_table"),
        "with an empty table": (_source(table=""), "no_table"),
        "with a table that is a number": (_source(table=NUMBER), "no_table"),
        "of a table that nobody mapped": (_source(table=MARK), "not_mapped"),
        "a delete with an array before": (_envelope("d", before=[MARK], after=None), "bad_before"),
        "with text after": (_envelope(after=MARK), "bad_after"),
        "a delete with neither side": (_envelope("d", before=None), "delete_without_before"),
        "a delete with a row after": (_envelope("d", before=None, after=row), "delete_with_after"),
        "a change with neither side": (_envelope("c", after=None), "no_row"),
        "a change without a row after": (_envelope("u", before=row, after=None), "change_without_after"),
        "with a time that is text": (_source(ts_ms=MARK), "bad_time"),
        "with a time that is a flag": (_source(ts_ms=True), "bad_time"),
        "with a snapshot mark that is a number": (_source(snapshot=NUMBER), "bad_snapshot"),
        "of an unknown connector": (_source(connector=MARK), "unknown_connector"),
        "without connector": (_source(connector=...), "unknown_connector"),
        "with a connector that is an array": (_source(connector=["sqlserver"]), "unknown_connector"),
        "with an LSN that is too short": (_source(commit_lsn=LSN[:-1]), "bad_lsn"),
        "with an LSN that is too long": (_source(commit_lsn=LSN + "0"), "bad_lsn"),
        "with an LSN that is not hexadecimal": (_source(commit_lsn="quaggaqu:000012f8:0004"), "bad_lsn"),
        "with spaces in the LSN": (_source(commit_lsn="000003  :000012f8:0004"), "bad_lsn"),
        "with an LSN in other digits": (_source(commit_lsn="٠000003a:000012f8:0004"), "bad_lsn"),
        "with an LSN that is a number": (_source(commit_lsn=NUMBER), "bad_lsn"),
        "a streamed change without an LSN": (_source(commit_lsn=None), "bad_lsn"),
    }
    for name, (value, code) in bad.items():
        yield Hostile(f"the envelope is {name}", _KEY, value, code)


def _schemas() -> Iterator[Hostile]:
    """Schemas that do not fit their row."""
    net = {"oht_net": decimal_type(4)}
    at = {"oht_vat": time_type("io.debezium.time.Timestamp")}
    day = {"oht_vat": time_type("io.debezium.time.Date")}

    def replaced(schema: Any) -> Callable[[Row], None]:
        return lambda record: record.update(schema=schema)

    def columns(fields: Any) -> Callable[[Row], None]:
        return lambda record: record["schema"]["fields"][1].update(fields=fields)

    bad: dict[str, tuple[bytes, str]] = {
        "a schema that is text": (_typed({}, replaced(MARK)), "bad_schema"),
        "a schema without fields": (_typed({}, replaced({"type": MARK})), "bad_schema"),
        "a schema of another record": (_typed({}, replaced({"fields": [{"field": MARK}]})), "bad_schema"),
        "columns that are a number": (_typed({}, columns(NUMBER)), "bad_schema"),
        "columns that are text": (_typed({}, columns([MARK])), "bad_schema"),
        "columns that are null": (_typed({}, columns([None])), "bad_schema"),
        "a column whose name is an array": (
            _typed({}, columns([{"field": [MARK], "name": "io.debezium.time.Date"}])),
            "bad_schema",
        ),
        "a decimal without scale": (_typed({"oht_net": decimal_type(4) | {"parameters": None}}), "bad_schema"),
        "a scale that is text": (
            _typed({"oht_net": decimal_type(4) | {"parameters": {"scale": MARK}}}, oht_net="FVzA"),
            "bad_schema",
        ),
        "a scale without bounds": (_typed({"oht_net": decimal_type(NUMBER**2)}, oht_net="FVzA"), "bad_schema"),
        "a scale of a million": (_typed({"oht_net": decimal_type(10**6)}, oht_net="FVzA"), "bad_schema"),
        "a negative scale": (_typed({"oht_net": decimal_type(-(10**6))}, oht_net="FVzA"), "bad_schema"),
        "a decimal that is text": (_typed(net, oht_net=MARK), "bad_decimal"),
        "a decimal of no bytes": (_typed(net, oht_net=""), "bad_decimal"),
        "a decimal that is an array": (_typed(net, oht_net=[MARK]), "bad_decimal"),
        "a decimal as a float": (_typed(net, oht_net=NUMBER + 0.54321), "decimal_as_float"),
        "a decimal of 100 kB": (_typed(net, oht_net="fn5+" * 25_000), "decimal_out_of_range"),
        "a time that is text": (_typed(at, oht_vat=MARK), "bad_time"),
        "a day that is text": (_typed(day, oht_vat=MARK), "bad_time"),
        "a time out of range": (_typed(at, oht_vat=NUMBER * 10**6), "time_out_of_range"),
        "a day out of range": (_typed(day, oht_vat=NUMBER), "time_out_of_range"),
    }
    for name, (value, code) in bad.items():
        yield Hostile(f"the record has {name}", key("order_header_total"), value, code)


def _columns() -> Iterator[Hostile]:
    """Rows whose columns are not what the mapping says."""
    yield _of("order_header", "a mapped column is missing", "column_missing", oh_order_number=...)
    yield _of("order_header_total", "the reference to the order is missing", "column_missing", oht_oh_id=...)
    yield _of("customer_contact", "the reference to the account is missing", "column_missing", cc_customer_id=...)
    yield _of("order_header", "the order has no time", "null_not_allowed", oh_datetime=None)
    yield _of("order_header", "the time is a number", "ambiguous_time", oh_datetime=NUMBER)
    yield _of("order_header", "the time is a fraction", "ambiguous_time", oh_datetime=NUMBER + 0.5)
    yield _of("order_header", "the time is text", "bad_time", oh_datetime=MARK)
    yield _of("order_header", "the time is empty", "bad_time", oh_datetime="")
    yield _of("order_header", "the time is a flag", "bad_time", oh_datetime=True)
    yield _of("order_header", "the day does not exist", "bad_time", oh_datetime="2026-02-30T08:41:12Z")
    yield _of("order_header", "the year has five digits", "bad_time", oh_datetime="+10000-01-01T00:00:00Z")
    yield _of("delivery_header", "the time ends after time", "time_out_of_range", dh_datetime="9999-12-31T23:59:59-01:00")
    yield _of("delivery_header", "the time begins before time", "time_out_of_range", dh_datetime="0001-01-01T00:00:00+14:00")
    yield _of("order_header", "a status id is out of range", "integer_out_of_range", oh_os_id=2**63)
    yield Hostile("an id has 40 digits", _KEY, _number(str(NUMBER**3 * 10**4)), "bad_integer")
    yield _of("order_header", "a status id is a flag", "bad_integer", oh_os_id=True)
    yield _of("order_header", "a type is a fraction", "bad_integer", oh_sot_id=NUMBER + 0.5)
    yield _of("order_header", "an id is text", "bad_integer", oh_cd_id=MARK)
    yield _of("order_header", "an id is twice negative", "bad_integer", oh_cd_id=f"--{NUMBER}")
    yield _of("order_header", "an id is in other digits", "bad_integer", oh_cd_id="٤٢")
    yield _of("order_line_item", "an id is an array", "bad_integer", oli_original_oli_id=[NUMBER])
    yield Hostile(
        "the parent of what is deleted is text",
        key("order_line_item"),
        encoded(message("order_line_item", "d", ROWS["order_line_item"] | {"oli_oh_id": MARK})),
        "bad_integer",
    )
    yield _of("order_header_total", "money is a huge float", "decimal_out_of_range", oht_net=float(NUMBER) ** 20)
    yield _of("order_header_total", "money is text", "bad_decimal", oht_net=MARK)
    yield _of("order_header_total", "money is empty", "bad_decimal", oht_net="")
    yield _of("order_header_total", "money is precise without a schema", "bad_decimal", oht_net="FVzA")
    yield _of("order_header_total", "money is NaN", "bad_decimal", oht_net="sNaN987654321987")
    yield _of("order_header_total", "money is infinite", "bad_decimal", oht_net="-Infinity")
    yield _of("order_header_total", "money is a flag", "bad_decimal", oht_net=True)
    yield _of("order_header_total", "money is an object", "bad_decimal", oht_net={MARK: 1})
    yield _of("order_header_total", "money has an endless exponent", "bad_decimal", oht_net="1e98765432198798765432")
    yield _of("order_header_total", "money has an exponent", "bad_decimal", oht_net="1e5")
    yield _of("order_line_item", "a quantity is too large", "decimal_out_of_range", oli_qty_required=str(NUMBER**4))
    yield _of("order_line_item", "a quantity has a million digits", "decimal_out_of_range", oli_line_net="9" * 10**6)
    yield _of("customer_detail", "a flag is text", "bad_flag", cd_account_customer=MARK)
    yield _of("customer_detail", "a flag is a number", "bad_flag", cd_account_customer=NUMBER)
    yield _of("customer_detail", "an account code is a number", "bad_text", cd_ow_account=NUMBER)
    yield _of("customer_contact", "a name is an object", "bad_text", cc_first_name={MARK: MARK})
    yield _of("customer_contact", "an address is an array", "bad_text", cc_email=[MARK])
    yield _of("order_status", "a status text is a flag", "bad_text", os_description=False)
    yield _of(
        "variant_foreign_price", "a price is a tiny float", "decimal_out_of_range", vafp_rsp_exc_vat=1 / float(NUMBER) ** 20
    )
    yield _of("variant_foreign_price", "a price's currency is text", "bad_integer", vafp_c_id=MARK)
    yield _of("variant_foreign_price", "a price's variant is missing", "column_missing", vafp_vad_id=...)
    yield _of("variant_stock_quantity", "stock is text", "bad_decimal", vasq_free_stock_quantity=MARK)
    yield _of("variant_stock_quantity", "stock's variant is out of range", "integer_out_of_range", vasq_vad_id=2**63)
    yield _of("variant_detail", "a flag of sale is text", "bad_flag", vad_sale_variant=MARK)
    yield _of("variant_detail", "a SKU is a number", "bad_text", vad_variant_code=NUMBER)
    yield _of("product_detail", "a product's name is an array", "bad_text", pd_description=[MARK])
    yield _of("category_treeview_node", "a category's name is an object", "bad_text", ctn_description={MARK: 1})
    yield _of("variant_category", "a category is a fraction", "bad_integer", vac_ctn_id=NUMBER + 0.5)


RECORDS: Final = [*_unreadable(), *_keys(), *_envelopes(), *_schemas(), *_columns()]
