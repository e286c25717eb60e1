#!/usr/bin/env python3
"""Checks that every #include points in an allowed direction (README.md of each folder, docs/adr/0001).

    include/binocle < core < attention < {vision, llm} < fusion < service/engine < {service/common < {service/grpc > proto, service/http} < {service/server, service/client}, eval < eval/run < eval/report, cli, tests}

Prints one line per violation, `file:line: message`, and exits 1 when there is one.

    tools/check_layers.py [REPOSITORY]
"""

import fnmatch
import os
import re
import sys

PUBLIC = "include/binocle"
LIBRARY = [PUBLIC, "core", "attention", "vision", "llm", "fusion"]

# A folder and the folders it may include, besides itself. The longest matching folder decides.
MAY_INCLUDE = {
    PUBLIC: [],
    "core": [PUBLIC],
    "attention": [PUBLIC, "core"],
    "vision": [PUBLIC, "core", "attention"],
    "llm": [PUBLIC, "core", "attention"],
    "fusion": [PUBLIC, "core", "attention", "vision", "llm"],
    "service": LIBRARY,
    "service/engine": LIBRARY,
    "service/common": [PUBLIC],
    "service/http": [PUBLIC, "service/common"],
    "service/server": [PUBLIC, "service/common", "service/grpc", "service/http"],
    "service/grpc": [PUBLIC, "service/common", "proto"],
    "service/client": [PUBLIC, "service/common", "service/grpc", "proto"],
    "proto": [],
    "eval": [PUBLIC, "core", "llm"],
    "eval/run": [PUBLIC, "core", "eval"],
    "eval/report": [PUBLIC, "core", "eval", "eval/run"],
    "cli": [PUBLIC],
    "examples": [PUBLIC],
    "tests": LIBRARY + ["service", "service/engine", "service/common", "service/grpc", "service/http", "service/client", "proto", "eval", "eval/run", "eval/report", "cli", "examples"],
}

# Headers of other projects, and the only files that may include them.
ELSEWHERE = [
    ("oneDNN", ["dnnl*", "oneapi/*"], ["core/ops/gemm_plans_onednn.cc", "tests/bench/bench_onednn.cc"]),
    ("OpenCV", ["opencv*"], ["vision/opencv/module_opencv.cc"]),
    ("Highway", ["hwy/*"], ["core/*_cpu.cc", "core/simd/*", "attention/*_cpu.cc", "attention/*-inl.h", "tests/*"]),
    ("sentencepiece", ["sentencepiece*"], ["llm/sentencepiece/module.cc"]),
    ("PCRE2", ["pcre2*"], ["llm/bpe/word_splitter.cc"]),
    ("utf8proc", ["utf8proc*"], ["llm/bpe/nfc.cc"]),
    ("gRPC and protobuf", ["grpc/*.h", "grpcpp/*", "google/protobuf/*", "*.pb.h"], ["service/grpc/*", "service/client/*", "service/server/*", "proto/*", "tests/*"]),
    ("cpp-httplib", ["httplib.h"], ["service/http/*", "tests/*"]),
    ("prometheus-cpp", ["prometheus/*"], ["service/server/*"]),
    ("yaml-cpp", ["yaml-cpp/*"], ["cli/*"]),
    ("CUDA", ["cuda*", "cublas*", "cudnn*", "nccl*", "nvrtc*", "cub/*", "thrust/*", "mma.h", "cooperative_groups*"],
     ["*_cuda.cu", "*_cuda.h", "core/backend/cuda/*", "tests/simt/*"]),
    ("CLI11", ["CLI/*"], ["cli/*"]),
    ("libedit", ["histedit.h", "editline/*"], ["cli/*"]),
    ("GoogleTest", ["gtest/*", "gmock/*"], ["tests/*"]),
]

# Public headers whose functions are in other libraries than a folder's own, and the folders that must not need those.
NOT_HERE = [
    ("libbinocle_eval needs no model", ["eval/*"],
     ["binocle/engine.h", "binocle/client.h", "binocle/server.h", "binocle/explain.h", "binocle/calibrate.h", "binocle/bench.h", "binocle/bench_machine.h", "binocle/bench_ops.h", "binocle/parity.h", "binocle/version.h"]),
]

SOURCE = (".h", ".cc", ".cu", ".cuh")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    """The longest known folder that holds `path` (from the repository root), or None."""
    holders = [folder for folder in MAY_INCLUDE if path.startswith(folder + "/")]
    return max(holders, key=len) if holders else None


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def from_root(header):
    """Where an include of ours lives: binocle/error.h -> include/binocle/error.h."""
    return "include/" + header if header.startswith("binocle/") else header


def problem(root, path, quote, header):
    """What is wrong with `path` including `header`, or None."""
    for project, headers, homes in ELSEWHERE:
        if matches(header, headers):
            if matches(path, homes):
                return None
            return f"{project} header <{header}> belongs in {', '.join(homes)}"
    for reason, folders, headers in NOT_HERE:
        if matches(path, folders) and matches(header, headers):
            return f"{reason}: not <{header}>"
    folder = folder_of(path)
    target = from_root(header)
    target_folder = folder_of(target)
    if target_folder is None:
        return other_problem(root, path, quote, header)
    if not os.path.exists(os.path.join(root, target)):
        return f'"{header}" does not exist'
    if header.startswith("include/"):
        return f'write "{header[len("include/"):]}"'
    if target_folder != folder and target_folder not in MAY_INCLUDE[folder]:
        allowed = ", ".join(MAY_INCLUDE[folder]) or "nothing of ours"
        return f'{folder} may not include "{header}" (it may include {allowed})'
    if target.endswith("_ref.h") and not path.startswith("tests/") and not path.endswith(("_ref.cc", "_ref.h")):
        return f'"{header}" is a reference definition: tests only'
    return None


def other_problem(root, path, quote, header):
    """Headers that are in none of our folders: neighbours by a short name, the standard library, the system."""
    if path.startswith(PUBLIC + "/") and not re.fullmatch(r"[a-z_]+", header):
        return f"public headers include public and standard headers only, not <{header}>"
    if quote == '"' and not path.startswith(("tests/", "examples/")):
        return f'write "{header}" from the repository root, or <{header}> when it is not ours'
    return None


def check_file(root, path):
    found = []
    with open(os.path.join(root, path), encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            include = INCLUDE.match(line)
            if include:
                message = problem(root, path, *include.groups())
                if message:
                    found.append(f"{path}:{number}: {message}")
    return found


def check(root):
    """All violations below `root`, in a stable order."""
    found = []
    for top in sorted({folder.split("/")[0] for folder in MAY_INCLUDE}):
        for directory, folders, files in sorted(os.walk(os.path.join(root, top))):
            folders[:] = [folder for folder in folders if folder not in ("build", "golden")]
            for name in sorted(files):
                path = os.path.relpath(os.path.join(directory, name), root)
                if name.endswith(SOURCE) and folder_of(path) is not None:
                    found += check_file(root, path)
    return found


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    violations = check(root)
    for line in violations:
        print(line)
    print(f"check_layers: {len(violations)} violations" if violations else "check_layers: every include points the right way")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
