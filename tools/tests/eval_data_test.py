"""The tools that write evaluation data. Run: python3 -m unittest discover -s tools/tests -p '*_test.py'"""

import datetime
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "eval"))
import chair_coco_jsonl  # noqa: E402
import parquet_to_jsonl  # noqa: E402


class ChairCocoTest(unittest.TestCase):
    def test_joins_instances_and_captions(self):
        instances = {"categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
                     "annotations": [{"image_id": 9, "category_id": 3}, {"image_id": 9, "category_id": 1},
                                     {"image_id": 9, "category_id": 3}]}
        captions = {"images": [{"id": 8, "file_name": "8.jpg"}, {"id": 9, "file_name": "9.jpg"}],
                    "annotations": [{"image_id": 9, "caption": "A man. "}, {"image_id": 8, "caption": "A wall."}]}
        self.assertEqual(chair_coco_jsonl.lines(instances, captions, [8, 9]), [
            {"id": 8, "image": "8.jpg", "objects": [], "references": ["A wall."]},
            {"id": 9, "image": "9.jpg", "objects": ["car", "person"], "references": ["A man."]}])


class ParquetTest(unittest.TestCase):
    def test_values(self):
        row = {"image": {"bytes": b"\x89PNG", "path": None}, "list": [b"a", 1.5], "day": datetime.date(2024, 1, 2)}
        self.assertEqual(parquet_to_jsonl.plain(row), {"image": {"bytes": "iVBORw==", "path": None},
                                                       "list": ["YQ==", 1.5], "day": "2024-01-02"})


class ScenesPopeTest(unittest.TestCase):
    def test_asks_six_different_names_of_which_at_most_three_are_there(self):
        try:
            import scenes_pope
        except ImportError as missing:
            self.skipTest(f"the generator needs {missing.name}")
        stream = scenes_pope.scene_stream(3, "test")
        for _ in range(50):
            scene, _ = next(stream)
            names = scenes_pope.names_of(scene, random.Random(1))
            there = {name for thing in scene.things for name in (thing.kind.label, thing.kind.name)}
            self.assertEqual(len({name for name, _ in names}), 6)
            self.assertTrue(all(yes == (name in there) for name, yes in names))
            self.assertEqual(sum(yes for _, yes in names), min(3, len(there)))


if __name__ == "__main__":
    unittest.main()
