"""List the functions that take their frame from the heap at every call.

    .venv/bin/python tools/size/stack_frames.py lib/coap/*.py

MicroPython keeps the frame of a bytecode function on the C stack while it has at most 11 words;
a larger one is allocated at each call and freed at its end (py/objfun.c, VM_MAX_STATE_ON_STACK).
A locked heap hides that: the interpreter then falls back to the stack. Words are locals and
operands (n_state) plus 3 for each nested try or with (n_exc_stack), as the compiler lists them.
Generators always live on the heap; native and viper functions never do and are not listed.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))

from fold import counterpart  # noqa: E402
from setup.console import Problem  # noqa: E402
from setup.interpreter import find  # noqa: E402

STACK_WORDS = 11
EXCEPTION_WORDS = 3

COMPILE = "compile(open({!r}).read(), 'listed', 'exec')"
BLOCK = re.compile(r"^File listed, code block '(.*)' \(descriptor: ")
SIZE = re.compile(r"^\((N_STATE|N_EXC_STACK) (\d+)\)$")
MACHINE_CODE = {"viper", "native"}
SCOPE_NAMES = {
    ast.Lambda: "<lambda>",
    ast.ListComp: "<listcomp>",
    ast.DictComp: "<dictcomp>",
    ast.SetComp: "<setcomp>",
    ast.GeneratorExp: "<genexpr>",
}


class CompileError(Exception):
    """The interpreter refuses the file or cannot list its code; the text is one line."""


@dataclass(frozen=True)
class Frame:
    """The frame of one function; `name` is qualified, as in `Node.datagram`."""

    name: str
    n_state: int
    n_exc_stack: int

    @property
    def words(self) -> int:
        """Return the size of the frame in machine words."""
        return self.n_state + EXCEPTION_WORDS * self.n_exc_stack

    @property
    def on_heap(self) -> bool:
        """Return True if the frame is too large for the C stack."""
        return self.words > STACK_WORDS


def frames(path: Path, micropython: Path) -> list[Frame]:
    """Return the frame of every bytecode function of a source file, as this interpreter makes it.

    Raises CompileError, or OSError when the file or the interpreter cannot be read or run.
    """
    path = counterpart(path)
    names = _qualified_names(ast.parse(path.read_bytes(), str(path)))
    listing = _listing(path, micropython)
    found = []
    name = sizes = None
    for line in listing.splitlines():
        if block := BLOCK.match(line):
            queue = names[block[1]]
            name, sizes = (queue.popleft() if queue else block[1]), []
        elif name and (size := SIZE.match(line)):
            sizes.append(int(size[2]))
            if len(sizes) == 2:
                found.append(Frame(name, *sizes))
                name = None
    return found


def _listing(path, micropython):
    command = [micropython, "-v", "-v", "-X", "heapsize=8m", "-c", COMPILE.format(str(path))]
    # Source files hold other characters than the listing, which is cut within strings.
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        printed = (done.stdout + done.stderr).splitlines()
        errors = [line for line in printed if "Error: " in line] or ["does not compile"]
        raise CompileError(f"{path}: {errors[0]}")
    if not any(BLOCK.match(line) for line in done.stdout.splitlines()):
        raise CompileError(f"{micropython} has no debug printers: use the one of `make setup`")
    return done.stdout


def _qualified_names(tree):
    """Return queues of qualified names by plain name, in the order in which they are listed.

    That order is breadth first: the scopes of a module, then the scopes inside of those.
    """
    names = defaultdict(deque)
    names["<module>"].append("<module>")
    waiting = deque([("", tree)])
    while waiting:
        prefix, scope = waiting.popleft()
        for inner in _inner_scopes(scope):
            name = SCOPE_NAMES.get(type(inner)) or inner.name
            if not _is_machine_code(inner):
                names[name].append(prefix + name)
            waiting.append((f"{prefix}{name}.", inner))
    return names


def _inner_scopes(scope):
    """Yield the functions, classes and comprehensions directly inside of a scope."""
    for node in _body(scope):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, *SCOPE_NAMES)):
            yield node
        else:
            yield from _inner_scopes(node)


def _body(scope):
    # What decorates a function belongs to the scope around it, and never holds one in our code.
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return scope.body
    return ast.iter_child_nodes(scope)


def _is_machine_code(scope):
    for decorator in getattr(scope, "decorator_list", ()):
        if getattr(decorator, "attr", getattr(decorator, "id", None)) in MACHINE_CODE:
            return True
    return False


def main(paths):
    """List the functions with such frames; exit code 2 when a file cannot be compiled."""
    if not paths:
        print("usage: stack_frames.py FILE...", file=sys.stderr)
        return 2
    try:
        interpreter, _ = find()
        for path in paths:
            for frame in frames(Path(path), interpreter.path):
                if frame.on_heap:
                    print(f"{path}: {frame.name}: {frame.words} words")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except (CompileError, SyntaxError, Problem) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
