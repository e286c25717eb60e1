"""The llm program's command line in the process of a test. What takes a second and a half of a run of its own is Python's imports; one such run shows
that the program itself starts.
"""

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from click.testing import CliRunner
from llm.cli import cli


class Done:
    """How a run ended."""

    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


def llm_folder(model, url):
    """Its configuration, with a model at `url`. In memory where there is such a folder: it begins a database in twenty steps, each of which waits for a disk."""
    folder = tempfile.TemporaryDirectory(prefix="binocle-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    name, served = model
    (Path(folder.name) / "extra-openai-models.yaml").write_text(
        f"- model_id: {name}\n  model_name: {served}\n  api_base: {url}\n  vision: true\n  supports_schema: true\n")
    return folder


def variables(folder):
    return {"LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "any"}


def llm_program(folder, *arguments, seconds):
    """A run of its own; `folder` has its configuration."""
    command = [sys.executable, "-m", "llm", *arguments]
    done = subprocess.run(command, env={**os.environ, **variables(folder)}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    return Done(done.returncode, done.stdout, done.stderr)


def llm_here(folder, *arguments):
    result = CliRunner().invoke(cli, list(arguments), env=variables(folder))
    error = result.exception
    fell = "" if error is None or isinstance(error, SystemExit) else "".join(traceback.format_exception(error))
    return Done(result.exit_code, result.stdout, result.stderr + fell)
