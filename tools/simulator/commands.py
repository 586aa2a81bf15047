"""Commands that change the simulated world, one a line: `door open`, `hr 88`.

Each prints one line: what was done, or `error: ` and the known commands. A command that moves a
contact is confirmed once the node has had time to notice; the commands after it wait.
"""

_SETTLE_MS = 40  # more than the debounce time of a contact
_MEASURE_MS = 20_000  # after which the oximeter has seen only new beats
_STEP_MS = 200
_EXAMPLES = {
    "door": "an empty line (toggles the door), door open, door close, tamper on, tamper off",
    "wearable": "hr 88, spo2 97, steps 1200, temp 36.9",
    "common": "battery 2900",
}


class Commands:
    """Commands for the applications in `apps`, "door" and "wearable"; `say(line)` prints.

    world: has set_door(is_open), is_door_open(), set_lid(is_open) and set_battery(mv); after(ms,
    function): calls function(now_ms) later; for a wearable, body: a board.Body, and oximeter: the
    application's, None for a node that measures when it wakes.
    """

    def __init__(self, world, after, apps, body=None, oximeter=None, say=print):
        self._world = world
        self._after = after
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
        self._known = ", ".join([_EXAMPLES[app] for app in apps] + [_EXAMPLES["common"]])
        self._waiting = []
        self._settling = False

    def line(self, line):
        """Execute a command, given without its line end."""
        self._waiting.append(line)
        self._run()

    def _run(self):
        """Execute the waiting commands until one moves a contact."""
        while self._waiting and not self._settling:
            self._execute(self._waiting.pop(0))

    def _execute(self, line):
        """Execute one command and print the result, at once or after the settling time."""
        name, _, argument = line.strip().partition(" ")
        command = self._commands.get(name)
        if command is None:
            self._say("error: {!r} is unknown; the commands are {}".format(name, self._known))
            return
        try:
            done = command(argument.strip())
        except ValueError as error:
            self._say("error: {}; the commands are {}".format(error, self._known))
            return
        if self._settling:
            self._after(_SETTLE_MS, lambda _now_ms: self._settled(done))
        else:
            self._say(done)

    def _settled(self, done):
        """Confirm the command that moved a contact; execute those that waited."""
        self._say(done)
        self._settling = False
        self._run()

    def _toggle(self, _argument):
        """Open or close the door."""
        return self._door("close" if self._world.is_door_open() else "open")

    def _door(self, argument):
        """Set the door's contact."""
        is_open = _choice("door", argument, "close", "open")
        self._world.set_door(is_open)
        self._settling = True
        return "door open" if is_open else "door closed"

    def _tamper(self, argument):
        """Set the lid's contact."""
        is_open = _choice("tamper", argument, "off", "on")
        self._world.set_lid(is_open)
        self._settling = True
        return "tamper on" if is_open else "tamper off"

    def _battery(self, argument):
        """Set the battery's voltage."""
        mv = _number("battery", argument, 0, 6000)
        self._world.set_battery(mv)
        return "battery {} mV".format(mv)

    def _hr(self, argument):
        """Set the wearer's heart rate."""
        self._body.light.pulse_per_min = _number("hr", argument, 30, 220)
        self._measure()
        return "heart rate {} beats/min".format(argument)

    def _spo2(self, argument):
        """Set the wearer's oxygen saturation."""
        self._body.light.spo2_pct = _number("spo2", argument, 70, 100)
        self._measure()
        return "oxygen saturation {} %".format(argument)

    def _steps(self, argument):
        """Walk until the step counter has this value."""
        motion = self._body.motion
        motion.walk(_number("steps", argument, motion.steps, 65535) - motion.steps)
        return "steps {}".format(motion.steps)

    def _temp(self, argument):
        """Set the skin temperature."""
        try:
            celsius = float(argument)
        except ValueError:
            celsius = 1000.0
        if not -55 <= celsius <= 150:
            raise ValueError("temp: -55 to 150 degrees Celsius")
        self._body.temperature.set_mc(round(celsius * 1000))
        return "temperature {} Cel".format(argument)

    def _measure(self):
        """Let the oximeter measure for a while that passes for it and its chip alone."""
        span_ms = 0 if self._oximeter else _MEASURE_MS
        while span_ms < _MEASURE_MS:
            self._body.light.advance(_STEP_MS)
            self._oximeter.sample()
            span_ms += _STEP_MS


def _choice(name, argument, no, yes):
    """Return True for the word `yes`, False for `no`. Raise ValueError for others."""
    if argument != no and argument != yes:
        raise ValueError("{}: {} or {}".format(name, yes, no))
    return argument == yes


def _number(name, argument, least, most):
    """Return a whole number. Raise ValueError for others."""
    good = argument.isdigit() and len(argument) < 7
    if not good or not least <= int(argument) <= most:
        raise ValueError("{}: a whole number from {} to {}".format(name, least, most))
    return int(argument)
