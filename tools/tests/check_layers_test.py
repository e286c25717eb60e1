"""check_layers.py finds planted violations and accepts what is allowed. Run: python3 -m unittest discover -s tools/tests -p '*_test.py'"""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import check_layers  # noqa: E402

HEADERS = ["include/binocle/error.h", "core/tensor.h", "core/ops/norm_ref.h", "attention/attention.h", "vision/image.h",
           "llm/tokenizer.h", "fusion/ftz.h", "service/engine/prefill.h", "cli/options.h", "include/binocle/engine.h", "eval/task.h", "eval/run/journal.h"]


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        for header in HEADERS:
            self.write(header, "#pragma once\n")

    def tearDown(self):
        self.directory.cleanup()

    def write(self, path, text):
        full = os.path.join(self.directory.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as out:
            out.write(text)

    def violations(self, path, include):
        self.write(path, f"// a comment\n#include {include}\n")
        return check_layers.check(self.directory.name)

    def assert_refused(self, path, include, words):
        found = self.violations(path, include)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{path}:2: "), found[0])
        self.assertIn(words, found[0])

    def assert_allowed(self, path, include):
        self.assertEqual(self.violations(path, include), [])

    def test_an_empty_tree_is_clean(self):
        self.assertEqual(check_layers.check(self.directory.name), [])

    def test_downward_includes_are_allowed(self):
        self.assert_allowed("core/a.cc", '"binocle/error.h"')
        self.assert_allowed("attention/a.cc", '"core/tensor.h"')
        self.assert_allowed("vision/a.cc", '"attention/attention.h"')
        self.assert_allowed("fusion/a.cc", '"vision/image.h"')
        self.assert_allowed("service/engine/a.cc", '"fusion/ftz.h"')
        self.assert_allowed("tests/llm/a.cc", '"service/engine/prefill.h"')
        self.assert_allowed("cli/a.cc", '"cli/options.h"')

    def test_upward_includes_are_refused(self):
        self.assert_refused("core/a.cc", '"attention/attention.h"', "core may not include")

    def test_scorers_and_runs_need_no_engine(self):
        self.assert_allowed("eval/run/a.cc", '"eval/task.h"')
        self.assert_allowed("cli/a.cc", '"binocle/engine.h"')

    def test_an_engine_in_a_run_is_refused(self):
        self.assert_refused("eval/run/a.cc", '"binocle/engine.h"', "needs no model")

    def test_a_run_in_a_scorer_is_refused(self):
        self.assert_refused("eval/a.cc", '"eval/run/journal.h"', "eval may not include")

    def test_a_service_header_in_fusion_is_refused(self):
        self.assert_refused("fusion/a.h", '"service/engine/prefill.h"', "fusion may not include")

    def test_vision_and_llm_do_not_meet(self):
        self.assert_refused("vision/a.cc", '"llm/tokenizer.h"', "vision may not include")

    def test_llm_and_vision_do_not_meet(self):
        self.assert_refused("llm/a.cc", '"vision/image.h"', "llm may not include")

    def test_cli_sees_public_headers_only(self):
        self.assert_refused("cli/a.cc", '"core/tensor.h"', "cli may not include")

    def test_examples_see_public_headers_only(self):
        self.assert_refused("examples/embed/main.cc", '"service/engine/prefill.h"', "examples may not include")

    def test_public_headers_include_public_headers_and_std(self):
        self.assert_allowed("include/binocle/a.h", "<string_view>")
        self.assert_refused("include/binocle/a.h", '"core/tensor.h"', "may not include")
        self.assert_refused("include/binocle/a.h", "<nlohmann/json.hpp>", "standard headers only")

    def test_reference_definitions_are_for_tests(self):
        self.assert_allowed("tests/core/a.cc", '"core/ops/norm_ref.h"')
        self.assert_allowed("core/ops/norm_ref.cc", '"core/ops/norm_ref.h"')
        self.assert_refused("core/ops/norm.cc", '"core/ops/norm_ref.h"', "tests only")

    def test_other_projects_have_one_home(self):
        self.assert_allowed("vision/opencv/module_opencv.cc", "<opencv2/core.hpp>")
        self.assert_allowed("core/ops/gemm_plans_onednn.cc", "<dnnl.hpp>")
        self.assert_allowed("core/ops/norm_cpu.cc", '"hwy/highway.h"')
        self.assert_allowed("core/ops/norm_cuda.cu", "<cuda_runtime.h>")
        for path, header, words in [("vision/a.cc", "<opencv2/core.hpp>", "OpenCV"), ("core/a.cc", "<dnnl.hpp>", "oneDNN"),
                                    ("llm/a.cc", '"hwy/highway.h"', "Highway"), ("core/b.cc", "<cuda_runtime.h>", "CUDA"),
                                    ("service/engine/a.cc", "<grpcpp/grpcpp.h>", "gRPC"), ("fusion/a.cc", "<google/protobuf/any.h>", "gRPC"),
                                    ("core/c.cc", "<gtest/gtest.h>", "GoogleTest")]:
            self.assert_refused(path, header, words)
            os.remove(os.path.join(self.directory.name, path))

    def test_missing_and_short_names_are_refused(self):
        self.assert_refused("core/a.cc", '"core/nowhere.h"', "does not exist")
        self.assert_refused("core/a.cc", '"tensor.h"', "from the repository root")


if __name__ == "__main__":
    unittest.main()
