"""Dialogues, through pipes and on a terminal."""

import os
import pty
import re
import select
import signal
import time

from answers import LLAVA, SHORT, Answers
from program import PICTURES, SCENE, SECONDS, edit_json, environment, main, png, program


class PipedChat(Answers):
    def chat(self, text, *options):
        return self.fine("chat", "--model", LLAVA, *SHORT, *options, stdin=text.encode())

    def answer(self, *arguments):
        return self.fine("ask", "--model", LLAVA, *SHORT, *arguments).stdout

    def test_a_chat_answers_lines(self):
        result = self.chat(f"/image {SCENE}\nWhat is it?\n/new\nHi\n/quit\nHi\n")
        self.assertEqual(result.stdout, self.answer("--image", SCENE, "What is it?") + self.answer("Hi"))
        self.assertIn("25 visual tokens", result.stderr)

    def test_a_picture_given_at_the_start_goes_with_the_first_question(self):
        self.assertEqual(self.chat("What is it?\n", "--image", SCENE).stdout, self.answer("--image", SCENE, "What is it?"))

    def test_a_picture_is_looked_at_as_it_will_be_asked_about(self):
        picture = PICTURES / "exif_6.png"
        for options in ([], ["--no-exif"]):
            result = self.chat(f"/image {picture}\nWhat is it?\n", *options)
            self.assertEqual(result.stdout, self.answer("--image", picture, *options, "What is it?"))

    def test_a_picture_that_cannot_be_asked_about_is_reported_when_it_is_named(self):
        model = self.model()
        edit_json(model / "preprocessor_config.json", lambda c: c.update(image_processor_type="LlavaImageProcessor", do_pad=True))
        strip = self.write("strip.png", png(60000, 1))
        result = self.fine("chat", "--model", model, stdin=f"/image {strip}\n/image {SCENE}\n".encode())
        self.assertIn(f"RESOURCE_EXHAUSTED: {strip}: padding", result.stderr)
        self.assertEqual(result.stderr.count("visual tokens"), 1)

    def test_the_dialogue_is_remembered(self):
        again = self.chat("Hi\nHi\n").stdout
        self.assertTrue(again.startswith(self.answer("Hi")))
        self.assertNotEqual(again, 2 * self.answer("Hi"))

    def test_a_wrong_path_is_reported_and_the_chat_goes_on(self):
        result = self.chat("/image none.png\n/image\nHi\n")
        self.assertIn("NOT_FOUND: none.png: no such file\n", result.stderr)
        self.assertIn("INVALID_ARGUMENT: /image: the path is missing", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_a_question_that_cannot_be_asked_leaves_the_dialogue_as_it_was(self):
        result = self.chat("word " * 3000 + "\nHi\n")
        self.assertIn("INVALID_ARGUMENT: prompt: has ", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_an_unknown_command_is_named_and_the_commands_are_listed(self):
        result = self.chat("/what is it\n\nHi\n")
        self.assertIn("INVALID_ARGUMENT: /what is not a command, expected /image PATH, /system TEXT, /new or /quit\n", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_a_system_text_starts_anew(self):
        self.assertEqual(self.chat("Hello\n/system Be brief.\nHi\n").stdout, self.answer("Hello") + self.answer("--system", "Be brief.", "Hi"))

    def test_the_end_of_input_is_the_end(self):
        self.assertEqual(self.chat("").stdout, "")
        self.assertEqual(self.chat("Hi").stdout, self.answer("Hi"))


class TerminalChat(Answers):
    def start(self, model=LLAVA, *options, **variables):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(program(), [program(), "chat", "--model", str(model), *options], {**environment(), "TERM": "xterm", **variables})
        self.shown = ""
        self.addCleanup(self.finish)
        self.wait_for(r"> ")

    def finish(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self.terminal)

    def wait_for(self, pattern):
        """Reads what the program shows until it matches; what was read is used up."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.fail(f"waited for {pattern!r}, saw {self.shown[-1500:]!r}")
            try:
                self.shown += os.read(self.terminal, 4096).decode("utf-8", "replace")
            except OSError:  # the program has gone
                self.fail(f"it left before {pattern!r}, showing {self.shown[-1500:]!r}")
        seen, self.shown = self.shown, ""
        return seen

    def type(self, text):
        os.write(self.terminal, text.encode())

    def leaves(self):
        """The exit status, after everything that was still shown."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.terminal, 4096).decode("utf-8", "replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        self.fail(f"still there, showing {self.shown[-1500:]!r}")

    def endless(self):
        """A model with room for answers of many seconds."""
        model = self.model()
        edit_json(model / "config.json", lambda c: c["text_config"].update(max_position_embeddings=60000))
        return model

    def test_a_question_is_answered(self):
        self.start(LLAVA, *SHORT)
        answer = self.fine("ask", "--model", LLAVA, *SHORT, "Hi").stdout.strip()
        self.type("Hi\r")
        self.wait_for(re.escape(answer.split("\n")[0].rstrip()))
        self.type("/quit\r")
        self.assertEqual(self.leaves(), 0)

    def test_lines_can_be_edited_and_called_back(self):
        self.start(LLAVA, *SHORT)
        self.type("elpx\x7f\x01/h\r")  # backspace, to the front, two letters
        self.wait_for(r"Ctrl-C stops an answer")
        self.type("\x10\r")  # the line before
        self.wait_for(r"Ctrl-C stops an answer")
        self.type("\x1b[A\r")  # the same with the arrow
        self.wait_for(r"Ctrl-C stops an answer")

    def keeps_characters_beyond_ascii(self, locale):
        self.start(LLAVA, *SHORT, LC_ALL=locale)
        self.type("/image né猫🙂.png\r")
        self.wait_for("NOT_FOUND: né猫🙂.png: no such file")

    def test_characters_beyond_ascii_are_kept(self):
        self.keeps_characters_beyond_ascii("C.UTF-8")

    def test_characters_beyond_ascii_are_kept_in_a_locale_without_them(self):
        self.keeps_characters_beyond_ascii("C")

    def test_characters_beyond_ascii_are_kept_in_a_locale_that_is_not_there(self):
        self.keeps_characters_beyond_ascii("none_NONE")

    def test_ctrl_d_leaves(self):
        self.start()
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_at_the_prompt_drops_the_line_and_not_the_program(self):
        self.start(LLAVA, *SHORT)
        for _ in range(3):
            self.type("garbage")
            self.wait_for("garbage")
            self.type("\x03")
            self.wait_for(r"> ")
        self.type("/help\r")
        self.wait_for(r"Ctrl-C stops an answer\.\r?\n[^\n]*> ")  # the prompt is there: Ctrl-D is the editor's
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_stops_an_answer_and_not_the_program(self):
        self.start(self.endless(), "--max-new-tokens", "59000")
        for _ in range(2):
            self.type("Hi\r")
            self.wait_for(r"Hi\r?\n[^\n]{20}")
            stopped = time.monotonic()
            self.type("\x03")
            self.wait_for(r"\n[^\n]*> \Z")
            self.assertLess(time.monotonic() - stopped, SECONDS / 5)
            self.type("/new\r")
            self.wait_for(r"> \Z")
        self.type("/help\r")
        self.wait_for(r"Ctrl-C stops an answer\.\r?\n[^\n]*> ")  # the prompt is there: Ctrl-D is the editor's
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_ends_a_single_question(self):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(program(), [program(), "ask", "--model", str(self.endless()), "--max-new-tokens", "59000", "Hi"], environment())
        self.shown = ""
        self.addCleanup(self.finish)
        self.wait_for(r".{20}")
        self.type("\x03")
        self.assertEqual(self.leaves(), -signal.SIGINT)


if __name__ == "__main__":
    main()
