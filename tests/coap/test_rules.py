"""The rules of the engine's source that no single behaviour shows. They read files: host only."""

import ast
import contextlib
import re
from pathlib import Path

from support import cases, only

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "lib/coap"
FILES = sorted(path.name for path in ENGINE.glob("*.py"))

# Who may import whom: only what stands further up. Features stand side by side.
LAYERS = (
    ("numbers.py", "counters.py"),
    ("scan.py", "compose.py", "copying.py", "ring.py", "linktext.py", "guard.py"),
    ("message.py", "cipher.py", "framing.py"),
    ("ccm.py",),
    ("context.py",),
    ("ledger.py", "envelope.py"),
    ("exchange.py",),
    ("request.py", "resource.py", "answer.py"),
    ("reply.py", "later.py", "timers.py", "target.py", "token.py", "repeats.py", "routes.py"),
    ("call.py", "application.py"),
    ("feature.py", "transfers.py", "intake.py", "asking.py"),
    ("node.py",),
    "features",
    ("defaults.py", "directory.py"),
    ("__init__.py",),
)
NOT_FEATURES = {name for layer in LAYERS if layer != "features" for name in layer}
FEATURES = [name for name in FILES if name not in NOT_FEATURES]

# What runs between a datagram and its answer, by file. A frame of more than 11 words would come
# from the heap at every call.
HOT = {
    "node.py": (
        "Node.datagram Node.out Node.due Node.wait_ms Node.hurry Node.fail Node.changed"
        " Node._arrive Node._request Node._choose Node._check Node._refusal Node._before"
        " Node._negotiate Node._precondition Node._complete Node._fill Node._after Node._too_long"
        " Node._rest Node._missing"
    ),
    "exchange.py": (
        "Exchange.arrive Exchange.depart Exchange._remember Exchange.reset Exchange.acknowledge"
        " Exchange.meet Exchange._lapsed Exchange._push_out Exchange.trust Exchange.trusts"
        " Exchange._recall Exchange._full Exchange._other Exchange._find Exchange.begin"
        " Exchange.renew Exchange.end Exchange.due Exchange.wait_ms Exchange._attend"
        " Exchange._first_timeout_ms Exchange._transmit Exchange._turn Exchange._before"
        " Exchange._settle Exchange._sweep Exchange.next_mid Exchange.free"
    ),
    "answer.py": (
        "Answer.reset Answer.start Answer.clear Answer.number Answer.boolean Answer.write"
        " Answer.give Answer.finish"
    ),
    "later.py": "Later.recall Later.find Later.withdraw Later.due Later.wait_ms Later._left_ms",
    "timers.py": "Timers.due Timers.wait_ms Timers._run",
    "routes.py": "Routes.find Routes._above",
    "request.py": "Request.payload_length Request.content_format Request.accept",
    "message.py": (
        "View.has View.uint View.payload Writer.begin Writer._token Writer.resume Writer.option"
        " Writer.uint Writer.payload Writer._room"
    ),
    "client.py": (
        "Client.get Client.post Client.put Client.delete Client.fetch Client.observe"
        " Client.request Client.free Client.cancel Client.due Client.wait_ms Client.transmit"
        " Client.settled Client.rejected Client.response Client.release Client._options"
        " Client._take Client._attend Client._over Client._left_ms Client._turn_ms"
        " Client._nearest_ms Client._exchanges Client._silence_ms Client._send Client._await"
        " Client._accept Client._find Client._names Client._drop Client._holder"
    ),
    "intake.py": (
        "Intake.stale Intake.answer Intake.fail Intake._watched Intake._note Intake._advance"
        " Intake._piece Intake._is_odd Intake._collect Intake._deliver Intake._tell Intake._retry"
        " Intake._again"
    ),
    "call.py": (
        "Call.clear Call.begin Call.restart Call.tell Call.write Call._fill Call._carries"
        " Call._write_options Call._write_block Call.same_etag"
    ),
    "conditions.py": (
        "Conditions.triggers Conditions.left_ms Conditions.told Conditions.confirmable"
        " Conditions.before Conditions._moves Conditions._in_band Conditions._crosses"
        " Conditions._is_edge Conditions._arm Conditions._values"
    ),
    "repeats.py": "Repeats.remember Repeats.knows Repeats.due",
    "access.py": "Access.of Access.admits",
    "ccm.py": "Ccm.sign Ccm.seal Ccm.open Ccm._stream Ccm._view",
    "context.py": "Context.take",
    "envelope.py": (
        "Envelope.read Envelope.take_piv Envelope.open Envelope.unwrap Envelope.bind"
        " Envelope.vary Envelope.answer_anew Envelope.ask Envelope.write_text Envelope.sign"
        " Envelope.close Envelope.seal"
    ),
    "oscore.py": (
        "Oscore.request Oscore.repeat Oscore.shorten Oscore.answer Oscore._open"
        " Oscore._is_named Oscore._take_out Oscore._seal"
    ),
    "asking.py": (
        "Asking.protect Asking._bind Asking._sign Asking.heard Asking._open Asking._is_newer"
    ),
    "observe.py": (
        "Observe._send Observe.due Observe.changed Observe.wait_ms Observe._attend Observe._share"
        " Observe._note Observe._notify Observe._stamp Observe._pause_ms Observe._wants_con"
    ),
    "token.py": "Tokens.next Tokens.encipher",
    "transports/udp.py": (
        "Udp.step Udp.flush Udp._stir Udp.fault"
    ),
    "transports/slipmux.py": (
        "Slipmux.step Slipmux.turn Slipmux.take Slipmux.send Slipmux._ready Slipmux._fill"
        " Slipmux._read Slipmux._get Slipmux._serve Slipmux._message Slipmux._pour Slipmux._end"
        " Slipmux._write Slipmux._put"
    ),
}  # fmt: skip
VIPER = (
    "scan.py",
    "compose.py",
    "copying.py",
    "ring.py",
    "linktext.py",
    "cipher.py",
    "framing.py",
)
STACK_WORDS = 11


