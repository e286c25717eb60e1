#!/usr/bin/env python3
"""The tests of clients/python, the ones against `binocle serve` with the default model too.

    python_package_test.py PROGRAM        PROGRAM: build/dev/bin/binocle

Makes the package's stubs. Needs a Python with clients/python/tests/requirements.txt; exits with 77 (ctest: skipped) where it has not.
"""

import os
import subprocess
import sys
from pathlib import Path

SKIPPED = 77
try:
    import google.rpc  # noqa: F401
    import grpc  # noqa: F401
    import grpc_health  # noqa: F401
    import grpc_reflection  # noqa: F401
    import grpc_tools  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "python"
environment = {**os.environ, "BINOCLE_PROGRAM": str(Path(sys.argv[1]).resolve())}
subprocess.run([sys.executable, "generate.py"], cwd=PACKAGE, check=True)
sys.exit(subprocess.run([sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests"], cwd=PACKAGE, env=environment).returncode)
