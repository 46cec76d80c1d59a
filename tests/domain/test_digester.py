"""Digests of erased addresses: keyed, and still recognised when the key is another one."""

from hashlib import blake2b

import pytest

from streams.core.errors import ConfigurationError
from streams.domain.digester import Digester

ANN, BOB = "ann@example.com", "bob@example.com"
OLD, NEW = Digester(b"old"), Digester(b"old", b"new")


def test_a_digest_is_of_one_address_under_one_key() -> None:
    assert OLD(ANN) == Digester(b"old")(ANN)
    assert len({OLD(ANN), OLD(BOB), Digester(b"other")(ANN), NEW(ANN)}) == 4
    assert len(Digester(b"k" * 100)(ANN)) == 16


def test_with_one_key_it_is_the_digest_that_releases_before_rotation_made() -> None:
    assert OLD(ANN) == blake2b(ANN.encode(), key=b"old", digest_size=16).digest()


def test_what_a_former_key_made_is_recognised_and_can_be_made_anew_without_the_address() -> None:
    assert NEW.known_in(ANN, {OLD(ANN)})
    assert NEW.known_in(ANN, {NEW(ANN)})
    assert not NEW.known_in(BOB, {OLD(ANN), NEW(ANN)})
    assert NEW.rekeyed(OLD(ANN), OLD.key_id) == NEW(ANN)
    assert NEW.rekeyed(OLD(ANN), "") == NEW(ANN)
    assert NEW.rekeyed(NEW(ANN), NEW.key_id) == NEW(ANN)


def test_several_rotations_end_at_one_digest() -> None:
    third = Digester(b"old", b"new", b"newest")
    assert third.rekeyed(OLD(ANN), OLD.key_id) == third.rekeyed(NEW(ANN), NEW.key_id) == third(ANN)
    assert third.known_in(ANN, {OLD(ANN)})


def test_the_new_key_alone_recognises_nobody_so_an_unknown_key_is_an_error() -> None:
    alone = Digester(b"new")
    assert not alone.known_in(ANN, {OLD(ANN), NEW(ANN)})
    for unknown in (OLD.key_id, NEW.key_id):
        with pytest.raises(
            ConfigurationError, match=r"^OWDD_ERASURE_KEY: there are erasures under key [0-9a-f]{16}\. Set it to"
        ):
            alone.age(unknown)
    with pytest.raises(ConfigurationError, match="under another key"):
        OLD.require(ANN, NEW(ANN))
    NEW.require(ANN, OLD(ANN))


def test_the_id_of_a_key_depends_on_those_before_it() -> None:
    assert len({Digester(b"new").key_id, NEW.key_id, OLD.key_id}) == 3
