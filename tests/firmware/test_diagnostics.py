"""/diag and /diag/log: their contents, whole and block-wise; the count of resets."""

import json
import os

import board
import machine
from machine import clock

import credentials
from apps import door, resets
from apps.diagnostics import Log
from coap import Node
from coap.access import READ_ONLY, Access
from coap.counters import COUNT_MALFORMED, COUNT_RETRANSMISSIONS, COUNTER_NAMES
from coap.numbers import CBOR, JSON, SENML_CBOR, SENML_JSON, TEXT
from coap.oscore import Oscore
from coap.oscore.context import Context
from config import Settings
from support import cases, only
from support.engine import get
from support.features import BLOCK2, ETAG, block
from support.oscore_peer import volatile
from support.request_helpers import Asker

FILE = "build-test-resets.json"


def asker():
    """A client of a door node, in virtual time."""
    board.power_on()
    clock.hold(0)
    node = Node(max_payload=2048)  # all of /diag in one message
    door.setup(node, board, Settings())
    ask = Asker(node)
    ask.run(20)
    return ask


def facts(ask):
    """The lines of /diag as a dict."""
    answer = ask.get("diag")
    assert (answer.code, answer.content_format or 0) == ("2.05", TEXT)
    lines = answer.payload.decode().split("\n")
    assert lines.pop() == ""
    return dict([line.split(": ", 1) for line in lines])


def records(ask):
    """The records of /diag by name."""
    answer = ask.get("diag", SENML_JSON)
    assert (answer.code, answer.content_format) == ("2.05", SENML_JSON)
    found = json.loads(answer.payload)
    assert found[0]["bn"] == "urn:dev:mac:a0b1c2fffed3e4f5:" and found[0]["bu"] == "count"
    return {record["n"]: record for record in found}


def test_text_has_a_line_per_value():
    ask = asker()
    ask.run(12_500)
    told = facts(ask)
    assert told["uptime"] == "12 s"
    assert (told["datagrams_in"], told["datagrams_out"]) == ("1", "0")
    for name in COUNTER_NAMES:
        assert told[name] == "0"
    assert told["reset"] == "power-on" and told["resets_power-on"] == "1"
    assert told["last_error"] == ""
    ask.run(1000)
    told = facts(ask)
    assert (told["datagrams_in"], told["datagrams_out"]) == ("2", "1")


def test_who_asks_within_a_second_does_not_change_the_blocks_of_another():
    ask = asker()
    blocks = []
    for num in range(3):
        blocks.append(get(ask.node, "diag", block(BLOCK2, num, 0, 4), now_ms=20 + num))
        ask.node.counters[COUNT_RETRANSMISSIONS] += 100
        assert get(ask.node, "diag", peer="another", now_ms=20 + num).code == 0x45
    assert len({message.all(ETAG)[0] for message in blocks}) == 1


@only("micropython")
def test_free_heap_is_reported():
    heap_free, unit = facts(asker())["heap_free"].split(" ")
    assert unit == "B" and 10_000 < int(heap_free) < 4_000_000


def test_senml_has_a_record_per_value():
    ask = asker()
    ask.run(12_500)
    told = facts(ask)
    ask.run(1000)
    found = records(ask)
    assert set(found) == set(told)
    assert (found["uptime"]["u"], found["uptime"]["v"]) == ("s", 13)
    assert found["datagrams_in"] == {"n": "datagrams_in", "v": 2}
    assert found["datagrams_out"] == {"n": "datagrams_out", "v": 1}
    assert found["reset"] == {"n": "reset", "vs": "power-on"}
    for name in COUNTER_NAMES:
        assert found[name] == {"n": name, "v": 0}
    answer = ask.get("diag", SENML_CBOR)
    assert answer.code == "2.05" and answer.payload[:2] == bytes((0x98, len(found)))
    assert ask.get("diag", JSON).code == "4.06" and ask.get("diag", CBOR).code == "4.06"


