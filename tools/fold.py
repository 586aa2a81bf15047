"""Makes build/folded/, the sources that MicroPython runs: `python3 tools/fold.py`.

MicroPython folds const() only within one module: an imported constant takes memory and is looked
up at each use. In the copies made here its value stands in its place: of
`from coap.codec import CODE` and `r[CODE]` remain `pass` and `r[50]`. Line numbers stay.

- A constant is what a module binds once, at its top level, by `NAME = const(integers)`, or, in
  capitals, by an expression of other constants (MicroPython's const() takes no imported ones).
- `NAME` is folded after `from module import NAME` or `import *`, `m.NAME` after
  `import module as m`; in no file that binds the name to something else too, in whatever scope.
- The definition goes too, so that it takes no memory. It stays below a comment `# public...`, up
  to an empty line: programs of users read these, as those of coap/numbers.py.
- What cannot be folded stays an import, and then its definition stays. Of a module that is used in
  another way than `m.NAME`, as in getattr(m, name), all definitions stay.
"""

import ast
import itertools
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]

from setup.console import ROOT, lock
from setup.plain import plain

FOLDED, BYTECODE = Path("build", "folded"), Path("build", "bytecode")
FOLDERS = ("lib", "firmware", "boards", "tests", "tools")
# Where an imported module is searched before the folder of the file that imports it.
IMPORT_PATHS = tuple(
    map(Path, ("lib", "firmware", "tests", "tools/simulator", "tools/conformance"))
)
SUFFIXES = (".py", ".json")  # what tests read beside a module is copied
SKIPPED = ("__pycache__", "node_modules")
PUBLIC = b"# public"


def folded(root=ROOT, native=True):
    """Return the folder of the folded sources, brought up to date; paths are as below `root`.

    Args:
        native: False gives sources without machine code, see setup/plain.py.
    """
    build = root / (FOLDED if native else BYTECODE)
    stamp = build / "stamp"
    with lock(build.name, build.parent):
        files = _files(root)
        state = repr([_state(path) for path in (Path(__file__), *(root / path for path in files))])
        if not stamp.exists() or stamp.read_text() != state:
            stamp.unlink(missing_ok=True)
            texts = fold({path: (root / path).read_bytes() for path in files})
            _write(build, texts if native else {path: plain(texts[path]) for path in texts})
            stamp.write_text(state)
    return build


def counterpart(path, root=ROOT):
    """Return the folded copy of a source file, or the path itself when it is no source."""
    path = Path(path).resolve()
    if path.is_relative_to(root):
        copy = folded(root) / path.relative_to(root)
        return copy if copy.exists() else path
    return path


def fold(texts):
    """Return {path: folded text} of {path: text}; the paths are relative, the texts bytes."""
    modules = {}
    for path, text in texts.items():
        if path.suffix == ".py":
            modules[path] = _Module(path, text, modules)
    for module in modules.values():
        module.collect()
    return texts | {path: module.rewritten() for path, module in modules.items()}


def _files(root):
    """Return the sources' paths below the root, in order."""
    found = []
    for top in FOLDERS:
        for folder, folders, names in os.walk(root / top):
            folders[:] = [name for name in folders if name not in SKIPPED]
            found += [Path(folder, name) for name in names if name.endswith(SUFFIXES)]
    return sorted(path.relative_to(root) for path in found)


def _state(path):
    """Return a value that differs when a file was changed."""
    found = path.stat()
    return str(path), found.st_mtime_ns, found.st_size


def _write(build, texts):
    """Write the files that differ, each at once, and remove those without a source."""
    for path, text in texts.items():
        target = build / path
        if not target.exists() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            fresh.write_bytes(text)
            fresh.replace(target)
    for target in sorted(build.rglob("*"), reverse=True):
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        elif target.suffix in SUFFIXES and target.relative_to(build) not in texts:
            target.unlink()


