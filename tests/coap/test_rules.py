"""The rules of the engine's source that no single behaviour shows. They read files: host only."""

import ast
import importlib
import re
from pathlib import Path

from support import cases, only

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "lib/coap"
LIBRARY = sorted((ROOT / "lib").rglob("*.py"))
codec = importlib.import_module("coap.codec")  # whose names are looked up: nothing is folded
PROTOCOL = sorted([*ENGINE.glob("*.py"), *ENGINE.glob("oscore/*.py")])
FILES = sorted(path.stem for path in ENGINE.glob("*.py"))

# Who may import whom: only what stands further up. Extensions stand side by side.
LAYERS = (
    ("numbers", "counters"),
    ("codec",),
    ("message", "extension"),
    ("peers",),
    ("messaging",),
    ("request", "resource", "response"),
    ("separate", "node_base", "block_transfers", "observers"),
    ("client_request",),
    ("client_response",),
    ("node",),
    "extensions",
    ("presets", "resource_directory"),
    ("__init__",),
)
NOT_EXTENSIONS = {name for layer in LAYERS if layer != "extensions" for name in layer}
EXTENSIONS = [name for name in FILES if name not in NOT_EXTENSIONS]
# The same within coap/oscore, which may import all of coap that stands above the extensions.
OSCORE_LAYERS = (
    ("aead",),
    ("context", "protection"),
    ("sequence_numbers",),
    ("client", "first_numbers"),
    ("__init__",),
)

MACHINE_CODE = {
    "codec",
    "extension",
    "link_format",
    "messaging",
    "peers",
    "rate_limit",
    "oscore/aead",
    "oscore/context",
    "oscore/protection",
}
HOT = "  # hot"


