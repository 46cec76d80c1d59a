package io.debezium.connector.sqlserver;

import static java.util.Map.entry;

import java.sql.Types;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.debezium.relational.Column;
import io.debezium.relational.ColumnEditor;
import io.debezium.relational.Table;
import io.debezium.relational.TableEditor;
import io.debezium.relational.TableId;

/** Tables as Debezium would have read them from SQL Server's catalogue through the JDBC driver. */
final class GoldenTables {

    static final String DATABASE = "Orderwise";

    private static final Pattern COLUMN = Pattern.compile("(\\w+) (\\w+)(?:\\((\\w+)(?:,(\\d+))?\\))?( not null)?(?: default (.+))?");

    private static final Map<String, Integer> MAX_TYPES = Map.of("nvarchar", Types.LONGNVARCHAR, "varbinary", Types.LONGVARBINARY);

    private static final Map<String, Integer> TYPES_OF = Map.ofEntries(entry("bit", Types.BIT), entry("tinyint", Types.TINYINT),
            entry("smallint", Types.SMALLINT), entry("int", Types.INTEGER), entry("bigint", Types.BIGINT),
            entry("real", Types.REAL), entry("float", Types.DOUBLE), entry("decimal", Types.DECIMAL),
            entry("numeric", Types.NUMERIC), entry("money", microsoft.sql.Types.MONEY),
            entry("smallmoney", microsoft.sql.Types.SMALLMONEY), entry("char", Types.CHAR), entry("varchar", Types.VARCHAR),
            entry("nchar", Types.NCHAR), entry("nvarchar", Types.NVARCHAR), entry("uniqueidentifier", Types.CHAR),
            entry("xml", Types.LONGNVARCHAR), entry("binary", Types.BINARY), entry("varbinary", Types.VARBINARY),
            entry("rowversion", Types.BINARY), entry("date", Types.DATE), entry("time", Types.TIME),
            entry("datetime", Types.TIMESTAMP), entry("smalldatetime", Types.TIMESTAMP), entry("datetime2", Types.TIMESTAMP),
            entry("datetimeoffset", microsoft.sql.Types.DATETIMEOFFSET));

    static final Table CUSTOMER = table("customer_detail", "cd_id int not null", "cd_ow_account nvarchar(30)",
            "cd_statement_name nvarchar(100) not null", "cd_account_customer bit not null default ((0))",
            "cd_statement_email nvarchar(255)", "cd_invoice_email nvarchar(255)");
    static final Table CONTACT = table("customer_contact", "cc_id int not null", "cc_customer_id int not null",
            "cc_name nvarchar(100)", "cc_first_name nvarchar(50)", "cc_last_name nvarchar(50)", "cc_email nvarchar(255)");
    static final Table HEADER = table("order_header", "oh_id int not null", "oh_order_number nvarchar(30) not null",
            "oh_datetime datetime not null", "oh_cd_id int", "oh_sot_id int not null", "oh_os_id int");
    static final Table DETAIL = table("order_header_detail", "ohd_id int not null", "ohd_oh_id int not null",
            "ohd_c_id int default ((1))", "ohd_delivery_email nvarchar(255)", "ohd_invoice_email nvarchar(255)",
            "ohd_special_instructions nvarchar(max)");
    static final Table TOTAL = table("order_header_total", "oht_id int not null", "oht_oh_id int not null",
            "oht_net decimal(18,4)");
    static final Table LINE = table("order_line_item", "oli_id int not null", "oli_oh_id int not null", "oli_vad_id int",
            "oli_original_oli_id int", "oli_qty_required decimal(18,4)", "oli_line_net decimal(18,4)");
    static final Table DESPATCH = table("delivery_header", "dh_id int not null", "dh_oh_id int not null",
            "dh_datetime datetime", "dh_consignment_number nvarchar(50)");
    static final Table STATUS = table("order_status", "os_id int not null", "os_description nvarchar(100) not null");

    /** One column of every type that Debezium reads, named after it. */
    static final Table TYPES = table("every_type", "id int not null", "c_bit bit", "c_tinyint tinyint", "c_smallint smallint",
            "c_int int", "c_bigint bigint", "c_real real", "c_float float", "c_decimal_18_4 decimal(18,4)",
            "c_numeric_18_6 numeric(18,6)", "c_decimal_38_0 decimal(38,0)", "c_money money", "c_smallmoney smallmoney",
            "c_char char(5)", "c_varchar varchar(20)", "c_nchar nchar(5)", "c_nvarchar nvarchar(20)",
            "c_nvarchar_max nvarchar(max)", "c_uniqueidentifier uniqueidentifier", "c_xml xml", "c_binary binary(3)",
            "c_varbinary varbinary(20)", "c_varbinary_max varbinary(max)", "c_rowversion rowversion", "c_date date",
            "c_time_3 time(3)", "c_time_6 time(6)", "c_time_7 time(7)", "c_datetime datetime", "c_smalldatetime smalldatetime",
            "c_datetime2_3 datetime2(3)", "c_datetime2_6 datetime2(6)", "c_datetime2_7 datetime2(7)",
            "c_datetimeoffset datetimeoffset(7)", "c_nvarchar_default nvarchar(20) default (N'none')");

    /** Values that are easily misread; a varchar(max) has the JDBC type that the driver reports for it. */
    static final Table TRAPS = table("traps", "id int not null", "c_decimal_38_20 decimal(38,20)",
            "c_datetimeoffset datetimeoffset(7)", "c_varchar_max varchar(8000)");

    private GoldenTables() {
    }

    /** Declared as in T-SQL; the first column is the primary key. */
    static Table table(String name, String... columns) {
        TableEditor table = Table.editor().tableId(new TableId(DATABASE, "dbo", name));
        for (int at = 0; at < columns.length; at++) {
            table.addColumn(column(columns[at], at + 1));
        }
        return table.setPrimaryKeyNames(table.columns().get(0).name()).create();
    }

    private static Column column(String declaration, int position) {
        Matcher told = COLUMN.matcher(declaration);
        if (!told.matches()) {
            throw new IllegalArgumentException(declaration);
        }
        String type = told.group(2);
        boolean max = "max".equals(told.group(3));
        int size = told.group(3) == null || max ? 0 : Integer.parseInt(told.group(3));
        ColumnEditor column = Column.editor().name(told.group(1)).type(type, type).position(position)
                .optional(told.group(5) == null).defaultValueExpression(told.group(6));
        return (max ? column.jdbcType(MAX_TYPES.get(type)).length(Integer.MAX_VALUE) : typed(column, type, size, told.group(4)))
                .create();
    }

    private static ColumnEditor typed(ColumnEditor column, String type, int size, String scale) {
        column.jdbcType(TYPES_OF.get(type));
        return switch (type) {
            case "decimal", "numeric" -> column.length(size).scale(Integer.valueOf(scale));
            case "money" -> column.length(19).scale(4);
            case "smallmoney" -> column.length(10).scale(4);
            case "datetime" -> column.length(23).scale(3);
            case "smalldatetime" -> column.length(16).scale(0);
            case "time" -> column.length(9 + size).scale(size);
            case "datetime2" -> column.length(20 + size).scale(size);
            case "datetimeoffset" -> column.length(27 + size).scale(size);
            case "rowversion" -> column.type("timestamp", "timestamp").length(8);
            case "char", "varchar", "nchar", "nvarchar", "binary", "varbinary" -> column.length(size);
            default -> column;
        };
    }
}
