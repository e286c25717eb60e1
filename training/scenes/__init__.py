"""Scenes with full ground truth: sampling, rendering and questions.

Needs only Pillow, NumPy and the Debian packages fonts-noto-color-emoji, unicode-data,
fonts-dejavu-core and fonts-liberation.
"""
