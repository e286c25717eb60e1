"""OpenVINO GenAI's turn: a process of openvino_side.py, asked stage by stage."""

import json
import pathlib
import subprocess

from peers.turns import peak_of, stage

SCRIPT = pathlib.Path(__file__).with_name("openvino_side.py")

# By Binocle's --compute: the weights' format, and properties by setting. "default" is what it does
# unasked. Which setting is its best depends on the processor, so all that may be are here.
FORMATS = {"bf16": "fp16", "int8": "int8", "int4": "int4"}
VISUAL_TOKENS = 576  # of the tower at 336 × 336
GROUP = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
HINT = "INFERENCE_PRECISION_HINT"
SETTINGS = {
    "bf16": {"default": {}, "bf16": {HINT: "bf16"}, "f32": {HINT: "f32"}},
    "int8": {
        "default": {},
        "bf16, group 512": {HINT: "bf16", GROUP: 512},
        "f32, group 512": {HINT: "f32", GROUP: 512},
    },
    "int4": {
        "default": {},
        "bf16, group 128": {HINT: "bf16", GROUP: 128},
        "f32, group 128": {HINT: "f32", GROUP: 128},
    },
}


class Asked:
    """The process, which answers one request at a time."""

    def __init__(self, python):
        self.process = subprocess.Popen(
            [python, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        peak_of(self.process)
        self.process.stderr.close()

    def ask(self, do, **request):
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"openvino {do}: the process ended: {self.process.stderr.read()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"openvino {do}: {answer['error']}")
        return answer


def turn(python, models, kind, setting, plan, seed):
    """Seeds from `seed` on, one for each call."""
    properties = {"INFERENCE_NUM_THREADS": plan["threads"], **SETTINGS[kind][setting]}
    model = str(pathlib.Path(models) / FORMATS[kind])
    with Asked(python) as side:
        load = side.ask("load", model=model, properties=properties)

        def calls(do, **request):
            return [side.ask(do, seed=seed + call, **request) for call in range(plan["calls"] + 1)]

        answers = {
            "prefill": calls("prefill", tokens=plan["prompt_tokens"]),
            "picture": calls("picture", tokens=plan["text_tokens"]),
            "decode": calls("decode", tokens=plan["prompt_tokens"], steps=plan["decode_tokens"]),
        }
        # The peak is the pipeline's: the tower alone is a second copy, loaded only to be timed.
        peak = answers["decode"][-1]["peak_bytes"]
        check_rows("prefill", answers["prefill"], plan["prompt_tokens"])
        check_rows("picture", answers["picture"], plan["text_tokens"] + VISUAL_TOKENS)
        side.ask("load_encoder", model=model, properties=properties)
        answers["encode"] = calls("encode")
    return {
        "load_seconds": load["seconds"],
        "peak_bytes": peak,
        "version": load["version"],
        "properties": properties,
        "stages": {
            name: stage([answer["seconds"] for answer in of_stage])
            for name, of_stage in answers.items()
        },
    }


def check_rows(name, answers, expected):
    """The prompt is Binocle's in length, or the sides are not comparable."""
    for answer in answers:
        if answer["prompt_tokens"] != expected:
            raise RuntimeError(
                f"openvino {name}: the prompt has {answer['prompt_tokens']} tokens, "
                f"expected {expected}"
            )


def versions(python):
    names = "openvino-genai openvino optimum-intel nncf transformers torch".split()
    code = f"import importlib.metadata as m; print({{n: m.version(n) for n in {names!r}}})"
    out = subprocess.run([python, "-c", code], capture_output=True, check=True, text=True).stdout
    return json.loads(out.replace("'", '"'))
