"""The conformance checks can fail: each one does, against a node that breaks what it checks."""

import socket
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOOL = ROOT / "tools" / "conformance"
sys.path.append(str(TOOL))

import checks  # noqa: E402, F401  registers them
import foreign  # noqa: E402
import matrix  # noqa: E402
from broken_node import Running  # noqa: E402
from client import Client, Failed  # noqa: E402
from clocks import TAKEN_MS, OfPico, Wall  # noqa: E402
from faults import FAULTS  # noqa: E402
from registry import (  # noqa: E402
    CHECKS,
    FAIL,
    NOT_APPLICABLE,
    NOT_OFFERED,
    PASS,
    Check,
    Result,
    run,
)
from targets import PLUGTEST, SPECIAL, TARGETS  # noqa: E402

CAUGHT = {
    "forgetful": "message.duplicate message.duplicate_non block.repeated",
    "all clients are one": "message.other_port block.two",
    "deaf": """message.separate message.reset_response observe.reset observe.reset_non""",
    "a GET ends it": "observe.plain_get",
    "all twice": "observe.one_at_a_time",
    "talkative": """hostile.short hostile.version hostile.stray_ack hostile.stray_non
        hostile.non_format hostile.ack_request message.separate_non options.critical_non""",
    "blind to critical options": """options.critical options.critical_effect options.lengths
        options.proxy extensions.no_keys""",
    "blind to conditions": """options.if_match options.if_match_any options.if_none_match
        options.validate extensions.patch_errors""",
    "blind to Accept": """options.accept options.accept_more options.not_acceptable
        options.repeated extensions.problem""",
    "blind to blocks": """block.early block.small block.sizes block.any_order block.reserved
        block.beyond block.wrong_length block.size2 block.anew""",
    "blind to Observe": "observe.large observe.pumping patience.abandoned",
    "blind to Echo": "extensions.echo",
    "blind to No-Response": """extensions.no_response extensions.no_response_con
        extensions.no_response_separate""",
    "blind to Request-Tag": "extensions.request_tag",
    "blind to queries": """link.rt link.rt_any link.rt_several link.interface link.size link.href
        link.href_prefix link.content_format link.no_prefix""",
    "accepts all": """methods.not_allowed methods.not_found methods.whole_segments methods.create
        options.diagnostic options.host_lengths extensions.fetch_format extensions.echo_wrong
        extensions.still_answered observe.deleted observe.error observe.other_format
        observe.by_name block.gap block.too_large""",
    "fails all": """methods.con_delete methods.con_post methods.non_delete methods.non_post
        methods.delete_absent methods.queries methods.segments options.elective options.host
        options.many extensions.tag_alone extensions.patch observe.not_observable
        message.lost_answer""",
    "no options": """methods.con_get methods.non_get methods.location_path methods.location_query
        link.core link.observable link.hierarchy block.late""",
    "no Block1 in answers": "block.put block.put_sizes",
    "no end of observations": "observe.deregister",
    "Observe stands still": "observe.con observe.non observe.newest observe.again",
    "no RST": """hostile.pinged hostile.token_length hostile.token_cut hostile.marker
        hostile.nibble""",
    "ACK for RST": """hostile.option_cut hostile.option_number hostile.empty hostile.classes
        hostile.stray_con""",
    "CON for all": "message.piggybacked message.lost_ack",
    "no empty ACK": "message.lost_response",
    "same MID": "message.non",
    "another token": "message.tokens",
    "unknown options": "options.ascending",
    "garbled payload": """methods.con_put methods.non_put observe.updated observe.several
        block.untouched extensions.fetch""",
    "short payload": "block.create block.both_ways block.single block.one_block",
}
# They need a node in a multicast group: a server that is not in it fails them.
LATE_S = 3
GROUP = {"group.asked", "group.not_answered", "group.discovered"}


class Patient(Wall):
    """This computer's clock where it is busy: what is to come may come later than usual, and what
    is not to come is awaited for longer.
    """

    @staticmethod
    def wait(sock, seconds):
        return Wall.wait(sock, seconds + LATE_S)


