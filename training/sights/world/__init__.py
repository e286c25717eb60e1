"""The pictured world of the default model: what exists, sampled scenes, pixels, questions with exact answers.

Needs only Pillow, NumPy and the Debian font packages of `tools/install_deps.sh --training`. `VERSION` changes with
anything that a picture or a question of a given seed depends on.
"""

VERSION = 2
SIZE = 224  # pixels, both sides
