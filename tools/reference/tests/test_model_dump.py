"""dump.py for a model of one's own: a cache changes nothing, and pictures are what Binocle sees."""

import sys
import tempfile
import unittest
from pathlib import Path

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import GOLDEN, setup  # noqa: E402
from dump import greedy  # noqa: E402
from model_dump import Pictures, Wishes, dump_model, requests_of, upright  # noqa: E402
from reference_models import load_reference  # noqa: E402

SCENE = GOLDEN / "images" / "scene_61x83.png"
PROMPT = "Look at the cat: <image> What colour is it?"


class ModelDump(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        setup()

    def dump(self, model: str, images: list, prompts: list, steps: int = 4, room: int = 1 << 30):
        requests, found = requests_of(GOLDEN / model, images, prompts, None)
        return dump_model(GOLDEN / model, requests, found, Wishes(steps, "f32", room))

    def test_steps_on_a_cache_are_those_of_whole_sequences(self) -> None:
        for name in ("llava", "mistral", "qwen2"):
            has_text = name == "llava"
            tensors, info = self.dump(name, [SCENE] * has_text, [PROMPT] * has_text, 40)
            model = load_reference(GOLDEN / name)
            request = info["requests"][0] | {"images": ["x"] * has_text}
            encoded = {"x": model.encode(Image.open(SCENE))} if has_text else {}
            run = greedy(model, request, encoded)
            self.assertEqual(run.token_ids[:40], info["requests"][0]["token_ids"])
            for step in (0, 1, 39):
                torch.testing.assert_close(
                    tensors[f"req0.logits.{step}"], run.logits[step], rtol=0, atol=2e-4
                )
            for layer, state in enumerate(run.prompt_states):
                torch.testing.assert_close(
                    tensors[f"req0.hidden.{layer}"], state, rtol=0, atol=1e-4
                )

    def test_the_last_hidden_state_is_not_normed(self) -> None:
        """Norm and head on it give the logits of the prompt's last row."""
        tensors, info = self.dump("llama_tied", [], [])
        model = load_reference(GOLDEN / "llama_tied").model
        layers = model.config.num_hidden_layers
        logits = model.lm_head(model.model.norm(tensors[f"req0.hidden.{layers}"][-1]))
        torch.testing.assert_close(logits, tensors["req0.logits.0"], rtol=0, atol=1e-5)
        self.assertEqual(info["model_type"], "llama")

    def test_hidden_states_stay_within_their_room(self) -> None:
        tensors, _ = self.dump("llama", [], [], room=1000)
        self.assertNotIn("req0.hidden.0", tensors)
        self.assertIn("req0.logits.3", tensors)

    def test_a_request_is_made_up_where_none_is_given(self) -> None:
        for name, pictures in (("binocle_vo", 1), ("llava", 1), ("qwen3", 0)):
            tensors, info = self.dump(name, [], [], 1)
            self.assertEqual(len(info["requests"][0]["images"]), pictures)
            self.assertEqual("image0.rgb" in tensors, pictures > 0)

    def test_pictures_and_marks_must_fit(self) -> None:
        with self.assertRaisesRegex(ValueError, "2 marks <image>, expected one for each of 1"):
            requests_of(GOLDEN / "llava", [SCENE], ["<image> and <image>"], None)
        with self.assertRaisesRegex(ValueError, "takes no pictures"):
            self.dump("llama", [], ["<image>"])

    def test_requests_come_as_a_list_or_in_lines(self) -> None:
        row = f'{{"id": "a", "images": ["{SCENE}"], "prompt": "<image>?"}}'
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.json", f"[{row}]"), ("a.jsonl", f"{row}\n{row}\n")):
                path = Path(folder) / name
                path.write_text(text)
                requests, found = requests_of(GOLDEN / "llava", [], [], path)
                self.assertEqual(requests[0]["images"], [SCENE.name])
                self.assertEqual(requests[0]["prompt_format"], "raw")
                self.assertEqual(list(found.by_name), [SCENE.name])

    def test_files_of_one_name_are_told_apart(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / SCENE.name
            Image.new("RGB", (3, 2)).save(other)
            found = Pictures()
            self.assertEqual(found.add(SCENE), SCENE.name)
            self.assertEqual(found.add(other), f"{SCENE.name}#2")
            self.assertEqual(found.add(SCENE), SCENE.name)

    def test_pictures_are_upright_and_over_white(self) -> None:
        picture = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
        picture.putpixel((1, 0), (0, 0, 255, 255))
        seen = upright(picture)
        self.assertEqual([seen.getpixel((x, 0)) for x in (0, 1)], [(255, 255, 255), (0, 0, 255)])
        turned = Image.new("RGB", (3, 2))
        turned.getexif()[0x0112] = 6
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            turned.save(file, exif=turned.getexif())
            self.assertEqual(upright(Image.open(file.name)).size, (2, 3))


if __name__ == "__main__":
    unittest.main()