class Target:
    """What a check is run against."""

    name = "broken"
    title = "a node that is broken"
    is_ours = True
    one_by_one = False
    clock = Patient
    make_client = Client
    lacks = {}

    def __init__(self, address):
        self.address = address
        self.paths = {name: name for name in PLUGTEST} | SPECIAL
        self.locks = defaultdict(threading.Lock)


@pytest.fixture(scope="module")
def results():
    """The results of the checks in CAUGHT, all faults at the same time: check -> future."""
    found = {}
    with ThreadPoolExecutor(64) as pool:
        running = []
        for fault, names in CAUGHT.items():
            running.append(Running(FAULTS[fault]).__enter__())
            target = Target(running[-1].address)
            wanted = [check for check in CHECKS if check.name in names.split()]
            for check in wanted:
                found[check.name] = pool.submit(alone, check, target)
        yield found
        for future in found.values():
            future.exception()
        for one in running:
            one.__exit__()


def alone(check, target):
    """Run a check while no other one uses its resources."""
    locks = [target.locks[path] for path in sorted({target.paths[name] for name in check.needs})]
    for lock in locks:
        lock.acquire()
    try:
        return run(check, target)
    finally:
        for lock in locks:
            lock.release()


@pytest.mark.parametrize("fault", CAUGHT)
def test_what_is_broken_is_found(results, fault):
    for name in CAUGHT[fault].split():
        result = results[name].result()
        assert (result.outcome, name) == (FAIL, name)
        assert result.why


def test_every_check_can_fail():
    names = [name for caught in CAUGHT.values() for name in caught.split()]
    assert sorted(names) == sorted({check.name for check in CHECKS} - GROUP)


def test_without_a_fault_the_same_checks_pass():
    with Running(FAULTS["none"]) as node:
        target = Target(node.address)
        quick = [c for c in CHECKS if c.module in ("methods", "options", "link", "block")]
        for check in quick:
            result = run(check, target)
            assert (check.name, result.outcome, result.why) == (check.name, PASS, "")


@pytest.fixture(scope="module")
def under_oscore():
    target = TARGETS["mote-oscore"]()
    target.clock = Patient
    try:
        target.start()
        yield target
    finally:
        target.stop()


def test_the_same_checks_pass_under_oscore_and_nothing_is_written_without(under_oscore):
    for check in CHECKS:
        if check.module in ("methods", "link", "block") or check.name == "observe.updated":
            result = run(check, under_oscore)
            assert (check.name, result.outcome, result.why) == (check.name, PASS, "")
    stranger = Client(under_oscore.address)
    try:
        assert stranger.ask("GET", "test").code == "2.05"
        assert stranger.ask("PUT", "test", payload=b"no").code == "4.01"
    finally:
        stranger.close()


def test_what_is_outside_of_oscore_is_not_applicable(under_oscore):
    names = {name for check in CHECKS for name in (*check.needs, check.module, check.name)}
    assert set(under_oscore.lacks) < names
    for check in CHECKS:
        if check.module in ("hostile", "group") or check.name in under_oscore.lacks:
            result = run(check, under_oscore)
            assert (check.name, result.outcome) == (check.name, NOT_APPLICABLE)
            assert result.why in under_oscore.lacks.values()


def test_an_answer_without_oscore_is_a_failure(under_oscore):
    (check,) = [check for check in CHECKS if check.name == "methods.con_get"]
    with Running(FAULTS["none"]) as node:
        target = Target(node.address)
        target.make_client = under_oscore.make_client
        result = run(check, target)
    assert result.outcome == FAIL and result.why.startswith("an answer without OSCORE: ACK 4.02")


def test_an_answer_that_somebody_changed_is_a_failure(under_oscore):
    client = under_oscore.make_client(under_oscore.address, Wall)
    try:
        client.send(client.request("GET", "test"))
        answer = client.sock.recv(2048)
        assert client.decode(answer).code == "2.05"
        with pytest.raises(Failed, match="cannot be opened"):
            client.decode(answer[:-1] + bytes([answer[-1] ^ 1]))
    finally:
        client.close()


CHECK = Check("7252 1", "it works", "CORE_01", (), (), "x", print)


