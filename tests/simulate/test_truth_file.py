"""The truth file says what the database holds, in the encoding of events."""

from pathlib import Path

import pytest

from streams.mapping import load_mapping
from streams.simulate import Simulation, SimulationConfig, read_truth
from streams.simulate.truth import TruthError


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


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed":1,"tables":3,"opted_in_ever":[]}'])
def test_other_files_are_refused_with_their_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    with pytest.raises(TruthError, match=r"other\.json"):
        read_truth(tmp_path / "other.json")