def test_node_counters_are_reported():
    ask = asker()
    assert ask.node.datagram(b"\x49\x01\x00\x01", 4, "peer", 0) > 0  # a token length of 9: RST
    ask.node.counters[COUNT_RETRANSMISSIONS] = 7
    told = facts(ask)
    assert (told["malformed"], told["retransmissions"], told["datagrams_in"]) == ("1", "7", "2")
    assert records(ask)["malformed"]["v"] == ask.node.counters[COUNT_MALFORMED] == 1


def fail(node):
    """Let a timer of the node raise."""

    def broken(now_ms):
        raise ValueError('a "wire" broke')

    node.after(1, broken)


@cases(
    ([], None),
    ([Access(READ_ONLY)], ""),
    ([Access(READ_ONLY), Oscore()], "no keys"),
    ([Access(READ_ONLY), volatile([Context(bytes(range(16)), b"\x01", b"\x02")])], "1 contexts"),
)
def test_key_count_is_reported(features, words):
    board.power_on()
    clock.hold(0)
    node = Node(*features)
    door.setup(node, board, Settings())
    if node.access is not None:
        node.access.line = "peer"
    assert facts(Asker(node)).get("oscore") == words


def test_missing_keys_are_reported():
    access = credentials.features("no-such.json", lambda line: None)
    node = Node(*access)
    board.power_on()
    clock.hold(0)
    door.setup(node, board, Settings())
    ask = Asker(node)
    node.access.line = "peer"
    assert facts(ask)["oscore"] == "no keys"
    node.access.line = None
    assert ask.put("config", b"{}", JSON).code == "4.01"


def test_last_error_is_reported():
    ask = asker()
    fail(ask.node)
    ask.run(20)
    told = facts(ask)
    assert "wire" in told["last_error"] and told["handler_errors"] == "1"
    assert records(ask)["last_error"]["vs"] == told["last_error"]
    ask.node.last_error = "x" * 300
    assert facts(ask)["last_error"] == "x" * 80


@cases((TEXT, 0), (SENML_JSON, 1), (SENML_CBOR, 2), (SENML_JSON, 5))
def test_blocks_come_from_one_snapshot(form, szx):
    """Although each request for a block is a datagram that counts."""
    ask = asker()
    payload = b""
    etags = []
    num = 0
    now_ms = ask.now_ms
    more = 8
    while more:
        accept = (17, bytes((form,)) if form else b"")
        answer = get(ask.node, "diag", accept, block(BLOCK2, num, 0, szx), now_ms=now_ms)
        assert answer.code == 0x45
        payload += answer.payload
        etags += answer.all(4)
        more = answer.uint(BLOCK2) & 8
        num += 1
        now_ms += 3000
    assert num > 1 and etags == etags[:1] * num
    whole = get(ask.node, "diag", accept, now_ms=now_ms).payload
    if form == TEXT:
        assert payload.startswith(b"uptime: 0 s\n") and payload.endswith(b": 1\n")
        assert payload.count(b"\n") == whole.count(b"\n") and b"datagrams_in: 1\n" in payload
    elif form == SENML_JSON:
        assert len(json.loads(payload)) == len(json.loads(whole))
    else:
        assert payload[:2] == whole[:2]


def test_later_block_without_the_first():
    ask = asker()
    answer = get(ask.node, "diag", block(BLOCK2, 1, 0, 2))
    assert answer.code == 0x45 and len(answer.payload) == 64


def log(ask):
    answer = ask.get("diag/log")
    assert answer.code == "2.05"
    return answer.payload.decode()


def test_log_is_empty_at_the_start():
    assert log(asker()) == ""


def test_log_has_handler_errors():
    ask = asker()
    ask.run(5_000)
    fail(ask.node)
    ask.run(2_000)
    assert log(ask) == "5 " + ask.node.last_error + "\n"
    # the same again is another line
    fail(ask.node)
    ask.run(20)
    assert log(ask) == "5 {}\n7 {}\n".format(ask.node.last_error, ask.node.last_error)
    assert log(ask).count("\n") == 2


