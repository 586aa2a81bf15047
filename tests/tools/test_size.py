"""`make size`: nothing outgrows its budget, and the figures are right."""

import json

import pytest

import size
import size_flash
import size_heap
from setup.console import Problem


@pytest.fixture(scope="module")
def flash():
    return size_flash.groups(size_flash.mpy())


@pytest.fixture(scope="module")
def heap():
    return size_heap.on_unix()


def test_nothing_outgrows_its_budget(flash, heap):
    taken = {"mpy": flash, "heap": size_heap.sums(heap.steps)}
    assert size.outgrown(taken, json.loads(size.BUDGET.read_text())) == []


def test_what_outgrows_its_budget_is_named_with_the_way_to_renew_it():
    budget = {"mpy": {"core": 100}, "heap": {}}
    lines = size.outgrown({"mpy": {"core": 101}, "heap": {"all": 1}}, budget)
    assert len(lines) == 2
    assert lines[0].startswith("mpy core: 101 bytes, the budget is 100:")
    assert "make size RENEW=1" in lines[0]
    assert size.outgrown({"mpy": {"core": 100}, "heap": {}}, budget) == []


def test_a_renewed_budget_holds(tmp_path):
    taken = {"mpy": {"core": 1000}, "heap": {"all": 10}}
    size.renew(taken, tmp_path / "budget.json")
    budget = json.loads((tmp_path / "budget.json").read_text())
    assert size.outgrown(taken, budget) == []
    assert budget["mpy"]["core"] == 1020
    size.renew({"mpy": {"core": 24500}}, tmp_path / "budget.json")
    assert json.loads((tmp_path / "budget.json").read_text())["mpy"]["core"] == 24576


def test_floors_that_are_missed_are_told():
    taken = {"mpy": {"core": 24 << 10}, "heap": {"made": 12 << 10, "all": 12 << 10}}
    assert size.missed(taken) == []
    taken["mpy"]["core"] += 1
    assert size.missed(taken) == ["Above the floor: mpy core: 24,577 of 24,576"]


def test_groups_of_files(flash):
    assert flash["core"] < flash["least"] < flash["all"]
    assert all(size > 0 for size in flash.values())
    assert "coap/scan.py" in size_flash.imported("coap.node")
    assert "coap/block.py" not in size_flash.imported("coap.node")


def test_steps_of_the_heap(heap):
    steps = heap.steps
    sums = size_heap.sums(steps)
    assert steps["node"] > 1152  # the longest datagram at least
    assert steps["import coap.node"] > 0
    assert sums["made"] == steps["node"] + steps["settings"] + steps["resources"]
    assert sums["all"] == sums["modules"] + sums["made"] == sum(steps.values())


def test_what_only_the_start_needs_is_given_back(heap):
    assert heap.steps["unload coap.presets"] < 0
    assert "coap.node" in heap.modules
    assert not {"coap.presets", "apps.resets", "config_schema"} & set(heap.modules)


def test_the_node_and_its_application_stay_under_the_floor(heap):
    assert size_heap.sums(heap.steps)["made"] <= size.FLOORS["heap"]["made"]


def test_functions_and_classes_are_those_of_the_modules(heap):
    assert size_heap.code(["coap.messaging", "coap.no_response", "machine"]) == (2, 3, 1)
    ours, functions, classes = size_heap.code(heap.modules)
    assert ours > 40 and functions > 400 and classes > 40
    assert size_heap.least(heap.modules) < size_heap.sums(heap.steps)["modules"]


def test_symbols_of_a_firmware_are_those_of_files(tmp_path):
    with pytest.raises(Problem, match="make firmware BOARD=PICO_EMU"):
        size_flash.frozen(tmp_path / "firmware.elf")
    name = "const_obj_table_data_coap_scan"
    assert size_flash.SYMBOL.match(f"10033f94 000003b0 r {name}")[2] == "coap_scan"
    name = "fun_data_coap_observe_Observe__attend"
    assert size_flash.SYMBOL.match(f"10033f94 000003b0 t {name}")[2].startswith("coap_observe")
