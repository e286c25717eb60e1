"""The options of docs/interventions.md as Python values: parsed from the texts that the C++ program
takes ("p=0.6,rho=0.5"), with every default filled in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from common import read_json

PUBLISHED_TAU = 20.0
Layers = tuple[int, int]  # first and last, both inclusive


def parse_layers(text: str) -> Layers:
    first, last = text.split("-")
    return int(first), int(last)


def parse_dims(text: str) -> tuple[int, ...]:
    return tuple(int(d) for d in text.split("+"))


READERS = {"layers": parse_layers, "dims": parse_dims, "steps": int}
WORDS = {
    "compat": ("paper", "release"),
    "heads": ("uniform", "calibrated"),
    "start": ("prefill", "decode"),
}


class Parsed:
    """A dataclass that reads "key=value,key=value"; keys that are not named keep their default."""

    @classmethod
    def parse(cls, text: str) -> Self:
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for item in filter(None, text.split(",")):
            key, _, value = item.partition("=")
            if key not in known or key in values:
                raise ValueError(f"{item}: the keys of {cls.__name__} are {sorted(known)}, once")
            if key in WORDS and value not in WORDS[key]:
                raise ValueError(f"{item}: {key} is one of {WORDS[key]}")
            values[key] = value if key in WORDS else READERS.get(key, float)(value)
        return cls(**values)


@dataclass(frozen=True)
class Var(Parsed):
    p: float = 0.6
    rho: float = 0.5
    tau: float | None = None
    mass: float = 0.2
    layers: Layers | None = None
    dims: tuple[int, ...] | None = None
    compat: str = "paper"

    def filled(self, layer_count: int, folder: Path) -> Var:
        """Paper: layers 2 to L-2. Release: 2 to L-1, for its test of the last layer never fires."""
        last = layer_count - (1 if self.compat == "release" else 2)
        saved = {"dims": self.dims} if self.dims else saved_sinks(folder)
        return replace(
            self,
            tau=saved.get("tau", PUBLISHED_TAU) if self.tau is None else self.tau,
            layers=checked_layers(self.layers or (2, last), layer_count),
            dims=tuple(saved["dims"]),
        )


@dataclass(frozen=True)
class Modulate(Parsed):
    alpha: float = 0.7
    beta: float = 0.4
    local: float = 0.25
    spatial: float = 0.0
    layers: Layers | None = None
    heads: str = "uniform"
    start: str = "prefill"

    def filled(self, layer_count: int) -> Modulate:
        layers = checked_layers(self.layers or (2, layer_count - 1), layer_count)
        return replace(self, layers=layers)


@dataclass(frozen=True)
class Pai(Parsed):
    alpha: float = 0.2
    layers: Layers | None = None
    start: str = "prefill"

    def filled(self, layer_count: int) -> Pai:
        layers = checked_layers(self.layers or (2, layer_count - 1), layer_count)
        return replace(self, layers=layers)


@dataclass(frozen=True)
class Guidance(Parsed):
    gamma: float = 1.1
    cut: float = 0.1


@dataclass(frozen=True)
class Vcd(Parsed):
    alpha: float = 1.0
    beta: float = 0.1
    steps: int = 500


KINDS = {"var": Var, "modulate": Modulate, "pai": Pai, "guidance": Guidance, "vcd": Vcd}


@dataclass(frozen=True)
class Interventions:
    var: Var | None = None
    modulate: Modulate | None = None
    pai: Pai | None = None
    guidance: Guidance | None = None
    vcd: Vcd | None = None
    seed: int = 0

    @classmethod
    def parse(cls, texts: dict[str, str | None], seed: int = 0) -> Interventions:
        """texts: option name -> its text, or None where the option is off."""
        given = {k: KINDS[k].parse(text) for k, text in texts.items() if text is not None}
        if "modulate" in given and "pai" in given:
            raise ValueError("--modulate and --pai do not go together")
        if "guidance" in given and "vcd" in given:
            raise ValueError("--guidance and --vcd do not go together")
        return cls(**given, seed=seed)

    def filled(self, layer_count: int, folder: Path) -> Interventions:
        return replace(
            self,
            var=self.var and self.var.filled(layer_count, folder),
            modulate=self.modulate and self.modulate.filled(layer_count),
            pai=self.pai and self.pai.filled(layer_count),
        )

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if v is not None}


def checked_layers(layers: Layers, layer_count: int) -> Layers:
    if not 0 <= layers[0] <= layers[1] < layer_count:
        raise ValueError(f"layers {layers[0]}-{layers[1]}: the model has layers 0 to {layer_count}")
    return layers


def saved_sinks(folder: Path) -> dict[str, Any]:
    """sink_dims.json beside the model: "dims" and the "tau" that goes with them. The table of
    public models is the program's own affair."""
    path = folder / "sink_dims.json"
    if not path.exists():
        raise ValueError(f"{path} is missing and --var names no dims")
    return read_json(path)


def saved_head_factors(folder: Path) -> list[list[float]]:
    """head_sensitivity.json beside the model, as one row a layer, one factor a query head."""
    saved = read_json(folder / "head_sensitivity.json")
    heads = saved["heads"]
    return [saved["factors"][at : at + heads] for at in range(0, len(saved["factors"]), heads)]
