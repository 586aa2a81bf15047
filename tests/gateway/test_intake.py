"""Reports: what is stored, once, with which response, in the clear and under keys."""

import aiocoap
import cbor2
import pytest
from aiocoap.numbers.codes import Code
from parts import (
    GATEWAY_ID,
    NODE_ID,
    add_keys,
    ask,
    client,
    keys_of,
    pack,
    report,
    run,
    running,
)
from tools.gateway.store import StoreError

OPENED = (("contact", True, 5), ("contact_n", 7), ("epoch", "0a0b0c0d"))
EVENTS = "SELECT epoch, number, source, value FROM event ORDER BY id"


def test_a_report_is_stored_and_told_again_is_there_once(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for _ in range(3):
                response = await report(context, gateway, *OPENED)
                assert response.code == Code.CHANGED
                assert cbor2.loads(response.payload) == 0
            assert gateway.store.read(EVENTS) == [("open-0a0b0c0d", 7, "contact", 1.0)]
            assert gateway.intake.counts == {"reports": 3, "repeats": 2, "refused": 0}

    run(main())


def test_events_of_a_report_have_the_numbers_up_to_its_last(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            records = [("contact", True, 30), ("tamper", True, 20), ("contact", False, 10)]
            await report(context, gateway, *records, ("contact_n", 1), ("epoch", "e"))
            numbers = [(number, source) for _, number, source, _ in gateway.store.read(EVENTS)]
            assert numbers == [((1 << 30) - 1, "contact"), (0, "tamper"), (1, "contact")]

    run(main())


def test_rows_of_a_wearable_are_events_by_their_times(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            records = [("hr", 71.0, 60), ("temp", 36.5, 60), ("hr", 72.0, 30), ("row_n", 9)]
            await report(context, gateway, *records, ep="band")
            assert [row[1:3] for row in gateway.store.read(EVENTS)] == [(8, "row"), (9, "row")]
            hr = await ask(context, gateway.uri + "/n/band/s/hr")
            assert hr.payload == b"72"

    run(main())


def test_a_known_number_with_another_value_is_another_event(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for is_open in (True, False):
                await report(context, gateway, ("contact", is_open), ("contact_n", 1))
            assert len(gateway.store.read(EVENTS)) == 2

    run(main())


def test_what_a_node_has_lost_is_kept_as_a_gap(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for lost in (3, "unknown"):
                await report(context, gateway, *OPENED, ("lost", lost))
            rows = gateway.store.read("SELECT after, missing FROM gap")
            assert rows == [(6, None)]

    run(main())


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", Code.BAD_REQUEST),
        (b"\xff", Code.BAD_REQUEST),
        (cbor2.dumps([]), Code.BAD_REQUEST),
        (cbor2.dumps([{-2: "urn:dev:mac:01:", 0: "contact", 4: True}]), Code.BAD_REQUEST),
        (pack(("contact", True), ("contact_n", -1)), Code.BAD_REQUEST),
        (pack(("contact", True), ("contact_n", 1 << 30)), Code.BAD_REQUEST),
        (pack(("hr", float("inf"))), Code.BAD_REQUEST),
        (pack(("hr", 70, -5)), Code.BAD_REQUEST),
        (pack(*[("hr", i) for i in range(65)]), Code.BAD_REQUEST),
        (pack(("n" * 65, 1)), Code.BAD_REQUEST),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, payload, code):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            uri = gateway.uri + "/r/door-1"
            response = await ask(context, uri, "POST", payload, content_format=112)
            assert response.code == code
            assert gateway.store.read("SELECT 1 FROM node") == []

    run(main())


@pytest.mark.parametrize("path", ["", "/", "/a/b", "/-", "/" + "a" * 64, "/a%2Fb", "/%C3%A4"])
def test_a_report_under_no_name_is_refused(tmp_path, path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            response = await ask(
                context, f"{gateway.uri}/r{path}", "POST", pack(*OPENED), content_format=112
            )
            assert not response.code.is_successful()

    run(main())


def test_a_report_that_cannot_be_stored_is_told_so(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            write = gateway.store.write

            async def fail(*_):
                raise StoreError("database or disk is full")

            gateway.store.write = fail
            response = await report(context, gateway, *OPENED)
            assert response.code == Code.SERVICE_UNAVAILABLE
            assert response.opt.max_age == 60
            gateway.store.write = write
            assert (await report(context, gateway, *OPENED)).code == Code.CHANGED

    run(main())


def test_nodes_nobody_has_adopted_are_few_with_few_events(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for i in range(25):
                await report(context, gateway, *OPENED, ep=f"n{i}", eui=f"{i:016x}")
            assert gateway.store.read("SELECT count(*) FROM node") == [(20,)]
            for number in range(60):
                records = (("contact", number % 2 == 0), ("contact_n", number))
                await report(context, gateway, *records, ep="n24", eui=f"{24:016x}")
            assert gateway.store.read("SELECT count(*) FROM event WHERE node = 25") == [(50,)]

    run(main())


def test_two_boards_of_one_name_are_two_nodes(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for eui in ("00000000000000aa", "000000000000bbcc"):
                await report(context, gateway, *OPENED, eui=eui)
            assert gateway.store.read("SELECT ep FROM node ORDER BY id") == [
                ("door-1",),
                ("door-1-bbcc",),
            ]

    run(main())


def test_a_report_under_keys_is_stored_with_its_window(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            node = await add_keys(gateway)
            context.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            for number in (1, 2):
                records = (("contact", number == 1), ("contact_n", number), ("epoch", "e"))
                response = await report(context, gateway, *records)
                assert response.code == Code.CHANGED
            assert [row[:2] for row in gateway.store.read(EVENTS)] == [("01-e", 1), ("01-e", 2)]
            context = await gateway.contexts.prepare((NODE_ID, b""))
            rows = gateway.store.read("SELECT node, win_index, win_bits FROM key WHERE node")
            assert rows == [(node, *context.window())]
            assert not context.recipient_replay_window.is_valid(1)

    run(main())


def test_a_node_with_keys_is_never_again_accepted_without(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await add_keys(gateway)
            for eui in ("0011223344556677", "ffffffffffffffff"):
                response = await report(context, gateway, *OPENED, eui=eui)
                assert response.code == Code.UNAUTHORIZED
            assert gateway.store.read(EVENTS) == []

    run(main())


def test_keys_of_one_node_do_not_report_for_another(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            await add_keys(gateway)
            context.client_credentials[gateway.uri + "/*"] = keys_of(NODE_ID, GATEWAY_ID)
            response = await report(context, gateway, *OPENED, ep="door-2")
            assert response.code == Code.FORBIDDEN

    run(main())


def test_with_strict_only_nodes_with_keys_are_taken(tmp_path):
    async def main():
        async with running(tmp_path, strict=True) as gateway, client() as context:
            response = await report(context, gateway, *OPENED)
            assert response.code == Code.FORBIDDEN
            assert gateway.store.read("SELECT 1 FROM node") == []

    run(main())


def test_only_post_is_for_reports(tmp_path):
    async def main():
        async with running(tmp_path) as gateway, client() as context:
            for method in ("GET", "PUT", "DELETE"):
                response = await ask(context, gateway.uri + "/r/door-1", method)
                assert response.code == Code.METHOD_NOT_ALLOWED, method
            assert isinstance(response, aiocoap.Message)

    run(main())
