#!/usr/bin/env python3
"""Checks the .proto files below proto/ against the rules they follow: buf's STANDARD ones, and a comment on everything.

- proto3; the package is the folder (binocle.v1 is in binocle/v1) and ends in a version; file names and fields are lower_snake_case
- messages, enums, services and rpcs are CamelCase; services end in Service; Foo takes a FooRequest of its own and gives a FooResponse
- values of an enum begin with its name, ENUM_NAME_UNSPECIFIED = 0 comes first, no number twice, no allow_alias
- no public or weak imports, no import that is not there, none that is not used
- a comment above, or behind, every message, enum, service, rpc, field, oneof and value; a file comment above `syntax`

Packages whose names others chose (FOREIGN) are excused from the version and the words in names. Prints one line per problem, `file:line: message`, and exits 1
when there is one.

    tools/check_proto.py [REPOSITORY]
"""

import os
import re
import sys

FOREIGN = {"inference", "google.rpc", "grpc.health.v1"}
GIVEN = ("google/protobuf/",)  # imports that come with protobuf
TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|-?\d+|[{}()\[\]<>=;,]|\S')
CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
CAPITALS = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


class Statement:
    """Words up to a `;` or a block, with the line they begin on, whether a comment belongs to them, and what is inside."""

    def __init__(self, words, line, commented, inside=None):
        self.words, self.line, self.commented, self.inside = words, line, commented, inside


def tokens_of(text):
    """(word, line) of every word and comment."""
    for number, line in enumerate(text.split("\n"), 1):
        for match in TOKEN.finditer(line):
            yield match.group(0), number


def parse(tokens):
    """The statements of a block: all up to its closing brace, or to the end."""
    statements, words, first, comment_line = [], [], 0, -1
    for word, line in tokens:
        if word.startswith("//"):
            if not words:
                comment_line = line
                if statements and statements[-1].line == line:
                    statements[-1].commented = True
            continue
        if word == "}":
            break
        if word == "{":
            statements.append(Statement(words, first, comment_line == first - 1, parse(tokens)))
            words = []
        elif word == ";":
            if words:
                statements.append(Statement(words, first, comment_line == first - 1))
            words = []
        else:
            first = first if words else line
            words.append(word)
    return statements


def upper_snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


