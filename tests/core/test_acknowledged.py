"""What a writer notes of its acknowledged records, and how it is written beside an offset."""

from aiokafka import TopicPartition

from streams.core.acknowledged import Acknowledged, join, split
from streams.core.bookmark import Bookmark
from streams.observability.lag import ConsumedOffsets

BROKERS_LIMIT = 4_096


def mark(offset: int, timestamp_ms: int = 0) -> Bookmark:
    return Bookmark.at(offset, timestamp_ms, b"key", b"%d" % offset)


def test_what_is_noted_beside_an_offset_is_found_again() -> None:
    written = Acknowledged()
    written.note(("shop.order-changes", 3), mark(17, 1_700_000_000_000))
    written.note(("shop.order-changes", 12), mark(4, 1_700_000_000_001))
    written.note(("shop.desired", 0), mark(0, 1_700_000_000_002))
    for bookmark in (None, mark(9, 5)):
        assert split(join(bookmark, written)) == (bookmark, written.marks())


def test_other_metadata_holds_no_notes() -> None:
    read = mark(9, 5)
    assert split(join(read, Acknowledged())) == (read, {})
    assert join(read, Acknowledged()) == read.encode(), "as older versions have it"
    for text in ("", "consumer-1", "|", "9:5|x", "|topic=", "|topic=0:1", "|topic=x:1:2:3"):
        assert split(text)[1] == {}


def test_a_later_note_replaces_the_earlier_one_wherever_it_comes_from() -> None:
    written, place = Acknowledged(), ("shop.desired", 0)
    written.note(place, mark(5))
    written.learn({place: mark(8)})
    assert written.marks() == {place: mark(8)}
    written.note(place, mark(7))
    assert not written.overtaken, "it was acknowledged before the other process wrote"
    written.note(place, mark(9))
    written.learn({place: mark(8)})
    assert written.marks() == {place: mark(9)} == split(join(None, written))[1]


def test_a_record_that_another_took_the_offset_of_stays_noted() -> None:
    written, place = Acknowledged(), ("shop.desired", 0)
    written.note(place, mark(20))
    for offset in (20, 21, 30):
        written.note(place, mark(offset, 1))
        assert written.overtaken == {place: mark(20)} == written.marks()


def test_notes_that_do_not_fit_are_the_oldest() -> None:
    written = Acknowledged()
    for number in range(300):
        written.note((f"shop.topic-{number % 5}", number), mark(10**9 + number, 1_700_000_000_000 + number))
    text = join(mark(10**12, 1_700_000_000_000), written)
    noted = {partition for _, partition in split(text)[1]}
    assert len(text) < BROKERS_LIMIT and len(noted) >= 80
    assert noted == set(range(300 - len(noted), 300))


def test_a_commit_of_many_partitions_fits_into_one_batch_of_the_broker() -> None:
    progress = ConsumedOffsets("group", ["captured"], Acknowledged({"o"}))
    for number in range(500):
        progress.written.note(("o", number), mark(number))
    places = [TopicPartition("captured", number) for number in range(1000)]
    for place in places:
        progress.done(place, mark(place.partition))
    request = progress.commit_request({place: place.partition + 1 for place in places})
    assert sum(len(metadata) + 100 for _, metadata in request.values()) < 1_000_000
    found = [split(metadata) for _, metadata in request.values()]
    assert all(bookmark is not None for bookmark, _ in found)
    assert [bool(written) for _, written in found] == [True] + [False] * 999
