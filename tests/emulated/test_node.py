"""The node in the firmware, from power-on to answers, over real UDP."""

from launch.ask import get

LINK_LIMIT_MS = 25_000


def test_the_door_answers_over_ppp_and_sees_its_contact(pico):
    assert pico.run_until(lambda: pico.link_up, LINK_LIMIT_MS), pico.console.read()
    address = ("127.0.0.1", pico.udp_port)
    assert pico.run_until(lambda: get(*address, "/s/contact") == b"closed", 5000)
    pico.pin(14, 1)
    assert pico.run_until(lambda: get(*address, "/s/contact") == b"open", 5000)
    assert b"/s/contact" in get(*address, "/.well-known/core")
