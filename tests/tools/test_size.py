"""`make size`: nothing takes more than its budget, and the figures are right."""

import json

import pytest

from setup.console import Problem
from size import __main__ as size
from size import budget, flash, heap

MADE_MAX = 12288 + 1500  # the second: what keeps strangers from starving others


@pytest.fixture(scope="module")
def groups():
    return flash.groups(flash.mpy())


@pytest.fixture(scope="module")
def steps():
    return heap.on_unix()


def test_nothing_exceeds_its_budget(groups, steps):
    taken = {"bytes of .mpy": groups, "bytes of heap": heap.sums(steps)}
    assert budget.exceeded(taken, size.MAY_GROW_PCT) == []


def test_the_node_and_its_application_stay_small(steps):
    assert 1152 < steps["node"] < heap.sums(steps)["made"] <= MADE_MAX


def test_what_exceeds_its_budget_is_named():
    allowed = {"bytes": {"core": 100, "all": 200}}
    assert budget.exceeded({"bytes": {"core": 102, "all": 1}}, 2, allowed) == []
    assert budget.exceeded({"bytes": {"core": 103, "all": 1}}, 2, allowed) == [
        "bytes, core: 103, the budget is 100 + 2 %"
    ]


def test_a_name_without_a_budget_is_named():
    assert budget.exceeded({"bytes": {"core": 1}}, 2, {}) == ["bytes, core: not in the budget"]
    assert budget.exceeded({"bytes": {}}, 2, {"bytes": {"core": 1}}) == [
        "bytes, core: only in the budget"
    ]


def test_a_renewed_budget_holds_and_keeps_the_other_parts(tmp_path):
    file = tmp_path / "budget.json"
    file.write_text(json.dumps({"instructions": {"get": 7}, "bytes": {"core": 1}}))
    budget.renew({"bytes": {"core": 1000}}, file)
    assert budget.load(file) == {"instructions": {"get": 7}, "bytes": {"core": 1000}}


def test_a_table_sums_up_and_marks_what_is_missing(capsys):
    size.print_table("bytes", {"x64": {"a": 1000, "b": 24}, "frozen": {}}, ["a", "b", "all"])
    assert capsys.readouterr().out.splitlines() == [
        "bytes        x64     frozen",
        "a          1,000          -",
        "b             24          -",
        "all        1,024          -",
        "",
    ]


def test_groups_of_files(groups):
    assert 0 < groups["least"] < groups["all"]
    assert {"coap.observe", "coap.blockwise", "coap.oscore", "coap.resource_directory"} < {*groups}
    assert all(size > 0 for size in groups.values())
    assert "coap/codec.py" in flash.imported("coap.node")
    assert "coap/blockwise.py" not in flash.imported("coap.node")


def test_steps_of_the_heap(steps):
    sums = heap.sums(steps)
    assert steps["import coap.node"] > 0
    assert steps["unload coap.presets"] < 0, "what only the start needs is given back"
    assert sums["made"] == steps["node"] + steps["settings"] + steps["resources"]
    assert sums["all"] == sums["modules"] + sums["made"] == sum(steps.values())


def test_what_the_probe_prints_is_parsed():
    assert heap.parse("MPY: soft reboot\nheap import coap.node 6768\nheap settings -16\n") == {
        "import coap.node": 6768,
        "settings": -16,
    }


def test_symbols_of_a_firmware_are_those_of_files(tmp_path):
    with pytest.raises(Problem, match="make firmware BOARD=PICO_EMU"):
        flash.frozen(tmp_path / "firmware.elf")
    name = "const_obj_table_data_coap_codec"
    assert flash.SYMBOL.match(f"10033f94 000003b0 r {name}")[2] == "coap_codec"
    name = "fun_data_coap_observe_Observe__attend"
    assert flash.SYMBOL.match(f"10033f94 000003b0 t {name}")[2].startswith("coap_observe")