def test_log_has_transport_errors():
    ask = asker()
    ask.node.last_error = "OSError(101,)"
    ask.run(20_000)
    ask.node.last_error = "OSError(113,)"
    first, second = log(ask).split("\n")[:2]
    assert first in ("9 OSError(101,)", "10 OSError(101,)")  # it is looked for every 10 s
    assert second == "20 OSError(113,)"


def test_log_keeps_the_newest_lines():
    ask = asker()
    kept = ask.node.resource_at("diag/log")
    for i in range(20):
        kept.keep("line {}".format(i))
    assert log(ask) == "".join(["0 line {}\n".format(i) for i in range(12, 20)])
    kept.keep("a\nb")
    kept.keep("x" * 500)
    kept.keep("ü" * 500)
    lines = log(ask).split("\n")
    assert lines[5] == "0 a b" and lines[6] == "0 " + "x" * 78
    assert lines[7] == "0 " + "ü" * 39


def test_printed_lines_are_logged():
    ask = asker()
    ask.node.resource_at("diag/log").say("Wi-Fi: link lost")
    assert log(ask) == "0 Wi-Fi: link lost\n"


def test_memory_error_while_logging_is_survived():
    ask = asker()

    def no_memory(self, line):
        raise MemoryError

    kept, Log.keep = Log.keep, no_memory
    try:
        fail(ask.node)
        ask.run(20)
    finally:
        Log.keep = kept
    assert facts(ask)["handler_errors"] == "1"


class Machine:
    """What `machine` knows of resets; a port has some of the names."""

    PWRON_RESET = 1
    WDT_RESET = 3
    DEEPSLEEP_RESET = 4

    def __init__(self, value):
        self.value = value

    def reset_cause(self):
        return self.value


def counted(*values):
    """What the last start of a board tells that starts so often, with a file."""
    told = None
    for value in values:
        told = resets.count(Machine(value), FILE)
    return told


def without_file(function, *arguments):
    """The function's result; the file is gone before and after."""
    remove()
    try:
        return function(*arguments)
    finally:
        remove()


def remove():
    try:
        os.remove(FILE)
    except OSError:
        pass


def test_resets_are_counted_by_cause():
    told = without_file(counted, 1, 3, 3, 1, 3)
    assert told == ("watchdog", {"power-on": 2, "watchdog": 3})


def test_wake_from_deep_sleep_is_no_reset():
    assert without_file(counted, 1, 4, 4) == ("deep-sleep", {"power-on": 1})


def test_reset_cause_unknown_to_the_port():
    assert without_file(counted, 2, 7) == ("unknown", {"unknown": 2})


def test_missing_counter_file_counts_this_start_only():
    assert resets.count(Machine(3)) == ("watchdog", {"watchdog": 1})
    assert resets.count(machine) == ("power-on", {"power-on": 1})


@cases(b"", b"{", b"[1]", b"null", b'{"watchdog": "7"}', b'{"watchdog": -1}', b"\xff\xfe")
def test_broken_counter_file_restarts_the_counts(content):
    def start():
        with open(FILE, "wb") as file:
            file.write(content)
        return counted(3, 3)

    assert without_file(start) == ("watchdog", {"watchdog": 2})


def test_valid_counts_of_a_damaged_file_are_kept():
    def start():
        with open(FILE, "wb") as file:
            file.write(b'{"hard": 5, "colour": 1, "soft": true, "power-on": 999999}')
        return counted(1)

    assert without_file(start)[1] == {"hard": 5, "power-on": 999999}


def test_unwritable_flash_does_not_stop_the_node():
    told = resets.count(Machine(3), "no-such-folder/resets.json")
    assert told == ("watchdog", {"watchdog": 1})
