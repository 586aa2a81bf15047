"""The application's deadlines, in virtual time."""

from coap.counters import COUNT_HANDLER_ERRORS
from coap.node import Node
from support import raises

WRAP = 1 << 30


def pass_time(node, start_ms, span_ms):
    """Let time pass as a transport does: sleep for as long as the node says, then due()."""
    elapsed = 0
    while elapsed <= span_ms:
        now_ms = (start_ms + elapsed) % WRAP
        while node.due(now_ms):
            pass
        elapsed += max(node.wait_ms(now_ms), 1) if node.wait_ms(now_ms) else 0
    return (start_ms + span_ms) % WRAP


def test_after_runs_once():
    node = Node()
    ran = []
    pass_time(node, 1000, 0)
    node.after(500, ran.append)
    pass_time(node, 1000, 499)
    assert ran == []
    pass_time(node, 1499, 5000)
    assert ran == [1500]


def test_every_keeps_its_period():
    node = Node()
    ran = []
    node.every(1000, ran.append)
    pass_time(node, 0, 5000)
    assert ran == [1000, 2000, 3000, 4000, 5000]


def test_a_late_turn_does_not_shift_the_period():
    node = Node()
    ran = []
    node.every(1000, ran.append)
    for now_ms in (0, 1300, 2000, 2999, 3000):
        node.due(now_ms)
    assert ran == [1300, 2000, 3000]


def test_turns_that_were_missed_are_not_made_up_for():
    node = Node()
    ran = []
    node.every(1000, ran.append)
    for now_ms in (0, 10500, 10501, 11499, 11500):
        node.due(now_ms)
    assert ran == [10500, 11500]


def test_timers_across_the_wrap_of_the_clock():
    node = Node()
    ran = []
    node.every(1000, ran.append)
    node.after(1500, lambda now_ms: ran.append(-now_ms))
    pass_time(node, WRAP - 500, 2600)
    assert ran == [500, -1000, 1500]


def test_the_longest_timer():
    node = Node()
    ran = []
    node.after((1 << 29) - 1, ran.append)
    pass_time(node, 123, (1 << 29) - 2)
    assert ran == []
    pass_time(node, 123 + (1 << 29) - 2, 10)
    assert ran == [(123 + (1 << 29) - 1) % WRAP]


def test_spans_that_do_not_fit():
    node = Node()
    for span_ms in (0, -1, 1 << 29, 1 << 30):
        assert "536870911" in str(raises(ValueError, node.after, span_ms, print))
        assert "536870911" in str(raises(ValueError, node.every, span_ms, print))


def test_wait_names_the_next_one():
    node = Node()
    node.after(700, lambda now_ms: None)
    node.every(300, lambda now_ms: None)
    node.due(0)
    assert node.wait_ms(0) == 300
    assert node.wait_ms(200) == 100
    assert node.wait_ms(300) == 0
    assert node.wait_ms(350) == 0
    node.due(300)
    assert node.wait_ms(300) == 300
    node.due(600)
    assert node.wait_ms(600) == 100


def test_cancel():
    node = Node()
    ran = []
    once = node.after(100, ran.append)
    often = node.every(100, ran.append)
    node.due(0)
    node.cancel(once)
    node.due(100)
    assert ran == [100]
    node.cancel(often)
    node.cancel(often)
    node.due(5000)
    assert ran == [100]


def test_to_cancel_what_ran_does_not_touch_others():
    node = Node()
    ran = []
    first = node.after(100, lambda now_ms: None)
    node.due(0)
    node.due(100)
    for _ in range(8):
        node.after(100, ran.append)
    node.cancel(first)
    node.due(200)
    node.due(300)
    assert ran == [300] * 8


def test_a_timer_may_start_and_stop_timers():
    node = Node()
    ran = []

    def again(now_ms):
        ran.append(now_ms)
        if len(ran) < 3:
            node.after(10, again)
        else:
            node.cancel(often)

    often = node.every(7, lambda now_ms: None)
    node.after(10, again)
    pass_time(node, 0, 100)
    assert ran == [10, 20, 30]
    assert node.wait_ms(100) > 1000000


def test_so_many_timers():
    node = Node(timers=2)
    one = node.after(5, lambda now_ms: None)
    node.every(5, lambda now_ms: None)
    assert "timers=" in str(raises(ValueError, node.after, 5, print))
    node.cancel(one)
    node.after(5, lambda now_ms: None)


def test_a_timer_that_raises_is_logged_and_goes_on():
    node = Node()
    ran = []

    def broken(now_ms):
        ran.append(now_ms)
        raise RuntimeError("sensor gone")

    node.every(100, broken)
    node.every(100, lambda now_ms: ran.append(-now_ms))
    for now_ms in (0, 100, 200):
        node.due(now_ms)
    assert ran == [100, -100, 200, -200]
    assert node.counters[COUNT_HANDLER_ERRORS] == 2
    assert "sensor gone" in node.last_error


def test_the_journal_takes_the_text_of_each_exception():
    node = Node()
    lines = []
    node.on_log = lines.append

    def broken(now_ms):
        raise RuntimeError("sensor gone at {}".format(now_ms))

    node.every(100, broken)
    for now_ms in (0, 100, 200):
        node.due(now_ms)
    assert len(lines) == 2 and "gone at 100" in lines[0] and "gone at 200" in lines[1]


def test_a_journal_that_raises_does_no_harm():
    node = Node()

    def full(line):
        raise MemoryError("no space for it")

    node.on_log = full
    ran = []

    def broken(now_ms):
        ran.append(now_ms)
        raise RuntimeError("sensor gone")

    node.every(100, broken)
    for now_ms in (0, 100, 200):
        node.due(now_ms)
    assert ran == [100, 200] and node.counters[COUNT_HANDLER_ERRORS] == 2
    assert "sensor gone" in node.last_error