@pytest.mark.parametrize(
    ("outcome", "seen", "good", "complains"),
    [
        (PASS, PASS, True, False),
        (FAIL, PASS, False, True),
        (NOT_OFFERED, PASS, False, False),
        (NOT_APPLICABLE, PASS, True, False),
        (PASS, FAIL, False, True),
        (PASS, None, True, False),
    ],
)
def test_what_is_good(outcome, seen, good, complains):
    targets = [Target(None)]
    results = {(id(CHECK), "broken"): Result(outcome, "because")}
    seen = seen and {("CORE_01", "libcoap", "test_core_01_x"): (seen, "because")}
    assert matrix.is_good([CHECK], targets, results, seen) is good
    assert "7252 1" in matrix.of_checks([CHECK], targets, results)
    assert ("because" in matrix.failures([CHECK], targets, results, seen)) is complains


def test_what_a_server_cannot_have_is_not_applicable_and_says_why():
    target = Target(None)
    target.lacks = {"group": "it hears no multicast"}
    wanted = [check for check in CHECKS if check.name in GROUP]
    results = {(id(check), "broken"): run(check, target) for check in wanted}
    table = matrix.of_checks(wanted, [target], results)
    assert len(wanted) == 3 and table.count(" n/a\n") == 3
    assert "0/0" in table and "broken: n/a in 3: it hears no multicast\n" in table


class SlowPico:
    """Time as an emulated Pico has it: `answers` are (ms, socket, datagram) to come."""

    def __init__(self, *answers):
        self.now_ms = 0
        self.answers = answers

    def run_ms(self, span_ms):
        before_ms = self.now_ms
        self.now_ms += span_ms
        for at_ms, sock, datagram in self.answers:
            if before_ms < at_ms <= self.now_ms:
                sock.send(datagram)


def test_a_client_waits_in_the_time_of_the_pico():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as node:
        node.bind(("127.0.0.1", 0))
        pico = SlowPico((90_000, node, b"\x60\x45\x00\x01"))
        client = Client(node.getsockname(), OfPico(pico))
        node.connect(client.sock.getsockname())
        try:
            assert client.receive(60) is None and pico.now_ms == 60_000
            assert client.receive(60).code == "2.05"
            assert 90_000 <= pico.now_ms < 91_000
            client.clock.sleep(2)
            assert client.clock.now_s() == pico.now_ms / 1000 >= 92
        finally:
            client.close()


def test_what_a_client_sends_to_a_pico_does_not_push_out_what_it_sent_before():
    pico = SlowPico()
    clock = OfPico(pico)
    sent_ms = []
    for pause_ms in (0, 0, 0, 10, 1000):
        pico.run_ms(pause_ms)
        clock.make_room()
        sent_ms.append(pico.now_ms)
    assert sent_ms == [n * TAKEN_MS for n in range(4)] + [3 * TAKEN_MS + 1000]


def test_what_foreign_clients_did_is_read_from_the_report():
    report = """<testsuites><testsuite>
        <testcase classname="interop.test_plugtest_libcoap_lossy" name="test_core_09_11_x[a]"/>
        <testcase classname="tests.interop.test_plugtest_node" name="test_obs_01_x">
            <failure message="it hung&#10;and more"/></testcase>
        <testcase classname="tests.interop.test_plugtest_app" name="test_other"/>
        </testsuite></testsuites>"""
    seen = foreign.read(foreign.ElementTree.fromstring(report))
    assert seen == {
        ("CORE_09", "libcoap", "test_core_09_11_x[a]"): (PASS, ""),
        ("CORE_11", "libcoap", "test_core_09_11_x[a]"): (PASS, ""),
        ("OBS_01", "node", "test_obs_01_x"): (FAIL, "it hung"),
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--servers", "none"], "--servers: no 'none': take of mote-micropython, mote-cpython"),
        (["--only", "weather"], "--only: no 'weather'"),
        (["--what"], "--what"),
    ],
)
def test_mistakes_are_one_line(arguments, complaint):
    done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert complaint in done.stderr and done.stderr.count("\n") == 1
    assert done.stdout == ""
