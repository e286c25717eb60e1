"""The programs that eval_parity.py compares with: their authors' files, lmms-eval's task files."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Line = dict[str, Any]
# What a reference gives for each line: a score, or None where it cannot say.
Scores = list[float | None]
# Totals that a reference gave for its lines, by scorer; compared with the summary.
TOTALS: dict[str, dict[str, float]] = {}

SCRIPTS = {
    "GT-Vision-Lab+VQA": "a013f0043c1e2cdc995922dfe257f7149aa9af06",
    "facebookresearch+mmf": "b0ffc7fba39f210f833c127362146aec01a2f259",
    "haotian-liu+LLaVA": "c121f0432da27facab705978f83c4ada465e46fd",
    "AoiDragon+POPE": "08d957b917e5a378a2f99d35b6293c536a66298b",
    "shikiw+OPERA": "61426efe4e2e53207f32d9112a86ba5f8364d1d9",
    "DAMO-NLP-SG+VCD": "d6568ff81b8fd306a49e630df44f2db5c2300191",
    "MMMU-Benchmark+MMMU": "bb0b95a945998d91dfef37e969e07d49d1139438",
    "OpenGVLab+InternVL": "2410d1dbf208f0e799459aff9376e5747dbf41a2",
    "open-compass+VLMEvalKit": "e8e78f05f3080fe28154f2130321f17951c3be94",
    "LisaAnne+Hallucination": "6e4d33c4bedf6dfcd24c61bf527f40714717be47",
    "hasanar1f+PAINT": "2a9e8f821536531adcc03807f3850a3ab6231443",
}


class MissingScript(Exception):
    pass


class Scripts:
    """The authors' files and lmms-eval's task files."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        spec = importlib.util.find_spec("lmms_eval")
        self.lmms_folder = Path(spec.submodule_search_locations[0]) if spec else None
        self.loaded: dict[Path, types.ModuleType] = {}
        if (
            self.lmms_folder
        ):  # the package's own __init__ wants every dependency; its task files do not
            for name in (
                "lmms_eval",
                "lmms_eval.tasks",
                "lmms_eval.tasks._task_utils",
                "lmms_eval.api",
            ):
                package = types.ModuleType(name)
                package.__path__ = [str(self.lmms_folder.parent / name.replace(".", "/"))]
                sys.modules[name] = package

    def path(self, relative: str) -> Path:
        path = self.folder / relative if self.folder else None
        if not path or not path.exists():
            raise MissingScript(relative)
        return path

    def module(self, path: Path) -> types.ModuleType:
        if path not in self.loaded:
            spec = importlib.util.spec_from_file_location(
                "eval_" + re.sub(r"\W", "_", str(path)), path
            )
            self.loaded[path] = importlib.util.module_from_spec(spec)
            with contextlib.suppress(ImportError):
                from loguru import logger

                logger.remove()
            spec.loader.exec_module(self.loaded[path])
        return self.loaded[path]

    def script(self, relative: str) -> types.ModuleType:
        return self.module(self.path(relative))

    def lmms(self, relative: str) -> types.ModuleType:
        if not self.lmms_folder:
            raise MissingScript("lmms-eval")
        return self.module(self.lmms_folder / relative)

    def functions(self, relative: str, names: set[str], **known: Any) -> types.SimpleNamespace:
        """Some top-level functions and classes of a file whose imports are not to be had."""
        tree = ast.parse(without_prints(self.path(relative).read_text(encoding="utf-8")))
        tree.body = [n for n in tree.body if getattr(n, "name", None) in names]
        space = {"re": re, "np": np, "Optional": None, **known}
        exec(compile(tree, relative, "exec"), space)
        return types.SimpleNamespace(**{name: space[name] for name in names})

    def run(self, relative: str, *arguments: str) -> str:
        command = [sys.executable, str(self.path(relative)), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def without_prints(source: str) -> str:
    """Python 2's print statements, which are all that keeps two of the files from running."""
    return re.sub(r"^(\s*)print [^(].*$", r"\1pass", source, flags=re.MULTILINE)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def one(value: Any) -> float | None:
    """A score as a number; None where there is none."""
    return None if value is None else float(value)


def attempt(function: Callable[[], Any]) -> float | None:
    try:
        return one(function())
    except (ZeroDivisionError, ValueError):
        return None
