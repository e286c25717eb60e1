"""Pictures that are missing, damaged, of another kind or too large are refused."""

import os
import struct

from bad_input import DENIED, EXHAUSTED, INVALID, NOT_FOUND, QUESTION, UNIMPLEMENTED, BadInput
from program import PICTURES, SCENE, edit_json, main, packed_zeros, png, run


class Baseline(BadInput):
    """What the other tests damage works before."""

    def test_the_copies_answer(self):
        for name in ("llava", "binocle_ftz"):
            result = run("ask", "--model", self.model(name), "--image", SCENE, *QUESTION)
            self.assertEqual((result.status, result.stderr), (0, ""))
            self.assertTrue(result.stdout)


class BadPictures(BadInput):
    def test_a_missing_picture_is_not_found(self):
        self.refused_picture(NOT_FOUND, self.folder / "none.png", "none.png: no such file")
        self.refused_picture(NOT_FOUND, SCENE / "inside.png")

    def test_an_empty_picture_is_refused(self):
        self.refused_picture(INVALID, self.write("empty.jpg", b""), "is empty")

    def test_an_endless_path_is_refused(self):
        self.refused_picture(INVALID, "x" * 5000)

    def test_pictures_cut_off_anywhere_are_refused(self):
        for name in ("rgb.png", "grey.jpg", "progressive.jpg", "lossy.webp", "lossless.webp"):
            whole = (PICTURES / name).read_bytes()
            for part in (0.02, 0.3, 0.6, 0.9):
                with self.subTest(name, part=part):
                    self.refused_picture(INVALID, self.write("cut-" + name, whole[: int(len(whole) * part)]), "cut-" + name)

    def test_files_of_another_kind_say_what_they_are(self):
        kinds = {
            "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
            "text": b"This is not a picture.\n",
            "a GIF picture": b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(40),
            "a BMP picture": b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + bytes(44),
            "a TIFF picture": b"II*\x00\x08\x00\x00\x00" + bytes(40),
            "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "a ZIP archive": b"PK\x03\x04" + bytes(60),
            "an executable": b"\x7fELF\x02\x01\x01" + bytes(60),
            "of an unknown kind": bytes(range(200, 256)),
        }
        for kind, content in kinds.items():
            for suffix in (".jpg", ".png"):
                with self.subTest(kind, suffix=suffix):
                    self.refused_picture(INVALID, self.write("other" + suffix, content), [kind, "JPEG, PNG or WebP"])

    def test_a_header_of_60000_by_60000_is_refused_before_decoding(self):
        self.refused_picture(EXHAUSTED, self.write("huge.png", png(60000, 60000, b"x")), "60000")
        self.refused_picture(EXHAUSTED, PICTURES / "huge.jpg", "huge.jpg")

    def test_a_zip_bomb_is_refused_without_unpacking_it(self):
        bomb = packed_zeros(256 << 20)
        self.refused_picture(INVALID, self.write("bomb.png", png(8, 8, bomb)), "corrupt PNG")
        self.refused_picture(INVALID, PICTURES / "bomb.png", "corrupt PNG")

    def test_damaged_pictures_are_refused(self):
        for name in ("checksum.png", "filter.png", "short.png", "no_palette.png", "no_zlib.png", "broken.webp", "no_end.jpg"):
            with self.subTest(name):
                self.refused_picture(INVALID, PICTURES / name, name)
        self.refused_picture(UNIMPLEMENTED, PICTURES / "animated.webp", "animated")

    def test_a_picture_without_pixels_is_refused(self):
        self.refused_picture(INVALID, self.write("flat.png", png(0, 7)), "0 x 7")

    def test_a_directory_or_a_device_is_no_picture(self):
        self.refused_picture(INVALID, self.folder, "is a directory")
        self.refused_picture(INVALID, "/dev/zero", "not a regular file")

    def test_a_pipe_without_a_writer_is_not_waited_for(self):
        pipe = self.folder / "pipe.png"
        os.mkfifo(pipe)
        self.refused_picture(INVALID, pipe, "not a regular file")

    def test_an_unreadable_picture_is_permission_denied(self):
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}  # root reads everything
        self.folder.chmod(0o755)
        model = self.model()
        try:
            if run("inspect", model, **nobody).status != 0:
                self.skipTest("another user cannot run the program where it lies")
        except PermissionError:
            self.skipTest("another user cannot run the program where it lies")
        for path, arguments in ((self.write("secret.png", png(2, 2)), ["--image", self.folder / "secret.png"]), (self.write("secret.jsonl", "{}"), ["--requests", self.folder / "secret.jsonl"]),
                                (model / "model.safetensors", []), (model / "config.json", [])):
            path.chmod(0)
            question = [] if "--requests" in arguments else QUESTION
            with self.subTest(path.name):
                self.refused(DENIED, ["ask", "--model", model, *arguments, *question], path.name, **nobody)
            path.chmod(0o644)

    def test_a_picture_that_the_processor_cannot_take_is_named(self):
        model = self.model()
        edit_json(model / "preprocessor_config.json", lambda c: c.update(image_processor_type="LlavaImageProcessor", do_pad=True))
        strip = self.write("strip.png", png(60000, 1))
        self.refused(EXHAUSTED, ["ask", "--model", model, "--image", strip, *QUESTION], "strip.png: padding 60000 x 1")

    def test_limits_on_bytes_and_pixels_hold(self):
        sparse = self.folder / "sparse.png"
        with open(sparse, "wb") as file:
            file.write(png(2, 2))
            file.truncate(3 << 30)
        self.refused_picture(EXHAUSTED, sparse, "the limit is 67108864")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 100", "--max-image-bytes", "100")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 4899", "--max-image-pixels", "4899")
        self.refused_picture(EXHAUSTED, SCENE, "the limit is 0", "--max-images", "0")


if __name__ == "__main__":
    main()
