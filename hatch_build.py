"""Builds the compiled part where there is a C compiler; without one the package does the same work in numpy, slower."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# No contraction of a product and a sum, so that the results are those of numpy.
_FLAGS = ("-O3", "-std=c11", "-ffp-contract=off", "-shared", "-fPIC")


class NativeBuildHook(BuildHookInterface[Any]):
    """Puts detector/_native_*.so into the wheel, or for an editable install into the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the wheel for this platform; on any failure warn, and leave a wheel for all platforms."""
        source = Path(self.root, "detector", "native.c")
        library = source.with_name(f"_native_{zlib.crc32(source.read_bytes()):08x}.so")
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        try:
            command = [*compiler, *_FLAGS, str(source), "-o", str(library), "-lm"]
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            self.app.display_warning(f"the compiled part was not built, numpy will do its work, slower: {reason}")
            return
        build_data["artifacts"].append(f"/detector/{library.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
