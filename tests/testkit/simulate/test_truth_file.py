"""The truth file says what the database holds, in the encoding of events."""

from pathlib import Path
from random import Random

import pytest

from streams.mapping import load_mapping
from streams.mapping.model import Erasure
from testkit.simulate import Simulation, SimulationConfig, read_truth
from testkit.simulate.database import Database
from testkit.simulate.row_builders import contact
from testkit.simulate.tables import CONTACT
from testkit.simulate.truth import TruthError, truth_of


def simulated(mode: str) -> Simulation:
    usual = load_mapping()
    consent = usual.consent.model_copy(update={"mode": mode, "column": "cc_marketing_opt_in"})
    mapping = usual.model_copy(update={"house_accounts": frozenset({1}), "consent": consent})
    simulation = Simulation(SimulationConfig(mapping=mapping, customers=40, orders=200, consent=True))
    assert sum(1 for _ in simulation.events())
    return simulation


def test_a_truth_file_reads_back_as_it_was(tmp_path: Path) -> None:
    simulation = simulated("column")
    simulation.write_truth(tmp_path / "truth.json")
    assert read_truth(tmp_path / "truth.json") == simulation.truth()


def test_opted_in_ever_has_normalised_addresses_of_current_and_former_rows() -> None:
    truth = simulated("column").truth()
    now = {
        str(row["cc_email"])
        for row in truth.tables["customer_contact"].values()
        if row["cc_marketing_opt_in"] and "@" in str(row["cc_email"]) and str(row["cc_email"]).islower()
    }
    assert len(set(truth.opted_in_ever) & now) > 10
    assert set(truth.opted_in_ever) - now
    assert all(address == address.strip().lower() for address in truth.opted_in_ever)


def test_without_a_mapped_consent_nobody_ever_opted_in() -> None:
    assert simulated("none").truth().opted_in_ever == []


def test_who_asks_to_be_forgotten_asks_for_the_address_before_too() -> None:
    mapping = load_mapping().model_copy(update={"erasure": Erasure(column="cc_gdpr_erased")})
    db = Database(mapping)
    row = contact(Random(1), 1, customer=1, first=None, last=None, full=None, email="a@example.com", opt_in=None, at="")
    db.insert(CONTACT, row)
    db.update(CONTACT, 1, cc_email="b@example.com")
    assert truth_of(db, mapping, 1).erased == []
    db.update(CONTACT, 1, cc_email="c@example.com", cc_gdpr_erased=True)
    db.update(CONTACT, 1, cc_email="d@example.com", cc_gdpr_erased=None)
    assert truth_of(db, mapping, 1).erased == ["b@example.com", "c@example.com"]
    assert truth_of(db, load_mapping(), 1).erased == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed":1,"tables":3,"opted_in_ever":[]}'])
def test_other_files_are_refused_with_their_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(TruthError, match=r"other\.json"):
        read_truth(tmp_path / "other.json")
