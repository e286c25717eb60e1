"""Makes the stubs while a wheel or an editable installation is built."""

import subprocess
import sys
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsHook(BuildHookInterface):
    def initialize(self, version, build_data):
        subprocess.run([sys.executable, Path(self.root) / "generate.py"], check=True)
