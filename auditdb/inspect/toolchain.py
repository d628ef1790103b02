"""Which versions decide what a model class builds; read from package metadata, so that nothing is imported for it."""

from __future__ import annotations

import json
import platform
import re
from functools import cache
from importlib import metadata

from auditdb import __version__
from auditdb.records import Toolchain

PACKAGES = ("torch", "transformers", "accelerate", "safetensors", "huggingface_hub")


@cache
def installed(package: str) -> str:
    """The installed version of a package, '' where it is absent. Read once a process: it parses the whole metadata."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def current() -> Toolchain:
    """The toolchain of this process."""
    versions = {package: installed(package) for package in PACKAGES}
    return Toolchain(python=platform.python_version(), auditdb=__version__, **versions)


# A local part that only names the build of a release. PEP 440 calls '2.13.0+cpu' a local version; it is a release all
# the same, while '+gabc123' or '+d20260101' says that the code came from a checkout.
_BUILD_TAG = re.compile(r"\+(cpu|cu\d+|cuda\d*|rocm[\d.]*|xpu)(\.\w+)*$")


def is_release(package: str) -> bool:
    """Whether the installed package is a plain release: its version then says all about its code.

    False for an absent package, `.dev` and checkout versions, and editable or VCS installs (PEP 610 `direct_url.json`).
    """
    version = installed(package)
    plain = _BUILD_TAG.sub("", version)
    if not plain or "+" in plain or ".dev" in plain:
        return False
    origin = metadata.distribution(package).read_text("direct_url.json")
    if origin is None:
        return True
    facts = json.loads(origin)
    return "vcs_info" not in facts and not facts.get("dir_info", {}).get("editable", False)
