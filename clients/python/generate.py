#!/usr/bin/env python3
"""Makes binocle/_proto from the .proto files of the repository: what protoc gives, importable below a private name.

    generate.py [FOLDER]        FOLDER: where binocle/_proto goes, default beside this file

Needs grpcio-tools.
"""

import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
# protoc writes imports by the path of the .proto file. In the package that path would be a module `binocle.v1` for everybody.
IMPORT = re.compile(r"^from binocle\.v1 import ", re.MULTILINE)


def proto_root():
    """Beside this file in a source distribution, at the top of the repository otherwise."""
    return next(root for root in (HERE / "proto", HERE.parent.parent / "proto") if (root / "binocle" / "v1").is_dir())


def run_protoc(root, out):
    sources = sorted(str(path.relative_to(root)) for path in (root / "binocle" / "v1").glob("*.proto"))
    services = [source for source in sources if source.endswith("_service.proto")]
    includes = [f"-I{root}", f"-I{files('grpc_tools') / '_proto'}"]
    for arguments in ([f"--python_out={out}", f"--pyi_out={out}", *sources], [f"--grpc_python_out={out}", *services]):
        if protoc.main(["protoc", *includes, *arguments]) != 0:
            sys.exit("generate.py: protoc failed")


def generate(folder):
    target = folder / "binocle" / "_proto"
    shutil.rmtree(target, ignore_errors=True)
    (target / "v1").mkdir(parents=True)
    for package in (target, target / "v1"):
        (package / "__init__.py").touch()
    with tempfile.TemporaryDirectory() as out:
        run_protoc(proto_root(), out)
        for made in sorted(Path(out, "binocle", "v1").iterdir()):
            text = made.read_text(encoding="utf-8")
            (target / "v1" / made.name).write_text(IMPORT.sub("from binocle._proto.v1 import ", text), encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
