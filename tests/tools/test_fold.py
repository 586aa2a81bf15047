"""The sources that MicroPython runs: imported constants as values, and lines where they were."""

import subprocess
import sys
from pathlib import Path

import pytest

from fold import FOLDED, ROOT, counterpart, fold, folded

CODEC = """\
from micropython import const

CODE = const(50)
LAST = const(CODE + 1)
NEGATIVE = const(-3)
_MASK = const(1 << 4 | 1)
TABLE = (1, 2)


def parse(r):
    return r[CODE] & _MASK
"""


def folds(text, path="lib/coap/user.py", **others):
    """Return the folded text of a file beside coap/codec.py, and that of the others."""
    texts = {Path("lib/coap/codec.py"): CODEC.encode(), Path("lib/coap/__init__.py"): b""}
    texts |= {Path(f"lib/coap/{name}.py"): other.encode() for name, other in others.items()}
    texts[Path(path)] = text.encode()
    done = fold(texts)
    for place in texts:
        assert done[place].count(b"\n") == texts[place].count(b"\n"), place
    found = [done[Path(name)].decode() for name in (path, "lib/coap/codec.py")]
    return (*found, *(done[Path(f"lib/coap/{name}.py")].decode() for name in others))


def test_a_definition_becomes_its_value_everywhere():
    user, codec = folds("from coap.codec import CODE, parse\nx = r[CODE]\n")
    assert user == "from coap.codec import parse\nx = r[50]\n"
    assert codec.startswith("pass\n\npass\npass\npass\npass\nTABLE = (1, 2)\n")
    assert codec.endswith("\ndef parse(r):\n    return r[50] & 17\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from coap.codec import CODE\nx = CODE\n", "pass\nx = 50\n"),
        ("from coap.codec import CODE as C\nx = C\n", "pass\nx = 50\n"),
        ("from coap.codec import (\n    CODE,\n    parse,\n)\nx = CODE\n",
         "from coap.codec import parse\n\n\n\nx = 50\n"),
        ("from coap.codec import (\n    CODE,\n    LAST,  # why\n)  # more\n",
         "pass\n\n\n  # more\n"),
        ("from coap.codec import CODE; x = CODE\n", "pass; x = 50\n"),
        ("def f():\n    from coap.codec import CODE\n    return CODE\n",
         "def f():\n    pass\n    return 50\n"),
        ("import coap.codec as c\nx = c.CODE + c.parse(1)\n",
         "import coap.codec as c\nx = 50 + c.parse(1)\n"),
        ("import coap.codec\nx = coap.codec.LAST\n", "import coap.codec\nx = 51\n"),
        ("from coap import codec\nx = codec.CODE\n", "from coap import codec\nx = 50\n"),
        ("from .codec import CODE\nx = CODE\n", "pass\nx = 50\n"),
        ("from coap.codec import *\nx = CODE, TABLE\n",
         "from coap.codec import *\nx = 50, TABLE\n"),
        ("from coap.codec import NEGATIVE as N, CODE\nx = 2 - N, CODE.bit, -N\n",
         "pass\nx = 2 - (-3), (50).bit, -(-3)\n"),
        ("from coap.codec import CODE\nBIT = 1 << CODE % 8\ny = BIT\n", "pass\npass\ny = 4\n"),
        ("from coap.codec import CODE\n# ünïcödé\nx = 'ü', CODE\n",
         "pass\n# ünïcödé\nx = 'ü', 50\n"),
        ("from coap.codec import CODE\nf(CODE=CODE)\nx.CODE = CODE\n",
         "pass\nf(CODE=50)\nx.CODE = 50\n"),
        ("from coap.codec import CODE\n@viper\ndef f(r: ptr32, n=CODE):\n    return r[CODE]\n",
         "pass\n@viper\ndef f(r: ptr32, n=50):\n    return r[50]\n"),
        ("from micropython import const\nfrom coap.codec import CODE\n_A = const(2)\n_A, CODE\n",
         "pass\npass\npass\n2, 50\n"),
        ("from micropython import const\n_T = const((1, 2))\n_A = const(2)\n",
         "from micropython import const\n_T = const((1, 2))\npass\n"),
    ],
)  # fmt: skip
def test_uses_become_values(text, expected):
    user, codec = folds(text)
    assert user == expected
    assert "const" not in codec


@pytest.mark.parametrize(
    "text",
    [
        # the name stands for something else as well
        "from coap.codec import CODE\ndef f(CODE):\n    return CODE\n",
        "from coap.codec import CODE\nclass X:\n    CODE = 3\n",
        "from coap.codec import CODE\nx = [CODE for CODE in y]\n",
        "from coap.codec import CODE\ndef CODE():\n    pass\n",
        "from coap.codec import CODE\ndef f():\n    global CODE\n    CODE += 1\n",
        "try:\n    from coap.codec import CODE\nexcept ImportError:\n    CODE = None\n",
        # the module is handed on
        "import coap.codec as c\nx = getattr(c, 'CO' + 'DE')\n",
        "import coap.codec as c\ndef f(c):\n    return c.CODE\n",
    ],
)
def test_what_cannot_be_folded_stays_and_so_does_its_definition(text):
    user, codec = folds(text)
    assert user == text
    assert "\nCODE = const(50)\n" in codec
    assert "return r[50] & " in codec


