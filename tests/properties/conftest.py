"""How many examples the property tests try: HYPOTHESIS_PROFILE=quick (the default) or long."""

import os

from hypothesis import settings

from plugin.interpreters import MicroPython

settings.register_profile("quick", max_examples=300, deadline=None)
settings.register_profile("long", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_generate_tests(metafunc):
    """`interpreter`: None for the CPython at hand, and each MicroPython."""
    if "interpreter" in metafunc.fixturenames:
        plugin = metafunc.config.pluginmanager.get_plugin("portable")
        targets = [target for target in plugin.targets if isinstance(target, MicroPython)]
        names = ["cpython", *(target.name for target in targets)]
        metafunc.parametrize("interpreter", [None, *targets], ids=names, scope="module")