class _Module:
    """One source file. `modules` holds all by path.

    A name stands for an int, for another _Module, or for None: something that is not folded.
    """

    def __init__(self, path, text, modules):
        self.path = path
        self.modules = modules
        self.text = text
        self.starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            tree = ast.Module([], [])  # MicroPython will report the syntax error
        self.nodes = list(ast.walk(tree))
        self.definitions = {
            node.targets[0]: node
            for node in tree.body
            if isinstance(node, ast.Assign) and [type(each) for each in node.targets] == [ast.Name]
        }
        self.bound = {}  # name: list of (an import or a definition, the name in it) or None
        self.known = {}  # what names stand for
        self.found = {}  # modules by (name, level)
        self.kept = set()  # names that are read when the program runs
        self.edits = []  # (node, text in its place)
        for node in self.nodes:
            for name, *what in self._bindings(node):
                self.bound.setdefault(name, []).append(what)

    def _bindings(self, node):
        """Yield (name, statement, name in it) or (name,) for each name that a node binds."""
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            definition = self.definitions.get(node)
            yield (node.id, definition, node.id) if definition else (node.id,)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, node, alias.name if alias.asname else top
        elif isinstance(node, ast.arg):
            yield (node.arg,)
        elif isinstance(getattr(node, "name", None), str) and not isinstance(node, ast.alias):
            yield (node.name,)  # of a function, class or exception

    def value(self, name):
        """Return what `module.name` stands for."""
        if name not in self.known:
            self.known[name] = None  # a cycle of imports ends here
            self.known[name] = self._find(name)
        return self.known[name]

    def _find(self, name):
        if name in self.bound:
            first, *others = [self._meaning(*what) for what in self.bound[name]]
            return first if all(other == first for other in others) else None
        found = [module.value(name) for module, _ in self._origins(name)]
        if self.path.name == "__init__.py":
            found.append(self._at(self.path.parent / name))
        return next((value for value in found if value is not None), None)

    def _origins(self, name):
        """Return the pairs (module, name in it) that a name is imported from."""
        bindings = self.bound.get(name) or [(star, name) for star, _ in self.bound.get("*", ())]
        froms = [what for what in bindings if what and isinstance(what[0], ast.ImportFrom)]
        found = [(self._module(node.module, node.level), original) for node, original in froms]
        return [(module, original) for module, original in found if module]

    def _meaning(self, node=None, name=""):
        """Return what a name of a statement stands for."""
        if isinstance(node, ast.Import):
            return self._module(name)
        if isinstance(node, ast.ImportFrom):
            module = self._module(node.module, node.level)
            return module and module.value(name)
        if not node:
            return None
        expression = node.value
        if _is_const(expression):
            expression = expression.args[0]
        elif not name.isupper() or not any(isinstance(n, ast.Name) for n in ast.walk(expression)):
            return None
        found = self._evaluate(expression)
        return found if isinstance(found, int) else None

    def _module(self, name, level=0):
        """Return the module of that dotted name, None when it is not among the sources."""
        if (name, level) not in self.found:
            parts = name.split(".") if name else []
            folders = (
                (self.path.parents[level - 1],) if level else (*IMPORT_PATHS, self.path.parent)
            )
            found = (self._at(folder.joinpath(*parts)) for folder in folders)
            self.found[name, level] = next(filter(None, found), None)
        return self.found[name, level]

    def _at(self, place):
        package = self.modules.get(place / "__init__.py")
        return package or self.modules.get(place.with_name(place.name + ".py"))

    def _evaluate(self, node):
        """Return what an expression stands for."""
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int else None
        if isinstance(node, ast.Name):
            return self.value(node.id)
        if isinstance(node, ast.Attribute):
            module = self._evaluate(node.value)
            return module.value(node.attr) if isinstance(module, _Module) else None
        if not isinstance(node, (ast.UnaryOp, ast.BinOp)):
            return None
        parts = {key: part for key, part in ast.iter_fields(node) if key != "op"}
        parts = {key: self._evaluate(part) for key, part in parts.items()}
        if not all(isinstance(value, int) for value in parts.values()):
            return None
        parts = {key: ast.Constant(value) for key, value in parts.items()}
        tree = ast.fix_missing_locations(ast.Expression(type(node)(op=node.op, **parts)))
        try:
            found = eval(compile(tree, str(self.path), "eval"))
        except (ArithmeticError, ValueError):
            return None
        return found if type(found) is int else None

    def keep(self, name):
        """Keep the definition of a name, here and in the modules that it comes from."""
        if name not in self.kept:
            self.kept.add(name)
            for module, original in self._origins(name):
                module.keep(original)

    def collect(self):
        """Find what can be folded, and keep the definitions of what cannot."""
        dotted = {node.value for node in self.nodes if isinstance(node, ast.Attribute)}
        for node in self.nodes:
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                found = self._evaluate(node)
                if isinstance(found, int):
                    self._replace(node, found, node in dotted)
                elif found and node not in dotted:
                    found.keep_all()  # a module used as a value
        for name, bindings in self.bound.items():
            for what in bindings:
                found = self._meaning(*what)
                if found is not None and found != self.value(name):
                    self.keep(name)
                    if isinstance(found, _Module):
                        found.keep_all()

    def keep_all(self):
        """Keep all definitions."""
        for target in self.definitions:
            self.keep(target.id)

    def _replace(self, node, value, dotted):
        """Replace a name by a value; `dotted`: the name is on the left side of a dot."""
        start, end = self._place(node)
        # Up to Python 3.11 ast does not know where names in f-strings stand.
        if self.text[start:end] == ast.unparse(node).encode():
            self.edits.append((node, f"({value})" if value < 0 or dotted else str(value)))
        elif isinstance(node, ast.Name):
            self.keep(node.id)
        else:
            self._evaluate(node.value).keep(node.attr)

    def rewritten(self):
        """Return the text with values in place of names; the number of lines stays the same."""
        names = [node.id for node in self.nodes if isinstance(node, ast.Name)]
        consts = names.count("const")
        for target, node in self.definitions.items():
            if PUBLIC not in self._paragraph(node) and self._is_folded(target.id):
                consts -= _is_const(node.value)
                self.edits.append((node, "pass"))
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom):
                left = [
                    alias
                    for alias in node.names
                    if not self._is_folded(alias.asname or alias.name)
                    and (alias.name != "const" or consts)
                ]
                if len(left) < len(node.names):
                    fewer = ast.ImportFrom(node.module, left, node.level)
                    self.edits.append((node, ast.unparse(fewer) if left else "pass"))
        done, at = [], 0
        edits = [(*self._place(node), text) for node, text in self.edits]
        for start, end, text in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= at:  # else it is within a statement that was removed
                lines = self.text.count(b"\n", start, end)
                done += self.text[at:start], text.encode(), lines * b"\n"
                at = end
        return b"".join(done) + self.text[at:]

    def _is_folded(self, name):
        """Return True when each use of a name was replaced by a value."""
        return name not in self.kept and isinstance(self.value(name), int)

    def _paragraph(self, node):
        """Return the text from the empty line above a statement to its end."""
        end = self.starts[node.end_lineno]
        return self.text[self.text.rfind(b"\n\n", 0, end - 1) : end]

    def _place(self, node):
        """Return where a node begins and ends in the text."""
        begin = self.starts[node.lineno - 1] + node.col_offset
        return begin, self.starts[node.end_lineno - 1] + node.end_col_offset


def _is_const(node):
    """Return True for `const(expression)`."""
    call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return call and node.func.id == "const" and len(node.args) == 1


if __name__ == "__main__":
    print(folded().relative_to(ROOT))
