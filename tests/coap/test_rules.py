"""The rules of the engine's source that no single behaviour shows. They read files: host only."""

import ast
import contextlib
import re
from pathlib import Path

from support import cases, only

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "lib/coap"
LIBRARY = sorted((ROOT / "lib").rglob("*.py"))
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

VIPER = (
    "scan.py",
    "compose.py",
    "copying.py",
    "ring.py",
    "linktext.py",
    "cipher.py",
    "framing.py",
)
HOT = "  # hot"


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

    for name in ("FLAGS", "Q_CODE", "RING_FIRST"):
        assert hasattr(slots, name)


# Files that import constants where others still copy them
CONVERTED = ("lib/coap/message.py", "lib/coap/request.py")


@cases(*CONVERTED)
@only("cpython")
def test_no_constant_is_a_copy(name):
    copies = COPY.findall((ROOT / name).read_text())
    assert not copies, f"{name}: import {', '.join(original for *_, original in copies)}"


@cases("lib", "firmware", "boards")
@only("cpython")
def test_boards_get_values_for_constants(folder):
    from fold import PUBLIC, folded

    definition = re.compile(rb"^([A-Z]\w*) = const\(", re.MULTILINE)
    for path in sorted((folded() / folder).rglob("*.py")):
        paragraphs = [part for part in path.read_bytes().split(b"\n\n") if PUBLIC not in part]
        left = definition.findall(b"\n\n".join(paragraphs))
        assert not left, f"{path}: {left} take memory: a use of them can not be folded"


def hot_functions(path):
    """Return {qualified name: definition} of the functions whose `def` line ends in `# hot`.

    They run between a datagram and its response, where nothing may be allocated.
    """
    text = path.read_text()
    lines = text.splitlines()
    found = {}
    scopes = [("", ast.parse(text))]
    for prefix, scope in scopes:
        for node in ast.iter_child_nodes(scope):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                scopes.append((f"{prefix}{node.name}.", node))
                # a signature may take several lines
                if any(
                    line.endswith(HOT) for line in lines[node.lineno - 1 : node.body[0].lineno - 1]
                ):
                    found[prefix + node.name] = node
    assert len(found) == text.count(HOT), f"{path}: `{HOT}` stands elsewhere than at a `def`"
    return found


@cases(*(path.relative_to(ROOT).as_posix() for path in LIBRARY if HOT in path.read_text()))
@only("cpython")
def test_hot_functions_fit_the_stack(name):
    from setup.interpreter import find
    from size.stack_frames import STACK_WORDS, frames

    interpreter, _ = find()
    words = {frame.name: frame.words for frame in frames(ROOT / name, interpreter.path)}
    for function, node in hot_functions(ROOT / name).items():
        # a larger frame is taken from the heap at each call
        assert words[function] <= STACK_WORDS, f"{function}: {words[function]} words"
        # and so is the call of a bound method with more than four arguments
        assert len(node.args.args) - (node.args.args[0].arg == "self") <= 4, function


@only("cpython")
def test_the_hot_path_is_marked():
    marked = {name for path in LIBRARY for name in hot_functions(path)}
    assert len(marked) > 200
    assert marked >= {
        "Node.datagram",
        "Node.due",
        "Node.wait_ms",
        "Udp.step",
        "Slipmux.step",
        "Pack.number",
    }