def imports(path):
    """The modules that a file imports, anywhere in it: "coap.codec", "socket"..."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def layer(name, layers=LAYERS):
    """Return the rank of a module of lib/coap, or of lib/coap/oscore."""
    for rank, names in enumerate(layers):
        if name in (EXTENSIONS if names == "extensions" else names):
            return rank
    raise AssertionError(f"{name} has no layer")


@only("cpython")
def test_every_file_has_its_layer():
    assert {*FILES} == NOT_EXTENSIONS | {*EXTENSIONS}, "a layer names a file that is not there"
    for name in EXTENSIONS:
        assert "coap.extension.Extension" in imports(ENGINE / f"{name}.py"), (
            f"{name} is neither layer nor extension"
        )
    oscore = {path.stem for path in (ENGINE / "oscore").glob("*.py")}
    assert oscore == {name for names in OSCORE_LAYERS for name in names}


@cases(*FILES)
@only("cpython")
def test_a_file_imports_what_stands_above_it(name):
    for module in imports(ENGINE / f"{name}.py"):
        assert not module.startswith(("coap.transports", "coap.oscore")), f"{name}: {module}"
        other = module.removeprefix("coap.").split(".")[0]
        if module.startswith("coap.") and other in FILES and other != name:
            assert layer(other) <= layer(name), f"{name} imports {other}, which stands below it"
            assert layer(name) != LAYERS.index("extensions") or other not in EXTENSIONS, (
                f"the extension {name} imports the extension {other}"
            )


@cases(*sorted(path.stem for path in (ENGINE / "oscore").glob("*.py")))
@only("cpython")
def test_a_file_of_oscore_imports_what_stands_above_it(name):
    for module in imports(ENGINE / "oscore" / f"{name}.py"):
        if module.startswith("coap.oscore."):
            other = module.split(".")[2]
            assert layer(other, OSCORE_LAYERS) <= layer(name, OSCORE_LAYERS), f"{name}: {other}"
        elif module.startswith("coap."):
            other = module.split(".")[1]
            assert layer(other) < LAYERS.index("extensions"), f"{name} imports {other}"


@only("cpython")
def test_imports_make_no_circle():
    names = {module_name(path): path for path in LIBRARY}
    above = {}
    for name, path in names.items():
        above[name] = {other for other in imports(path) if other in names and other != name}
        # a package that is only named on the way to one of its modules
        above[name] -= {other for other in above[name] if name.startswith(other + ".")}
    while above:
        free = [name for name, others in above.items() if not others & above.keys()]
        assert free, f"a circle among {sorted(above)}"
        for name in free:
            del above[name]


def module_name(path):
    """Return the name by which a file below lib/ is imported."""
    name = ".".join(path.relative_to(ROOT / "lib").with_suffix("").parts)
    return name.removesuffix(".__init__")


@cases(*(path.relative_to(ENGINE).as_posix() for path in PROTOCOL))
@only("cpython")
def test_the_protocol_knows_no_socket_clock_or_chance(name):
    allowed = {"array", "cryptolib", "hashlib", "micropython", "struct", "sys", "traceback"}
    for module in imports(ENGINE / name):
        top = module.split(".")[0]
        assert top in allowed or top == "coap", f"{name} imports {module}"


@only("cpython")
def test_machine_code_stands_in_few_files():
    for path in PROTOCOL:
        found = re.search(r"micropython\.(viper|native)", path.read_text())
        name = path.relative_to(ENGINE).with_suffix("").as_posix()
        assert bool(found) == (name in MACHINE_CODE), name


@only("cpython")
def test_sensors_know_nothing_of_the_protocol():
    for path in sorted((ROOT / "lib/sensors").glob("*.py")):
        assert not any(module.split(".")[0] == "coap" for module in imports(path)), path.name


COPY = re.compile(r"^_?[A-Z]\w* = (?:const\()?.+?\)?  # [a-z_]+\.[A-Z]\w*$", re.MULTILINE)


@only("cpython")
def test_no_constant_is_copied_from_another_file():
    for folder in ("lib", "firmware", "boards", "tools", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            found = COPY.search(path.read_text())
            assert not found, f"{path}: import it: {found[0]}"


@only("cpython")
def test_cells_of_the_index_and_bits_of_its_flags_serve_one_purpose():
    text = (ENGINE / "codec.py").read_text()
    cells = [getattr(codec, name) for name in re.findall(r"^(IX_\w+) = const", text, re.MULTILINE)]
    assert sorted(cells) == list(range(1, codec.IX_ENDS + 1))
    start = text.index("\nFLAGS = const")
    names = re.findall(
        r"^([A-Z]\w*) = const", text[start : text.index("\nROUTE_ANY")], re.MULTILINE
    )
    facts = [getattr(codec, name) for name in names]
    assert facts == list(range(codec.FLAGS, codec.OPTION_TABLE + 1)), names
    bits = [
        codec.UNSAFE,
        codec.NON_REQUEST,
        codec.NOT_REQUEST,
        codec.BAD_METHOD_OR_SIZE,
        codec.SEND_RESET,
        codec.DROP,
    ]
    assert bits == [1 << bit for bit in range(24, 30)]
    assert 1 << codec.IX_UNKNOWN < codec.UNSAFE


@cases("lib", "firmware", "boards")
@only("cpython")
def test_boards_get_values_for_constants(folder):
    from fold import PUBLIC, folded

    definition = re.compile(r"^(\w+) = const\(", re.MULTILINE)
    constants = set()
    for path in LIBRARY:
        module = ".".join(path.relative_to(ROOT / "lib").with_suffix("").parts)
        names = definition.findall(path.read_text())
        constants.update(f"{module.removesuffix('.__init__')}.{name}" for name in names)
    for path in sorted((folded() / folder).rglob("*.py")):
        paragraphs = path.read_text().split("\n\n")
        own = "\n\n".join(text for text in paragraphs if PUBLIC.decode() not in text)
        left = [name for name in definition.findall(own) if name[0] != "_"]
        left += sorted(imports(path) & (constants | {"coap.numbers"}))
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