class File:
    def __init__(self, root, path):
        self.root, self.path, self.problems = root, path, []
        with open(os.path.join(root, path), encoding="utf-8") as source:
            self.text = source.read()
        self.statements = parse(iter(list(tokens_of(self.text))))
        self.requests = []  # (line, type) of every rpc's request and response
        self.package = ""

    def report(self, line, message):
        self.problems.append((line, message))

    def check(self):
        name = os.path.basename(self.path)[: -len(".proto")]
        if not SNAKE.fullmatch(name):
            self.report(1, f"the file's name {name} is not lower_snake_case")
        first = self.statements[0] if self.statements else None
        if first is None or first.words != ["syntax", "=", '"proto3"']:
            self.report(1, 'the first statement is not syntax = "proto3"')
        elif not first.commented:
            self.report(first.line, "no comment above syntax says what the file is for")
        self.check_package()
        for statement in self.statements:
            self.check_top(statement)

    def check_package(self):
        packages = [s for s in self.statements if s.words[:1] == ["package"]]
        if len(packages) != 1:
            self.report(1, f"{len(packages)} packages, expected one")
            return
        self.package = packages[0].words[1]
        folder = os.path.dirname(self.path)
        if self.package.replace(".", "/") != folder:
            self.report(packages[0].line, f"package {self.package} is in folder {folder}")
        if self.package not in FOREIGN and not re.search(r"\.v[1-9]\d*((alpha|beta)\d*)?$", self.package):
            self.report(packages[0].line, f"package {self.package} does not end in a version")

    def check_top(self, s):
        kind = s.words[0]
        if kind == "import":
            self.check_import(s)
        elif kind in ("message", "enum", "service"):
            getattr(self, "check_" + kind)(s)

    def check_import(self, s):
        if len(s.words) != 2:
            self.report(s.line, f"an import that is {s.words[1]}")
            return
        target = s.words[1].strip('"')
        if target.startswith(GIVEN):
            return
        full = os.path.join(self.root, target)
        if not os.path.exists(full):
            self.report(s.line, f"imports {target}, which is not there")
            return
        with open(full, encoding="utf-8") as source:
            names = re.findall(r"^(?:message|enum) (\w+)", source.read(), re.MULTILINE)
        body = re.sub(r"//.*|^import.*", "", self.text, flags=re.MULTILINE)
        if not any(re.search(rf"\b{name}\b", body) for name in names):
            self.report(s.line, f"imports {target} and uses nothing of it")

    def need_comment(self, s, what):
        if not s.commented:
            self.report(s.line, f"{what} has no comment")

    def report_name(self, line, message):
        """A name that is not as ours are, unless others chose it."""
        if self.package not in FOREIGN:
            self.report(line, message)

    def need_form(self, s, form, name, style):
        if not form.fullmatch(name):
            self.report(s.line, f"{name} is not {style}")

    def check_message(self, s):
        self.need_form(s, CAMEL, s.words[1], "CamelCase")
        self.need_comment(s, f"message {s.words[1]}")
        for inner in s.inside:
            self.check_member(inner)

    def check_member(self, s):
        kind = s.words[0]
        if kind in ("message", "enum"):
            getattr(self, "check_" + kind)(s)
        elif kind == "oneof":
            self.need_form(s, SNAKE, s.words[1], "lower_snake_case")
            self.need_comment(s, f"oneof {s.words[1]}")
            for inner in s.inside:
                self.check_member(inner)
        elif kind not in ("reserved", "option"):
            name = s.words[s.words.index("=") - 1]
            self.need_form(s, SNAKE, name, "lower_snake_case")
            self.need_comment(s, f"field {name}")

    def check_enum(self, s):
        name = s.words[1]
        self.need_form(s, CAMEL, name, "CamelCase")
        self.need_comment(s, f"enum {name}")
        values = [v for v in s.inside if v.words[0] not in ("option", "reserved")]
        if any(v.words[:2] == ["option", "allow_alias"] for v in s.inside):
            self.report(s.line, f"enum {name} has allow_alias")
        prefix = upper_snake(name) + "_"
        if not values or values[0].words != [prefix + "UNSPECIFIED", "=", "0"]:
            self.report_name(s.line, f"the first value of enum {name} is not {prefix}UNSPECIFIED = 0")
        for value in values:
            self.need_form(value, CAPITALS, value.words[0], "CAPITALS_WITH_UNDERSCORES")
            self.need_comment(value, f"value {value.words[0]}")
            if not value.words[0].startswith(prefix):
                self.report_name(value.line, f"{value.words[0]} does not begin with {prefix}")

    def check_service(self, s):
        name = s.words[1]
        self.need_form(s, CAMEL, name, "CamelCase")
        self.need_comment(s, f"service {name}")
        if not name.endswith("Service"):
            self.report_name(s.line, f"service {name} does not end in Service")
        for rpc in s.inside:
            if rpc.words[0] == "rpc":
                self.check_rpc(rpc)

    def check_rpc(self, s):
        name = s.words[1]
        self.need_form(s, CAMEL, name, "CamelCase")
        self.need_comment(s, f"rpc {name}")
        types = [word for before, word, after in zip(s.words, s.words[1:], s.words[2:])
                 if after == ")" and before in ("(", "stream")]
        if types != [name + "Request", name + "Response"]:
            self.report_name(s.line, f"rpc {name} takes and gives {types}, expected {name}Request and {name}Response")
        if self.package not in FOREIGN:
            self.requests += [(s.line, f"{self.package}.{type_name}") for type_name in types]


def check(root):
    """All problems below root/proto, as lines."""
    proto = os.path.join(root, "proto")
    paths = sorted(os.path.relpath(os.path.join(directory, name), proto)
                   for directory, _, names in os.walk(proto) for name in names if name.endswith(".proto"))
    found, users = [], {}
    for path in paths:
        file = File(proto, path)
        file.check()
        for line, type_name in file.requests:
            if type_name in users:
                file.report(line, f"{type_name} belongs to another rpc already, in {users[type_name]}")
            users[type_name] = f"{path}:{line}"
        found += [f"proto/{path}:{line}: {message}" for line, message in sorted(file.problems)]
    return found


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    problems = check(root)
    for line in problems:
        print(line)
    print(f"check_proto: {len(problems)} problems" if problems else "check_proto: every rule is kept")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
