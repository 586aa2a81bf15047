"""The lines that a person, or a test, types to move the simulated world: `door open`, `hr 88`.

One line in, one line out: what was done, or `error: ` with the lines that are taken. A line that
moves a contact is confirmed once the node has had time to see it; the lines after it wait.
"""

import board
import machine

_SETTLE_MS = 40  # the debounce time of a contact, and some
_PATIENT_MS = 20_000  # after which every beat that the oximeter looks back to is new
_STEP_MS = 200
_LINES = {
    "door": "an empty line (toggles the door), door open, door close, tamper on, tamper off",
    "wearable": "hr 88, spo2 97, steps 1200, temp 36.9",
    "common": "battery 2900",
}


class Controls:
    """Lines for the applications in `apps`, "door" and "wearable"; `say(line)` answers.

    A wearable needs the `body` that wears it, and its `oximeter`.
    """

    def __init__(self, node, apps, body=None, oximeter=None, say=print):
        self._node = node
        self._say = say
        self._body = body
        self._oximeter = oximeter
        self._commands = {"battery": self._battery}
        if "door" in apps:
            self._commands[""] = self._toggle
            self._commands["door"] = self._door
            self._commands["tamper"] = self._tamper
        if "wearable" in apps:
            self._commands["hr"] = self._hr
            self._commands["spo2"] = self._spo2
            self._commands["steps"] = self._steps
            self._commands["temp"] = self._temp
            self._measure()
        self._taken = ", ".join([_LINES[app] for app in apps] + [_LINES["common"]])
        self._waiting = []
        self._settling = False

    def line(self, line):
        """Take one line, without its end."""
        self._waiting.append(line)
        self._work()

    def _work(self):
        while self._waiting and not self._settling:
            self._do(self._waiting.pop(0))

    def _do(self, line):
        name, _, argument = line.strip().partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._say("error: {!r} is no line of mine; I take {}".format(name, self._taken))
            return
        try:
            done = command(argument.strip())
        except ValueError as error:
            self._say("error: {}; I take {}".format(error, self._taken))
            return
        if self._settling:
            self._node.after(_SETTLE_MS, lambda _now_ms: self._settled(done))
        else:
            self._say(done)

    def _settled(self, done):
        self._say(done)
        self._settling = False
        self._work()

    def _toggle(self, _argument):
        is_open = machine.wire(board.REED_PIN).level
        return self._door("close" if is_open else "open")

    def _door(self, argument):
        is_open = _choice("door", argument, "close", "open")
        board.set_door(is_open)
        self._settling = True
        return "door open" if is_open else "door closed"

    def _tamper(self, argument):
        is_open = _choice("tamper", argument, "off", "on")
        board.set_lid(is_open)
        self._settling = True
        return "tamper on" if is_open else "tamper off"

    def _battery(self, argument):
        mv = _number("battery", argument, 0, 6000)
        board.set_battery(mv)
        return "battery {} mV".format(mv)

    def _hr(self, argument):
        self._body.light.pulse_per_min = _number("hr", argument, 30, 220)
        self._measure()
        return "heart rate {} beats/min".format(argument)

    def _spo2(self, argument):
        self._body.light.spo2_pct = _number("spo2", argument, 70, 100)
        self._measure()
        return "oxygen saturation {} %".format(argument)

    def _steps(self, argument):
        motion = self._body.motion
        motion.walk(_number("steps", argument, motion.steps, 65535) - motion.steps)
        return "steps {}".format(motion.steps)

    def _temp(self, argument):
        try:
            celsius = float(argument)
        except ValueError:
            celsius = 1000.0
        if not -55 <= celsius <= 150:
            raise ValueError("temp: -55 to 150 degrees Celsius")
        self._body.temperature.set_mc(round(celsius * 1000))
        return "temperature {} Cel".format(argument)

    def _measure(self):
        """Let the oximeter see the wearer for a while that only these two notice."""
        span_ms = 0
        while span_ms < _PATIENT_MS:
            self._body.light.advance(_STEP_MS)
            self._oximeter.sample()
            span_ms += _STEP_MS


def _choice(name, argument, no, yes):
    if argument != no and argument != yes:
        raise ValueError("{}: {} or {}".format(name, yes, no))
    return argument == yes


def _number(name, argument, least, most):
    good = argument.isdigit() and len(argument) < 7
    if not good or not least <= int(argument) <= most:
        raise ValueError("{}: a whole number from {} to {}".format(name, least, most))
    return int(argument)
