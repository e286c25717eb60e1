"""What an answer looked at. How to read it: docs/explain.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._mirror import Mirror
from ._options import Layers
from ._results import AskResponse


@dataclass(frozen=True)
class PatchMap(Mirror):
    """Weight per patch, row-major, rows × cols of the ExplainResponse."""

    weights: Sequence[float]


@dataclass(frozen=True)
class AttentionMap(Mirror):
    """Where some rows looked, per picture."""

    patches: Sequence[PatchMap]
    visual_mass: float


@dataclass(frozen=True)
class DeletionCurve(Mirror):
    share: Sequence[float]
    probability: Sequence[float]
    area: float


@dataclass(frozen=True)
class FaithfulnessCurves(Mirror):
    """Three orders of covering, compared."""

    by_map: DeletionCurve
    by_drop: DeletionCurve
    random: DeletionCurve
    advantage: float | None = None


@dataclass(frozen=True)
class Faithfulness(Mirror):
    """How well a map tells which parts of one picture the answer depends on."""

    pearson: float | None = None
    spearman: float | None = None
    curves: FaithfulnessCurves | None = None


@dataclass(frozen=True)
class ExplainedWord(Mirror):
    """A word of the answer: bytes `begin` to `end`, tokens `first_token` to `end_token`."""

    text: str
    begin: int
    end: int
    first_token: int
    end_token: int
    map: AttentionMap
    grounding: float
    faithfulness: Sequence[Faithfulness]


@dataclass(frozen=True)
class ExplainedToken(Mirror):
    id: int
    text: str
    visual_mass: float
    grounding: float


@dataclass(frozen=True)
class ExplainedSink(Mirror):
    """A token of the prompt that a detector takes for a sink in some layer."""

    position: int
    text: str
    cosine: float
    massive: bool
    aligned: bool
    image: int | None = None
    row: int | None = None
    col: int | None = None
    phi: float | None = None
    mass: float | None = None


@dataclass(frozen=True)
class SinkLayer(Mirror):
    layer: int
    sinks: Sequence[ExplainedSink]
    first_token_norm: float
    agreement: float | None = None


@dataclass(frozen=True)
class SinkReport(Mirror):
    dims: Sequence[int]
    tau: float
    cosine: float
    layers: Sequence[SinkLayer]


@dataclass(frozen=True)
class HeadStatistics(Mirror):
    visual_mass: float
    image_centric: bool
    non_sink_ratio: float | None = None


@dataclass(frozen=True)
class HeadReport(Mirror):
    """`statistics` is layers × heads, a layer's heads together."""

    layers: int
    heads: int
    mass: float
    rho: float
    statistics: Sequence[HeadStatistics]


@dataclass(frozen=True)
class SeenPicture(Mirror):
    """A picture as the patches cover it; `rgb` has 3 × width × height bytes."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True)
class ExplainResponse(Mirror):
    response: AskResponse
    layers: Layers
    heads: Sequence[int]
    rows: int
    cols: int
    seen: Sequence[SeenPicture]
    tokens: Sequence[ExplainedToken]
    words: Sequence[ExplainedWord]
    map: AttentionMap
    faithfulness: Sequence[Faithfulness]
    block: int
    sinks: SinkReport
    head_report: HeadReport
