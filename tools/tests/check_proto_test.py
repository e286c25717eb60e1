"""check_proto.py finds planted faults. Run: python3 -m unittest discover -s tools/tests -p '*_test.py'"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import check_proto  # noqa: E402

GOOD = """// A file.
syntax = "proto3";

package a.v1;

// A kind.
enum HTTPKind {
  // None.
  HTTP_KIND_UNSPECIFIED = 0;
}

// A service.
service AskService {
  // An rpc.
  rpc Ask(AskRequest) returns (stream AskResponse);
}

// In.
message AskRequest {
  // A field.
  repeated int32 ids = 1;
  int32 other = 4;  // behind it
  // A map.
  map<string, int32> numbers = 2 [deprecated = true];
}

// Out.
message AskResponse {
  // One of.
  oneof one {
    // A kind.
    HTTPKind kind = 1;
  }
  reserved 2, 3;
}
"""


class CheckProtoTest(unittest.TestCase):
    def problems(self, text, path="a/v1/ask.proto"):
        with tempfile.TemporaryDirectory() as root:
            full = os.path.join(root, "proto", path)
            os.makedirs(os.path.dirname(full))
            with open(full, "w", encoding="utf-8") as out:
                out.write(text)
            return check_proto.check(root)

    def assert_found(self, old, new, line, words):
        self.assertIn(old, GOOD)
        found = self.problems(GOOD.replace(old, new, 1))
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"proto/a/v1/ask.proto:{line}: "), found[0])
        self.assertIn(words, found[0])

    def test_a_good_file_is_clean(self):
        self.assertEqual(self.problems(GOOD), [])

    def test_comments_are_missed(self):
        self.assert_found("  // A field.\n", "", 20, "field ids has no comment")
        self.assert_found("  // None.\n", "", 8, "value HTTP_KIND_UNSPECIFIED has no comment")
        self.assert_found("// In.\n", "\n", 19, "message AskRequest has no comment")
        self.assert_found("  // An rpc.\n", "", 14, "rpc Ask has no comment")
        self.assert_found("  // One of.\n", "", 29, "oneof one has no comment")
        self.assert_found("  // behind it", "", 22, "field other has no comment")
        self.assert_found("// A file.\n", "\n", 2, "no comment above syntax")

    def test_names_are_checked(self):
        self.assert_found(" ids ", " Ids ", 21, "not lower_snake_case")
        self.assert_found("kind = 1", "kindOf = 1", 32, "not lower_snake_case")
        self.assert_found("AskService", "Asker", 13, "does not end in Service")

    def test_enums_begin_unspecified(self):
        found = self.problems(GOOD.replace("HTTP_KIND_UNSPECIFIED = 0", "HTTP_KIND_NONE = 0"))
        self.assertEqual(len(found), 1, found)
        self.assertIn("is not HTTP_KIND_UNSPECIFIED = 0", found[0])

    def test_rpcs_have_types_of_their_own(self):
        self.assert_found("rpc Ask(AskRequest)", "rpc Ask(Question)", 15, "expected AskRequest and AskResponse")
        again = GOOD.replace("}\n\n// In.", "  // Again.\n  rpc Ask(AskRequest) returns (AskResponse);\n}\n\n// In.", 1)
        self.assertTrue(any("another rpc already" in line for line in self.problems(again)))

    def test_packages_are_folders_with_versions(self):
        self.assertIn("is in folder b/v1", self.problems(GOOD, "b/v1/ask.proto")[0])
        found = self.problems(GOOD.replace("package a.v1", "package a"), "a/ask.proto")
        self.assertEqual(len(found), 1, found)
        self.assertIn("does not end in a version", found[0])

    def test_imports_are_there_and_used(self):
        self.assert_found("package a.v1;\n", 'package a.v1;\nimport "a/v1/gone.proto";\n', 5, "which is not there")
        self.assert_found("package a.v1;\n", 'package a.v1;\nimport public "a/v1/gone.proto";\n', 5, "an import that is public")
        self.assert_found("package a.v1;\n", 'package a.v1;\nimport "google/protobuf/any.proto";\n'
                          'import "a/v1/gone.proto";\n', 6, "which is not there")

    def test_the_syntax_is_proto3(self):
        self.assertTrue(self.problems(GOOD.replace("proto3", "proto2")))


if __name__ == "__main__":
    unittest.main()
