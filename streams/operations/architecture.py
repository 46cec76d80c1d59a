"""The page ``docs/architecture.md``: its text, with tables made from the protocol."""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from streams.dispatch.outbox import delivery_task
from streams.messages.capture_protocol import CAPTURE_TOPICS
from streams.messages.contracts import Participant, TopicContract
from streams.messages.loops import LOOPS
from streams.messages.protocol import CHANGELOG_TOPICS, OWN_TOPICS
from streams.messages.topics import Topics
from streams.operations.walk import MODULES_THAT_RUN, WALK, shapes_on_the_way, topics_on_the_way

_TOPICS = Topics.of("<app id>")
_DAY_MS = 86_400_000
_BETWEEN = tuple(topic for topic in OWN_TOPICS if topic.kinds)


def architecture_page() -> str:
    """The page as Markdown."""
    page = files("streams.operations").joinpath("architecture.md").read_text()
    made = {
        "diagram": _diagram(),
        "topics": _topics(),
        "why": _why(),
        "kinds": _kinds(),
        "loops": _loops(),
        "walk": _walk(),
        "counts": _counts(),
        "states": _table("state"),
        "transitions": _table("event"),
    }
    for name, lines in made.items():
        page = page.replace(f"{{{{{name}}}}}", "\n".join(lines))
    return page


def _name(topic: TopicContract) -> str:
    name = getattr(_TOPICS, topic.name, topic.name)
    return f"`{name}`"


def _diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "flowchart LR"
    yield '    orderwise[("Orderwise")] --> connector["Debezium connector"]'
    yield '    connector -- "captured rows" --> ingest["ingest"]'
    for topic in _BETWEEN:
        (consumer,) = topic.consumers
        for part in topic.producers:
            count = sum(part in parts for parts in topic.kinds.values())
            kinds = "kind" if count == 1 else "kinds"
            yield f'    {_node(part)} -- "{topic.name}: {count} {kinds}" --> {_node(consumer)}'
    yield '    outbox -- "tasks, in memory" --> senders["senders"]'
    yield '    senders -- "HTTP" --> dotdigital[("Dotdigital")]'
    yield '    senders -- "deliveries" --> outbox'
    yield '    dotdigital -- "HTTP" --> readback["readback"]'
    yield '    outbox -- "parked" --> operator["operator (owdd)"]'
    yield '    ingest -. "dead_letters" .-> operator'
    yield '    operator -. "retries" .-> ingest'
    yield '    operator -. "replays" .-> ingest'
    yield '    operator -. "erasures" .-> ingest'
    yield "```"


def _node(part: Participant) -> str:
    return part.value.replace(" ", "_")


def _topics() -> Iterator[str]:
    yield "| topic | key | value | partition | written by | read by | kept |"
    yield "|---|---|---|---|---|---|---|"
    for topic in (*CAPTURE_TOPICS, *OWN_TOPICS, *CHANGELOG_TOPICS):
        cells = (_name(topic), topic.key, topic.records, topic.partitioning, _parts(topic.producers), _parts(topic.consumers))
        yield f"| {' | '.join(cells)} | {_kept(topic)} |"


def _parts(parts: Sequence[Participant]) -> str:
    return ", ".join(parts) or "nobody of ours"


def _kept(topic: TopicContract) -> str:
    config = topic.config
    if config["cleanup.policy"] == "compact":
        return "compacted" + "".join(
            f", {text} {_days(config[key])}"
            for key, text in (("min.compaction.lag.ms", "after"), ("max.compaction.lag.ms", "within"))
            if key in config
        )
    if topic.kept_days:
        return f"{topic.kept_days} days, and until it is read"
    return "for ever" if config["retention.ms"] == "-1" else _days(config["retention.ms"])


def _days(milliseconds: str) -> str:
    return f"{int(milliseconds) // _DAY_MS:,} days"


def _why() -> Iterator[str]:
    for topic in (*CAPTURE_TOPICS, *OWN_TOPICS, CHANGELOG_TOPICS[0]):
        name = "`…-changelog`" if topic is CHANGELOG_TOPICS[0] else _name(topic)
        yield f"* {name}: {topic.purpose if topic is not CHANGELOG_TOPICS[0] else 'state'}. {topic.why}"


def _kinds() -> Iterator[str]:
    yield "| topic | kind | emitted by |"
    yield "|---|---|---|"
    for topic in _BETWEEN:
        for kind, parts in topic.kinds.items():
            yield f"| `{topic.name}` | `{kind.name}` | {_parts(parts)} |"


def _loops() -> Iterator[str]:
    for number, loop in enumerate(LOOPS, 1):
        way = " → ".join(f"{step.part} `{step.kind.name}` into `{step.topic}`" for step in loop.steps)
        yield f"{number}. **{loop.name}**: {way}."
        yield f"   *Why.* {loop.why}"
        yield f"   *Longest chain.* {loop.longest_chain[0].upper()}{loop.longest_chain[1:]}"


def _table(first_column: str) -> Iterator[str]:
    """The table of a delivery task's docstring whose first column is named so."""
    inside = False
    for line in (delivery_task.__doc__ or "").splitlines():
        inside = line.startswith(f"| {first_column} |") or (inside and line.startswith("|"))
        if inside:
            yield line


def _walk() -> Iterator[str]:
    yield "| | module | what happens | it is now | goes into |"
    yield "|---|---|---|---|---|"
    for number, step in enumerate(WALK, 1):
        topic = "" if step.topic is None else f"topic `{step.topic}`"
        yield f"| {number} | `{step.module}` | {step.happens} | {step.shape or ''} | {topic} |"


def _counts() -> Iterator[str]:
    topics, shapes = topics_on_the_way(), shapes_on_the_way()
    yield "| what | count | how it is counted |"
    yield "|---|---|---|"
    yield f"| topics | {len(topics)} | those in the last column; the outcome goes into one more, `deliveries` |"
    yield (
        f"| files | {len({step.module for step in WALK})} | the modules above, which one opens to follow the despatch. In all"
        f" {MODULES_THAT_RUN} modules run for it, with helpers of a few lines that need no visit"
        " (`tests/protocol/test_walk.py` traces them) |"
    )
    yield (
        f"| shapes | {len(shapes)} | the types in the fourth column: a record and a request, the row, a message for each of"
        " four hops, a state row for each of four keys, and what a delivery is on its way to a sender |"
    )