def imports(path):
    """The modules that a file imports, anywhere in it: "coap.scan", "socket"..."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layer(name):
    for rank, names in enumerate(LAYERS):
        if name in (FEATURES if names == "features" else names):
            return rank
    raise AssertionError(name)


@only("cpython")
def test_every_file_has_its_layer():
    assert {*FILES} == NOT_FEATURES | {*FEATURES}, "a layer names a file that is not there"
    for name in FEATURES:
        assert "coap.feature.Feature" in imports(ENGINE / name), (
            f"{name} is neither layer nor feature"
        )


@cases(*FILES)
@only("cpython")
def test_a_file_imports_what_stands_above_it(name):
    for module in imports(ENGINE / name):
        if module.startswith("coap.transports"):
            raise AssertionError(f"{name} imports {module}")
        other = module.removeprefix("coap.").split(".")[0] + ".py"
        if module.startswith("coap.") and other in FILES and other != name:
            assert layer(other) <= layer(name), f"{name} imports {other}, which stands below it"
            assert layer(name) != LAYERS.index("features") or other not in FEATURES, (
                f"the feature {name} imports the feature {other}"
            )


@only("cpython")
def test_imports_make_no_circle():
    above = {}
    for name in FILES:
        others = {
            module.removeprefix("coap.").split(".")[0] + ".py" for module in imports(ENGINE / name)
        }
        above[name] = {other for other in others if other in FILES and other != name}
    while above:
        free = [name for name, others in above.items() if not others & above.keys()]
        assert free, f"a circle among {sorted(above)}"
        for name in free:
            del above[name]


@cases(*FILES)
@only("cpython")
def test_the_protocol_knows_no_socket_clock_or_chance(name):
    allowed = {"array", "cryptolib", "hashlib", "micropython", "struct", "sys", "traceback"}
    for module in imports(ENGINE / name):
        top = module.split(".")[0]
        assert top in allowed or top == "coap", f"{name} imports {module}"


@only("cpython")
def test_viper_and_native_code_have_files_of_their_own():
    for name in FILES:
        text = (ENGINE / name).read_text()
        assert ("micropython.viper" in text) == (name in VIPER), name
        assert ("micropython.native" in text) == (name == "guard.py"), name


@only("cpython")
def test_sensors_know_nothing_of_the_protocol():
    for path in sorted((ROOT / "lib/sensors").glob("*.py")):
        assert not any(module.split(".")[0] == "coap" for module in imports(path)), path.name


COPY = re.compile(r"^(_?[A-Z]\w*) = (?:const\()?(.+?)\)?  # (\w+)\.(\w+)$", re.MULTILINE)
COPIERS = (
    *sorted(ENGINE.rglob("*.py")),
    *sorted((ROOT / "firmware").rglob("*.py")),
    ROOT / "tests/slots.py",
)


def constants(name):
    """{name without its underscore: value} of the ints that a file of the engine defines."""
    found = {}
    for line in ast.parse((ENGINE / f"{name}.py").read_bytes()).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            value = line.value
            if isinstance(value, ast.Call) and ast.unparse(value.func) == "const":
                value = value.args[0]
            with contextlib.suppress(NameError, TypeError):  # what is no sum of constants
                found[line.targets[0].id] = eval(ast.unparse(value), {"__builtins__": {}}, found)
    return {name.removeprefix("_"): value for name, value in found.items()}


@cases(*(path.relative_to(ROOT).as_posix() for path in COPIERS))
@only("cpython")
def test_copies_of_constants_equal_their_originals(name):
    for copy, value, module, original in COPY.findall((ROOT / name).read_text()):
        if (ENGINE / f"{module}.py").exists():
            home = constants(module)
            assert eval(value) == home[original], f"{name}: {copy} is not {module}.{original}"


@only("cpython")
def test_copies_are_found_at_all():
    for path in (ENGINE / "node.py", ENGINE / "client.py", ROOT / "tests/slots.py"):
        assert len(COPY.findall(path.read_text())) > 20, "the pattern does not match any more"


@only("cpython")
def test_a_slot_of_the_index_serves_one_purpose():
    import slots as s

    text = (ROOT / "tests/slots.py").read_text()
    slots = [copy for copy, _, module, _ in COPY.findall(text) if module == "scan"]
    options = {name: getattr(s, name) for name in slots if 0 < getattr(s, name) < s.ENDS}
    del options["REQUEST"]
    assert sorted(options.values()) == list(range(1, s.UNKNOWN + 1)), options
    facts = {name: getattr(s, name) for name in slots if s.FLAGS <= getattr(s, name) < s.TABLE}
    assert sorted(facts.values()) == list(range(s.FLAGS, s.TABLE)), facts
    bits = [s.UNSAFE, s.NON, s.OTHER, s.ODD, s.REFUSE, s.SILENT]
    assert bits == [1 << bit for bit in range(24, 30)]
    assert 1 << s.UNKNOWN < s.UNSAFE


@only("cpython")
def test_tests_know_every_number_of_the_index():
    import slots

    for name in ("scan", "compose", "ring", "counters"):
        text = (ENGINE / f"{name}.py").read_text()
        public = set(re.findall(r"^([A-Z]\w*) = const", text, re.MULTILINE))
        assert not public, f"{name}.py: {public} take room in the heap: private names do not"
    for name in ("FLAGS", "Q_CODE", "RING_FIRST"):
        assert hasattr(slots, name)


@cases(*sorted(HOT))
@only("cpython")
def test_the_frames_of_the_hot_path_fit_the_stack(name):
    from frames import frames
    from setup.interpreter import find

    interpreter, _ = find()
    words = {frame.name: frame.words for frame in frames(ENGINE / name, interpreter.path)}
    for function in HOT[name].split():
        assert function in words, f"{name} has no {function} any more: correct HOT"
        assert words[function] <= STACK_WORDS, f"{function}: {words[function]} words"


@only("cpython")
def test_functions_take_no_more_arguments_than_the_stack_holds():
    # a bound method of more than four arguments, called, allocates
    for name, functions in HOT.items():
        tree = ast.parse((ENGINE / name).read_bytes())
        for scope in ast.walk(tree):
            if isinstance(scope, ast.ClassDef):
                for function in scope.body:
                    if isinstance(function, ast.FunctionDef):
                        if f"{scope.name}.{function.name}" in functions.split():
                            assert len(function.args.args) - 1 <= 4, function.name
