package io.debezium.connector.sqlserver;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;

import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import io.debezium.config.Configuration;
import io.debezium.config.ConfigurationNames;
import io.debezium.relational.history.MemorySchemaHistory;

/**
 * Writes, as JSON Lines on standard output, the records that Kafka would get of every scenario in every mode. The argument
 * names a JSON file of modes: name to the connector's configuration. The same input gives the same output.
 */
public final class Golden {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private final String mode;
    private final Map<String, String> settings;
    private final JsonConverter keys;
    private final JsonConverter values;
    private final SimpleHeaderConverter headers = new SimpleHeaderConverter();

    private Golden(String mode, Map<String, String> settings) {
        this.mode = mode;
        this.settings = settings;
        keys = converter("key.converter.", true);
        values = converter("value.converter.", false);
    }

    public static void main(String[] args) throws IOException, InterruptedException {
        // The driver's timestamps are wall clock times of the JVM's zone, as the scenarios write them.
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Map<String, Map<String, String>> modes = JSON.readValue(new File(args[0]), new TypeReference<>() {
        });
        for (Map.Entry<String, Map<String, String>> mode : modes.entrySet()) {
            Golden golden = new Golden(mode.getKey(), mode.getValue());
            for (GoldenScenarios.Scenario scenario : GoldenScenarios.ALL) {
                golden.play(scenario);
            }
        }
        OUT.flush();
    }

    private JsonConverter converter(String prefix, boolean isKey) {
        Map<String, String> configuration = new HashMap<>();
        settings.forEach((key, value) -> {
            if (key.startsWith(prefix)) {
                configuration.put(key.substring(prefix.length()), value);
            }
        });
        JsonConverter converter = new JsonConverter();
        converter.configure(configuration, isKey);
        return converter;
    }

    private void play(GoldenScenarios.Scenario scenario) throws InterruptedException {
        Configuration configuration = Configuration.from(settings).edit()
                .with(SqlServerConnectorConfig.SCHEMA_HISTORY, MemorySchemaHistory.class)
                .with(ConfigurationNames.TASK_ID_PROPERTY_NAME, "0")
                .with(Configuration.from(scenario.settings())).build();
        try (GoldenCapture capture = new GoldenCapture(configuration)) {
            scenario.story().tell(capture, names -> {
                List<SourceRecord> records = capture.emitted();
                if (records.size() != names.length) {
                    throw new IllegalStateException("not " + String.join(", ", names) + " but " + records);
                }
                for (int at = 0; at < names.length; at++) {
                    write(names[at], records.get(at));
                }
            });
        }
    }

    private void write(String name, SourceRecord record) {
        withoutTheClock(record);
        ObjectNode line = JSON.createObjectNode().put("case", name).put("mode", mode).put("topic", record.topic())
                .put("key", text(keys.fromConnectData(record.topic(), record.keySchema(), record.key())))
                .put("value", text(values.fromConnectData(record.topic(), record.valueSchema(), record.value())));
        ObjectNode told = line.putObject("headers");
        for (Header header : record.headers()) {
            // Made anew at each start.
            String value = header.key().endsWith("runId") ? "(run)"
                    : text(headers.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value()));
            told.put(header.key(), value);
        }
        OUT.println(line);
    }

    /** Heartbeats and schema changes ask the system's clock, and not the one that they could be given. */
    private static void withoutTheClock(SourceRecord record) {
        if (record.value() instanceof Struct value && value.schema().field("op") == null && value.schema().field("status") == null) {
            value.put("ts_ms", GoldenCapture.PROCESSED.toEpochMilli());
        }
    }

    private static String text(byte[] json) {
        return json == null ? null : new String(json, StandardCharsets.UTF_8);
    }
}
