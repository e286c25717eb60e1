"""check_text.py finds planted problems. Run: python3 -m unittest discover -s tools/tests -p '*_test.py'"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import check_text  # noqa: E402


class CheckTextTest(unittest.TestCase):
    def problems(self, path, data):
        with tempfile.TemporaryDirectory() as root:
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as out:
                out.write(data)
            self.assertEqual(check_text.files_of(root), [path])
            return list(check_text.check_file(root, path))

    def test_clean_source(self):
        self.assertEqual(self.problems("core/a.cc", "int a;  // \u2264 1, core/work/x\n".encode()), [])

    def test_machine_paths(self):
        for path in ("/wor" + "k/main", "/roo" + "t/.cache", "/hom" + "e/anna/x"):
            found = self.problems("docs/a.md", f"one\nsee {path}\n".encode())
            self.assertEqual(len(found), 1, path)
            self.assertTrue(found[0].startswith("docs/a.md:2: a path of one machine"), found[0])

    def test_blanks_tabs_and_line_ends(self):
        self.assertIn("blanks", self.problems("core/a.cc", b"int a; \n")[0])
        self.assertIn("a tab", self.problems("core/a.cc", b"\tint a;\n")[0])
        self.assertIn("a merge", self.problems("docs/a.md", b"<" * 7 + b" HEAD\n")[0])
        self.assertEqual(self.problems("docs/a.md", b"=======\n"), [])
        self.assertIn("carriage", self.problems("core/a.cc", b"int a;\r\n")[0])
        self.assertIn("no line end", self.problems("core/a.cc", b"int a;")[0])
        self.assertEqual(self.problems("tests/golden/a.json", b"{}\t "), [])

    def test_large_files(self):
        large = b"\0" * (check_text.LARGE + 1)
        self.assertEqual(len(self.problems("docs/a.bin", large)), 1)
        self.assertEqual(self.problems("models/x/a.bin", large), [])


if __name__ == "__main__":
    unittest.main()
