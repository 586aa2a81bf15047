"""Builds MicroPython 1.25 for this computer from Debian's source packages.

It is the oldest version that Mote supports, so the tests run on it too, and it is the one
interpreter into which Mote's own files can be frozen. mbedtls is taken for AES and hashes alone,
therefore only a few of its files are compiled.
"""

import hashlib
import os
import shutil

from setup import compiler
from setup.console import CACHE, Problem, lock, run, say
from setup.debian import fetch_sources

VERSION = "1.25"
SUITE = "trixie"
NEEDED = ("gcc", "make", "python3")
MBEDTLS = ("aes", "aesni", "padlock", "sha256", "sha1", "md5", "platform_util", "constant_time")
ASYNCIO = 'include("$(MPY_DIR)/extmod/asyncio")\n'
BUILT_IN = "-DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1 -DMICROPY_PY_HASHLIB_SHA1=1"
LEFT_OUT = ("MICROPY_PY_FFI=0", "MICROPY_PY_BTREE=0", "MICROPY_PY_SSL=0", "MICROPY_PY_JNI=0")
# Flags and jobs of a calling make are not meant for these builds.
FOREIGN = ("CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD")
KEPT = 4


def oldest(cache=CACHE):
    """The path of the plain 1.25 interpreter; builds it when it is not there yet.

    Raises:
        Problem: it cannot be built here.
    """
    target = cache / f"micropython-{VERSION}" / "micropython"
    with lock("source", cache):
        if not target.exists():
            say(f"Building MicroPython {VERSION} (once, about a minute)")
            build(target, ASYNCIO, compiler.own(), cache / "build" / "oldest", cache)
    return target


def frozen(manifest, files, cache=CACHE):
    """(path, bits of a word) of an interpreter with `files` in it, built when they are new.

    Args:
        manifest: text of a MicroPython manifest that freezes them.
        files: the paths whose contents it depends on.

    Raises:
        Problem: it cannot be built here.
    """
    with lock("source", cache):
        try:
            chosen = compiler.small(cache)
        except Problem as problem:
            say(f"Words have 64 bits, on a board 32, so objects take twice the room: {problem}")
            chosen = compiler.own()
        digest = hashlib.sha256(f"{VERSION} {chosen.name} {manifest}".encode())
        for path in sorted(files):
            digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
        folder = cache / "frozen"
        target = folder / digest.hexdigest()[:16] / "micropython"
        if not target.exists():
            say("Building MicroPython with Mote frozen in (once per change, up to a minute)")
            build(target, ASYNCIO + manifest, chosen, cache / "build" / chosen.name, cache)
            forget(folder, KEPT)
    return target, 32 if chosen.name == "x86" else 64


def forget(folder, keep):
    """Removes all but the newest interpreters."""
    built = sorted(folder.glob("*/micropython"), key=lambda path: path.stat().st_mtime)
    for path in built[:-keep]:
        shutil.rmtree(path.parent)


def build(target, manifest, chosen, folder, cache=CACHE):
    """Compiles the unix port with a manifest into `folder` and moves the program to `target`.

    Raises:
        Problem: a tool is missing, there is no Debian mirror, or the compiler failed.
    """
    source, mbedtls = unpack(cache)
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "manifest.py"
    if not text.exists() or text.read_text() != manifest:
        text.write_text(manifest)
    environ = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    options = {"cache": cache, "env": environ}
    jobs = f"-j{os.cpu_count() or 1}"
    include = f"-I{mbedtls}/include"
    argv = [*chosen.command.split(), "-Os", include, "-c"]
    argv += [mbedtls / "library" / f"{name}.c" for name in MBEDTLS]
    crypto = folder / "crypto"
    crypto.mkdir(exist_ok=True)
    run(argv, "AES for MicroPython", **options, cwd=crypto)
    run(["nice", "make", "-s", "-C", source / "mpy-cross", jobs], "mpy-cross", **options)
    objects = [str(crypto / f"{name}.o") for name in MBEDTLS]
    argv = ["nice", "make", "-s", "-C", source / "ports/unix", jobs, *LEFT_OUT]
    argv += [f"CC={chosen.command}", f"BUILD={folder}", "STRIP=true", f"FROZEN_MANIFEST={text}"]
    argv += [f"CFLAGS_EXTRA={BUILT_IN} {include}"]
    argv += ["LDFLAGS_EXTRA=" + " ".join([chosen.link, *objects])]
    if chosen.emitter:
        argv += [f"MPY_CROSS_FLAGS=-march={chosen.emitter}"]
    run(argv, "MicroPython", **options)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    shutil.copy2(folder / "micropython", fresh)
    fresh.replace(target)


def unpack(cache=CACHE):
    """Folders of MicroPython's and mbedtls's source, fetched on first use."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise Problem(f"building MicroPython {VERSION} needs {', '.join(missing)}")
    folder = cache / "debian"
    done = folder / "unpacked"
    names = ("micropython", "mbedtls")
    if not done.exists():
        fetch_sources(names, SUITE, folder, cache)
        done.touch()
    sources = []
    for name in names:
        (found,) = (path for path in folder.glob(f"{name}-*") if path.is_dir())
        sources.append(found)
    if not sources[0].name.startswith(f"micropython-{VERSION}."):
        raise Problem(f"the Debian mirror has {sources[0].name}, needed is {VERSION}")
    return sources
