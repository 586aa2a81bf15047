"""Modules that are needed only at the start are unloaded, and their memory freed."""

import gc
import sys

import apps
import config
from support import only
from unload import unload


def test_unload_removes_a_module_from_its_package():
    from apps import resets

    assert apps.resets is sys.modules["apps.resets"] is resets
    unload("apps.resets")
    assert "apps.resets" not in sys.modules
    assert not hasattr(apps, "resets")
    unload("apps.resets")  # is not there any more
    from apps import resets as again

    assert again is not resets and again.FILE == resets.FILE
    unload("apps.resets")


def test_unloaded_settings_checks_are_loaded_again_on_use():
    settings = config.Settings()
    for name in ("attic", ""):  # good, and wrong
        unload("config_schema")
        try:
            settings.update({"name": name})
        except ValueError as error:
            assert not name and str(error).startswith("name: ")
        assert "config_schema" in sys.modules
    assert settings.name == "attic"


@only("micropython")
def test_unloading_frees_memory():
    settings = config.Settings()

    def taken(i):
        settings.update({"heartbeat_s": 100 + i})
        more = used()
        unload("config_schema")
        return more - used()

    assert min([taken(i) for i in range(5)]) > 400
    first = min([used() for _ in range(5)])
    for i in range(20):
        taken(i)
    assert min([used() for _ in range(5)]) <= first


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()
