import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiFunction;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Kafka Streams: the join in its DSL, three aggregations with a repartition topic before each, as {@code naive.py} has it.
 *
 * <p>State is in RocksDB and in changelogs, with the caches and the one thread that are its defaults. A cache leaves out a state
 * that is replaced before the next commit, as our debounce does. Settings come from {@code BENCH_*} variables.
 */
public final class Join {
    private static final int CANCELLED = 7;

    private static final ObjectMapper JSON =
            new ObjectMapper()
                    .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .setDefaultPropertyInclusion(JsonInclude.Include.NON_NULL);

    private final StreamsBuilder builder = new StreamsBuilder();
    private final String prefix;

    private Join(String prefix) {
        this.prefix = prefix;
    }

    public static void main(String[] arguments) throws InterruptedException {
        Map<String, String> env = System.getenv();
        String name = env.get("BENCH_NAME");
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env.get("BENCH_BOOTSTRAP"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, env.get("BENCH_DATA"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, env.get("BENCH_GUARANTEE"));
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env.get("BENCH_COMMIT_MS"));
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        KafkaStreams streams = new KafkaStreams(new Join(env.get("BENCH_PREFIX")).topology(name + ".out"), settings);
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close();
            ended.countDown();
        }));
        System.out.println("contender: starting");
        streams.start();
        ended.await();
    }

    private Topology topology(String out) {
        KStream<String, Rows.OrderChange> orders =
                captured("order_header", new TypeReference<Rows.Envelope<Rows.HeaderRow>>() {}, Join::header)
                        .merge(captured("order_header_total", new TypeReference<Rows.Envelope<Rows.TotalRow>>() {}, Join::total))
                        .merge(captured("order_line_item", new TypeReference<Rows.Envelope<Rows.LineRow>>() {}, Join::line));
        KStream<String, Rows.BuyerChange> buyers =
                captured("customer_detail", new TypeReference<Rows.Envelope<Rows.CustomerRow>>() {}, Join::customer)
                        .merge(captured("customer_contact", new TypeReference<Rows.Envelope<Rows.ContactRow>>() {}, Join::contact));
        KStream<String, Rows.BuyerChange> facts =
                orders.groupByKey(grouped("orders", Rows.OrderChange.class))
                        .aggregate(Rows.Order::new, Join::assemble, kept("orders", Rows.Order.class))
                        .toStream()
                        .flatMap(Join::fact);
        KStream<String, Rows.Part> parts =
                buyers.merge(facts)
                        .groupByKey(grouped("buyers", Rows.BuyerChange.class))
                        .aggregate(Rows.Buyer::new, Join::collect, kept("buyers", Rows.Buyer.class))
                        .toStream()
                        .flatMap(Join::parts);
        parts.groupByKey(grouped("contacts", Rows.Part.class))
                .aggregate(Rows.Person::new, Join::merge, kept("contacts", Rows.Person.class))
                .toStream()
                .mapValues(Join::merged)
                .to(out, Produced.with(Serdes.String(), json(Rows.Merged.class)));
        return builder.build();
    }

    private <R, C> KStream<String, C> captured(
            String table, TypeReference<Rows.Envelope<R>> type, BiFunction<R, String, KeyValue<String, C>> trim) {
        Serde<Rows.Envelope<R>> envelope = json(JSON.readerFor(type));
        return builder.stream(prefix + ".Orderwise.dbo." + table, Consumed.with(Serdes.Bytes(), envelope))
                .filter((key, value) -> value != null && value.after() != null)
                .map((key, value) -> trim.apply(value.after(), value.source().lsn()));
    }

    private static <C> Grouped<String, C> grouped(String name, Class<C> type) {
        return Grouped.with(name, Serdes.String(), json(type));
    }

    private static <S> Materialized<String, S, KeyValueStore<Bytes, byte[]>> kept(String name, Class<S> type) {
        return Materialized.<String, S, KeyValueStore<Bytes, byte[]>>as(name)
                .withKeySerde(Serdes.String())
                .withValueSerde(json(type));
    }

    private static KeyValue<String, Rows.OrderChange> header(Rows.HeaderRow row, String lsn) {
        Rows.Header header = new Rows.Header(lsn, row.number().strip(), row.at(), row.customer(), row.status());
        return KeyValue.pair(Long.toString(row.id()), new Rows.OrderChange(header, null, null));
    }

    private static KeyValue<String, Rows.OrderChange> total(Rows.TotalRow row, String lsn) {
        Rows.Total total = new Rows.Total(lsn, units(row.net()));
        return KeyValue.pair(Long.toString(row.order()), new Rows.OrderChange(null, total, null));
    }

    private static KeyValue<String, Rows.OrderChange> line(Rows.LineRow row, String lsn) {
        Rows.Line line = new Rows.Line(lsn, row.id(), row.variant(), row.quantity(), units(row.net()));
        return KeyValue.pair(Long.toString(row.order()), new Rows.OrderChange(null, null, line));
    }

    private static KeyValue<String, Rows.BuyerChange> customer(Rows.CustomerRow row, String lsn) {
        Rows.Customer customer = new Rows.Customer(lsn, row.account().strip(), row.trade());
        return KeyValue.pair(Long.toString(row.id()), new Rows.BuyerChange(customer, null, null));
    }

    private static KeyValue<String, Rows.BuyerChange> contact(Rows.ContactRow row, String lsn) {
        Rows.Contact contact =
                new Rows.Contact(lsn, row.id(), row.email().strip().toLowerCase(Locale.ROOT), row.first().strip(), row.last().strip());
        return KeyValue.pair(Long.toString(row.customer()), new Rows.BuyerChange(null, contact, null));
    }

    /** A {@code decimal(18,4)} in text as whole ten-thousandths. */
    private static long units(String text) {
        return Long.parseLong(text.replace(".", ""));
    }

    private static Rows.Order assemble(String key, Rows.OrderChange change, Rows.Order order) {
        if (change.header() != null) {
            order.header = later(order.header, change.header());
        } else if (change.total() != null) {
            order.total = later(order.total, change.total());
        } else {
            order.lines.merge(change.line().id(), change.line(), Join::later);
        }
        return order;
    }

    private static List<KeyValue<String, Rows.BuyerChange>> fact(String key, Rows.Order order) {
        Rows.Header header = order.header;
        if (header == null || order.total == null) {
            return List.of();
        }
        String lsn = later(header, order.total).lsn();
        boolean live = header.status() != CANCELLED;
        Rows.Fact fact =
                new Rows.Fact(
                        lsn, Long.parseLong(key), header.number(), header.at(), header.status(), live, order.total.net());
        return List.of(KeyValue.pair(Long.toString(header.customer()), new Rows.BuyerChange(null, null, fact)));
    }

    private static Rows.Buyer collect(String key, Rows.BuyerChange change, Rows.Buyer buyer) {
        buyer.version++;
        if (change.customer() != null) {
            buyer.customer = later(buyer.customer, change.customer());
        } else if (change.contact() != null) {
            buyer.contacts.merge(change.contact().id(), change.contact(), Join::later);
        } else {
            buyer.facts.merge(change.fact().order(), change.fact(), Join::later);
        }
        return buyer;
    }

    private static List<KeyValue<String, Rows.Part>> parts(String key, Rows.Buyer buyer) {
        List<KeyValue<String, Rows.Part>> found = new ArrayList<>();
        if (buyer.customer == null) {
            return found;
        }
        int count = 0;
        long spend = 0;
        Rows.Fact last = null;
        for (Rows.Fact fact : buyer.facts.values()) {
            if (fact.live()) {
                count++;
                spend += fact.net();
                last = last == null || fact.at().compareTo(last.at()) > 0 ? fact : last;
            }
        }
        for (Rows.Contact contact : buyer.contacts.values()) {
            Rows.Merged own =
                    new Rows.Merged(
                            buyer.customer.account(),
                            buyer.customer.trade(),
                            contact.first(),
                            contact.last(),
                            count,
                            spend,
                            last == null ? "" : last.at(),
                            last == null ? null : last.number(),
                            last == null ? null : last.status());
            found.add(KeyValue.pair(contact.email(), new Rows.Part(key, buyer.version, own)));
        }
        return found;
    }

    private static Rows.Person merge(String key, Rows.Part part, Rows.Person person) {
        person.parts.merge(part.buyer(), part, (old, now) -> now.version() < old.version() ? old : now);
        return person;
    }

    private static Rows.Merged merged(Rows.Person person) {
        List<Rows.Merged> parts = person.parts.values().stream().map(Rows.Part::own).toList();
        Rows.Merged latest = parts.stream().max(Comparator.comparing(Rows.Merged::lastAt)).orElseThrow();
        return new Rows.Merged(
                latest.account(),
                parts.stream().anyMatch(Rows.Merged::trade),
                latest.first(),
                latest.last(),
                parts.stream().mapToInt(Rows.Merged::count).sum(),
                parts.stream().mapToLong(Rows.Merged::spend).sum(),
                latest.lastAt(),
                latest.lastNumber(),
                latest.lastStatus());
    }

    /** The one with the higher LSN; {@code now} if they are equal. */
    private static <V extends Rows.Versioned> V later(V old, V now) {
        return old != null && now.lsn().compareTo(old.lsn()) < 0 ? old : now;
    }

    private static <T> Serde<T> json(Class<T> type) {
        return json(JSON.readerFor(type));
    }

    private static <T> Serde<T> json(ObjectReader reader) {
        return Serdes.serdeFrom((topic, value) -> value == null ? null : write(value), (topic, bytes) -> read(reader, bytes));
    }

    private static byte[] write(Object value) {
        try {
            return JSON.writeValueAsBytes(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static <T> T read(ObjectReader reader, byte[] bytes) {
        try {
            return bytes == null ? null : reader.readValue(bytes);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