def test_other_names_are_let_alone():
    text = "CODE = 7\nx = CODE\ny = a.CODE\n_N = 3\nz = _N\nSIZES = len(x)\n"
    assert folds(text)[0] == text


def test_a_name_in_an_f_string_is_folded_or_its_definition_stays():
    user, codec = folds('from coap.codec import CODE\nx = f"{CODE}"\n')
    folded_there = 'f"{50}"' in user and "CODE =" not in codec
    assert folded_there or ("import CODE" in user and "CODE = const(50)" in codec)


def test_names_that_are_passed_on_by_another_module():
    middle = "from coap.codec import CODE\nfrom coap.codec import *\n"
    user, codec, left = folds(
        "from coap.middle import CODE, LAST\nx = CODE, LAST\n", middle=middle
    )
    assert user == "pass\nx = 50, 51\n"
    assert left == "pass\nfrom coap.codec import *\n"
    # of a module that is handed on, what is its own stays
    middle = "from coap.codec import CODE\nMORE = CODE + 1\n"
    user, codec, left = folds("import coap.middle as m\nf(m)\n", middle=middle)
    assert left == "pass\nMORE = 50 + 1\n"
    assert "CODE =" not in codec


def test_modules_that_import_each_other():
    other = "from coap.user import A\nfrom micropython import const\nB = const(2)\nC = A + B\n"
    user, _, other = folds("from coap.other import B, C\nA = B * 4\nx = C\n", other=other)
    assert (user, other) == ("pass\npass\nx = 10\n", "pass\npass\npass\npass\n")


def test_public_definitions_stay():
    text = (
        "from micropython import const\n\n# public: for users\nA = const(1)\nB = const(2)\n\n"
        "C = const(3)\nx = A, C\n"
    )
    assert folds(text)[0] == text.replace("C = const(3)", "pass").replace("A, C", "1, 3")


def test_a_file_with_a_mistake_is_left_to_the_interpreter():
    assert folds("from coap.codec import CODE\nx = (CODE\n")[0].endswith("\nx = (CODE\n")


@pytest.mark.parametrize(
    "text",
    [
        "A = B = const(1)\nA, B = const(2), 3\n",
        "A = const()\n",
        "A = const(1 / 2)\n",
        "A = const(1 // 0)\n",
        "A = const(1 << -1)\n",
    ],
)
def test_what_is_no_int_stays(text):
    assert folds(text)[0] == text


@pytest.fixture
def project(tmp_path):
    """A project with one module that has a constant, and one that uses it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text("from micropython import const\nA = const(5)\n")
    (tmp_path / "lib/b.py").write_text("from a import A\nprint(A)\n")
    (tmp_path / "lib/data.json").write_text("{}")
    return tmp_path


def read(project):
    base = folded(project)
    return {str(p.relative_to(base)): p.read_text() for p in base.rglob("*.*")}


def test_the_build_follows_the_sources(project):
    assert folded(project) == project / FOLDED
    assert read(project) == {
        "lib/a.py": "pass\npass\n",
        "lib/b.py": "pass\nprint(5)\n",
        "lib/data.json": "{}",
    }
    times = {p: p.stat().st_mtime_ns for p in (project / FOLDED).rglob("*.*")}
    (project / "lib/a.py").write_text("from micropython import const\nA = const(65)\n")
    assert read(project)["lib/b.py"] == "pass\nprint(65)\n"
    same = project / FOLDED / "lib/a.py"
    assert same.stat().st_mtime_ns == times[same], "an equal file was written again"
    (project / "lib/c").mkdir()
    (project / "lib/c/x.py").write_text("")
    assert "lib/c/x.py" in read(project)
    (project / "lib/c/x.py").unlink()
    (project / "lib/b.py").unlink()
    assert set(read(project)) == {"lib/a.py", "lib/data.json"}
    assert not (project / FOLDED / "lib/c").exists()


def test_nothing_is_done_when_nothing_changed(project, monkeypatch):
    folded(project)
    monkeypatch.setattr("fold.fold", None)
    folded(project)


def test_several_at_once(project):
    code = f"import sys; sys.path[:0] = [{str(ROOT / 'tools')!r}]\nfrom pathlib import Path\n"
    code += "from fold import folded\n"
    code += f"print((folded(Path({str(project)!r})) / 'lib/b.py').read_text())"
    argv = [sys.executable, "-c", code]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {child.communicate()[0] for child in running} == {"pass\nprint(5)\n\n"}


def test_counterparts(project):
    assert counterpart(project / "lib/b.py", project) == project / FOLDED / "lib/b.py"
    assert counterpart("/somewhere/else.py", project) == Path("/somewhere/else.py")
    assert counterpart(project / "lib/none.py", project) == project / "lib/none.py"


def test_the_command(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "tools/fold.py"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "build/folded\n", "")
