import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.HashMap;
import java.util.Map;

/** What Debezium captured, what travels between the stages, and what each stage keeps. */
final class Rows {
    private Rows() {}

    record Source(@JsonProperty("commit_lsn") String lsn) {}

    record Envelope<R>(R after, Source source) {}

    record HeaderRow(
            @JsonProperty("oh_id") long id,
            @JsonProperty("oh_order_number") String number,
            @JsonProperty("oh_datetime") String at,
            @JsonProperty("oh_cd_id") long customer,
            @JsonProperty("oh_os_id") int status) {}

    record TotalRow(@JsonProperty("oht_oh_id") long order, @JsonProperty("oht_net") String net) {}

    record LineRow(
            @JsonProperty("oli_id") long id,
            @JsonProperty("oli_oh_id") long order,
            @JsonProperty("oli_vad_id") long variant,
            @JsonProperty("oli_qty_required") String quantity,
            @JsonProperty("oli_line_net") String net) {}

    record CustomerRow(
            @JsonProperty("cd_id") long id,
            @JsonProperty("cd_ow_account") String account,
            @JsonProperty("cd_account_customer") boolean trade) {}

    record ContactRow(
            @JsonProperty("cc_id") long id,
            @JsonProperty("cc_customer_id") long customer,
            @JsonProperty("cc_email") String email,
            @JsonProperty("cc_first_name") String first,
            @JsonProperty("cc_last_name") String last) {}

    /** A value that an LSN guards: a lower one than that which is there is skipped. */
    interface Versioned {
        String lsn();
    }

    record Header(String lsn, String number, String at, long customer, int status) implements Versioned {}

    record Total(String lsn, long net) implements Versioned {}

    record Line(String lsn, long id, long variant, String quantity, long net) implements Versioned {}

    /** One row of an order; the others are null. */
    record OrderChange(Header header, Total total, Line line) {}

    record Customer(String lsn, String account, boolean trade) implements Versioned {}

    record Contact(String lsn, long id, String email, String first, String last) implements Versioned {}

    record Fact(String lsn, long order, String number, String at, int status, boolean live, long net)
            implements Versioned {}

    /** One row of a buyer, or the fact of one of its orders; the others are null. */
    record BuyerChange(Customer customer, Contact contact, Fact fact) {}

    /** What one buyer gives the contact at an address. */
    record Part(String buyer, long version, Merged own) {}

    /** The content of a contact, of one buyer or of all at its address; the benchmark reads count and spend. */
    record Merged(
            String account,
            boolean trade,
            String first,
            String last,
            int count,
            long spend,
            String lastAt,
            String lastNumber,
            Integer lastStatus) {}

    static final class Order {
        public Header header;
        public Total total;
        public Map<Long, Line> lines = new HashMap<>();
    }

    static final class Buyer {
        public long version;
        public Customer customer;
        public Map<Long, Contact> contacts = new HashMap<>();
        public Map<Long, Fact> facts = new HashMap<>();
    }

    static final class Person {
        public Map<String, Part> parts = new HashMap<>();
    }
}
