#!/usr/bin/env python3
"""The page in a headless Chromium, against the HTTP server over the fake backend.

    page_test.py PROGRAM [--shots FOLDER] [unittest arguments]        PROGRAM: build/dev/bin/http_test_server

Needs a Python with requirements.txt of this folder and Debian's `chromium`; exits with 77 (ctest: skipped) where one is missing. With
--shots it leaves pictures of the page there: empty, an answer with an overlay, an error; light and dark, wide and narrow. Look at them
after every change of the page.
"""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

SKIPPED = 77
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
try:
    from playwright.sync_api import expect, sync_playwright
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)
if not CHROMIUM:
    print("skipped: there is no chromium")
    sys.exit(SKIPPED)

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = REPOSITORY / "examples" / "images" / "home.png"
SCENE = REPOSITORY / "tests" / "golden" / "images" / "scene_130x70.png"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PROGRAM, SHOTS, BROWSER = None, None, None
QUESTION = "Where is the key, and what stands in the room beside it?"


def setUpModule():
    global BROWSER
    playwright = sync_playwright().start()
    unittest.addModuleCleanup(playwright.stop)
    BROWSER = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    unittest.addModuleCleanup(BROWSER.close)


class WithBrowser(unittest.TestCase):
    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen([PROGRAM, *cls.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.url = f"http://127.0.0.1:{int(cls.process.stdout.readline())}/"
        cls.browser = BROWSER

    @classmethod
    def tearDownClass(cls):
        cls.process.stdin.close()
        cls.process.wait(60)
        cls.process.stdout.close()

    def open(self, viewport=None, scheme="light"):
        context = self.browser.new_context(viewport=viewport or WIDE, color_scheme=scheme)
        context.set_default_timeout(10000)
        self.addCleanup(context.close)
        page = context.new_page()
        self.problems = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.problems.append(message.text))
        page.goto(self.url)
        expect(page.locator("#model option").first).to_have_text("fake")
        return page

    def ask(self, page, picture=HOME, question=QUESTION):
        if picture:
            page.set_input_files("#file", picture)
            expect(page.locator("#preview")).to_be_visible()
        page.fill("#question", question)
        page.click("#ask")
        expect(page.locator("#meta")).to_be_visible()

    def shot(self, page, name):
        if SHOTS:
            page.screenshot(path=str(SHOTS / f"{name}.png"))

    def check_fits(self, page):
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), page.evaluate("innerWidth"), "the page scrolls sideways")


class Page(WithBrowser):
    def test_an_answer_streams_and_a_word_shows_its_overlay_in_every_look(self):
        # A scheme is colours and a size is room: each is seen once, but where there are pictures to look at.
        for scheme, sizes in (("light", ("wide", "narrow") if SHOTS else ("wide",)), ("dark", ("wide", "narrow") if SHOTS else ("narrow",))):
            for size in sizes:
                viewport = WIDE if size == "wide" else NARROW
                with self.subTest(scheme=scheme, size=size):
                    page = self.open(viewport, scheme)
                    self.shot(page, f"empty_{scheme}_{size}")
                    self.ask(page)
                    expect(page.locator("#answer")).to_have_text(f"You asked: {QUESTION} I see 1 picture.")
                    expect(page.locator("#meta")).to_contain_text("9 tokens read")
                    self.shot(page, f"answer_{scheme}_{size}")
                    page.locator(".word", has_text="key,").click()
                    expect(page.locator("#overlay")).to_be_visible()
                    expect(page.locator("#caption")).to_have_text("“key,”: 60 % of the attention lay on the picture.")
                    expect(page.locator(".word[aria-pressed=true]")).to_have_text("key,")
                    page.wait_for_timeout(100)
                    # Wherever the word stands, the picture is in sight with it.
                    for part in ("#overlay", ".word[aria-pressed=true]"):
                        expect(page.locator(part)).to_be_in_viewport(ratio=0.9)
                    self.shot(page, f"overlay_{scheme}_{size}")
                    self.check_fits(page)
                    self.assertEqual(self.problems, [])

    def test_another_word_has_another_overlay_and_asks_nothing(self):
        page = self.open()
        self.ask(page)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        pixels = []
        for word in ("key,", "beside"):
            page.locator(".word", has_text=word).click()
            expect(page.locator("#caption")).to_contain_text(word)
            pixels.append(page.evaluate("document.getElementById('overlay').toDataURL()"))
        self.assertNotEqual(*pixels)
        self.assertEqual([url for url in asked if url.endswith("/explain")], [self.url + "explain"])
        page.click("#plain")
        expect(page.locator("#preview")).to_be_visible()
        expect(page.locator(".word[aria-pressed=true]")).to_have_count(0)

    def test_the_keyboard_is_enough(self):
        page = self.open()
        page.set_input_files("#file", HOME)
        expect(page.locator("#question")).to_be_focused()
        page.keyboard.type("What is it?")
        page.keyboard.press("Enter")
        expect(page.locator("#meta")).to_be_visible()
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className") == "word":
                break
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(page.locator("#caption")).to_contain_text("“asked:”")
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "asked:")
        page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        expect(page.locator("#caption")).to_contain_text("“What”")

    def test_a_picture_can_be_dropped_and_others_are_converted(self):
        page = self.open()
        drop = """async ([data, type, name]) => {
          const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0)), transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, {type}));
          document.getElementById('frame').dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: transfer}));
        }"""
        gif = "R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
        page.evaluate(drop, [gif, "image/gif", "dot.gif"])
        expect(page.locator("#name")).to_have_text("dot.gif")
        self.ask(page, picture=None, question="What?")
        expect(page.locator("#answer")).to_contain_text("I see 1 picture.")
        page.evaluate(drop, [gif[:20], "image/gif", "broken.gif"])
        expect(page.locator("#error")).to_contain_text("broken.gif is no picture")

    def test_errors_are_shown(self):
        page = self.open()
        self.ask(page, question="fail please")
        expect(page.locator("#error")).to_have_text("the backend broke in mid-stream")
        self.shot(page, "error_light_wide")
        self.ask(page, picture=None, question="Hi")
        expect(page.locator("#error")).to_be_hidden()

    def test_an_answer_can_be_stopped(self):
        page = self.open()
        page.fill("#question", "word " * 400)
        page.click("#ask")
        expect(page.locator("#answer")).to_contain_text("You asked:")
        page.click("#stop")
        expect(page.locator("#meta")).to_contain_text("stopped")
        expect(page.locator("#ask")).to_be_enabled()

    def test_without_a_picture_words_have_no_overlay(self):
        page = self.open()
        self.ask(page, picture=None, question="Hi")
        page.locator(".word").first.click()
        expect(page.locator("#overlay")).to_be_hidden()
        expect(page.locator("#hint")).to_be_hidden()


class PageWithAKey(WithBrowser):
    arguments = ("sesame",)

    def test_the_key_is_asked_for(self):
        context = self.browser.new_context(viewport=WIDE)
        self.addCleanup(context.close)
        page = context.new_page()
        page.goto(self.url)
        expect(page.locator("#error")).to_contain_text("the key is not known")
        expect(page.locator("#key")).to_be_visible()
        page.fill("#key", "sesame")
        page.keyboard.press("Tab")
        expect(page.locator("#model option").first).to_have_text("fake")
        expect(page.locator("#error")).to_be_hidden()


if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [--shots FOLDER] [unittest arguments]")
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    if sys.argv[1:2] == ["--shots"]:
        SHOTS = Path(sys.argv[2])
        SHOTS.mkdir(parents=True, exist_ok=True)
        del sys.argv[1:3]
    unittest.main()
