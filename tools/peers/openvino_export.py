"""A LLaVA directory as OpenVINO models of several weight formats. Run by the peers' Python.

openvino_export.py MODEL OUT FORMAT…     OUT/FORMAT for each of fp16, int8, int4 that is not there
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from transformers import AutoTokenizer, CLIPImageProcessor, LlavaProcessor


def with_processor(model, folder):
    """The model's files, and the processor files that a random one comes without."""
    config_files = {"tokenizer_config.json", "preprocessor_config.json"}
    for file in model.iterdir():
        if file.name not in config_files:
            (folder / file.name).symlink_to(file.resolve())
    LlavaProcessor(
        CLIPImageProcessor.from_pretrained(model),
        AutoTokenizer.from_pretrained(model),
        patch_size=14,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,  # the class token, which "default" drops
    ).save_pretrained(folder)


def export(source, out, weight_format):
    program = pathlib.Path(sys.executable).parent / "optimum-cli"
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an export that was stopped
    command = [program, "export", "openvino", "--model", source, "--task", "image-text-to-text"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [*command, "--weight-format", weight_format, partial], env=environment, check=True
    )
    partial.rename(out)


def main():
    model, out, *formats = sys.argv[1:]
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with_processor(pathlib.Path(model), pathlib.Path(folder))
        for weight_format in formats:
            if not (out / weight_format).exists():
                export(folder, out / weight_format, weight_format)


if __name__ == "__main__":
    main()
