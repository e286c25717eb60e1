#!/usr/bin/env python3
"""Pages of binocle eval report and compare in a headless Chromium: what one sees first, at the widths of a telephone and of a screen.

    eval_pages_test.py PROGRAM [--shots FOLDER] [unittest arguments]

Needs a Python with tests/http/requirements.txt and Debian's `chromium`; exits with 77 (ctest: skipped) where one is missing. With --shots
it leaves pictures of the pages there, light and dark, wide and narrow. Look at them after every change of the pages.
"""

import shutil
import sys
from pathlib import Path

from eval_data import write_scenes
from program import Folder, main, run
from server import CALL_SECONDS

SKIPPED = 77
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
try:
    from playwright.sync_api import sync_playwright
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)
if not CHROMIUM:
    print("skipped: there is no chromium")
    sys.exit(SKIPPED)

NARROW, WIDE = 390, 1280
SHOTS = None
# The right end of what an element shows, which its scrolling ancestors may hide.
RIGHT_END = "element => { const range = document.createRange(); range.selectNodeContents(element); return range.getBoundingClientRect().right; }"
SCROLLED = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"


class EvalPages(Folder):
    @classmethod
    def setUpClass(cls):
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.playwright.stop()

    def run_eval(self, out, *arguments, status=0):
        data = self.folder / "data"
        if not data.exists():
            write_scenes(data, 4, 4)
        result = run("eval", "run", "scenes", "--data", data, "--out", self.folder / out, *arguments, seconds=CALL_SECONDS)
        self.assertEqual(result.status, status, result.stderr)
        return self.folder / out

    def open(self, path, width, scheme="light"):
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.addCleanup(context.close)
        page = context.new_page()
        self.problems = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or self.problems.append(request.url))
        page.goto(path.as_uri())
        return page

    def check(self, path, column):
        """The first number of `column` is seen without scrolling to the side, and so is everything on a screen."""
        for width in (NARROW, WIDE):
            for scheme in ("light", "dark"):
                with self.subTest(path.name, width=width, scheme=scheme):
                    page = self.open(path, width, scheme)
                    self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), width, "the page scrolls sideways")
                    cell = page.locator(f'td[data-column="{column}"]').first
                    self.assertLessEqual(cell.evaluate(RIGHT_END), width)
                    self.assertEqual(page.evaluate(SCROLLED), 0, "a table is cut")
                    self.assertEqual(self.problems, [])
                    if SHOTS:
                        page.screenshot(path=str(SHOTS / f"{path.stem}_{scheme}_{width}.png"), full_page=True)

    def test_a_report(self):
        out = self.run_eval("out")
        self.assertEqual(run("eval", "report", out, "--data", self.folder / "data").status, 0)
        self.check(out / "report.html", "score (95 %)")

    def test_a_sweep(self):
        runs = [self.run_eval(f"a-folder-of-gamma-{gamma}", "--guidance", f"gamma={gamma}") for gamma in ("1.0", "1.5", "2.0")]
        path = self.folder / "sweep.html"
        self.assertEqual(run("eval", "report", *runs, "--out", path).status, 0)
        self.check(path, "score (95 %)")

    def test_a_comparison_of_a_run_that_is_not_whole(self):
        before = self.run_eval("before")
        (self.folder / "data" / "0001.png").write_bytes(b"\0" * (self.folder / "data" / "0001.png").stat().st_size)
        after, path = self.run_eval("after", status=1), self.folder / "compare.html"
        self.assertEqual(run("eval", "compare", before, after, "--out", path).status, 0)
        self.check(path, "difference (95 %)")
        page = self.open(path, NARROW)
        self.assertLessEqual(page.locator(".missing").first.evaluate(RIGHT_END), NARROW)

    def test_a_table_that_is_scrolled_and_a_text_that_is_cut_show_it(self):
        out = self.run_eval("out")
        self.assertEqual(run("eval", "report", out).status, 0)
        page = self.open(out / "report.html", NARROW)
        for selector in (".scroll", "dd"):
            self.assertIn("local", page.locator(selector).first.evaluate("element => getComputedStyle(element).backgroundAttachment"))
        text = page.locator("dd").first
        text.evaluate("element => { element.textContent = 'a long question '.repeat(400); }")
        lines = text.evaluate("element => element.clientHeight / parseFloat(getComputedStyle(element).lineHeight)")
        self.assertAlmostEqual(lines, round(lines), delta=0.05, msg="cut within a line")


if __name__ == "__main__":
    if "--shots" in sys.argv:
        at = sys.argv.index("--shots")
        SHOTS = Path(sys.argv[at + 1])
        SHOTS.mkdir(parents=True, exist_ok=True)
        del sys.argv[at : at + 2]
    main()
