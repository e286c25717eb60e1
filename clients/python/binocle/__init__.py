"""Binocle: questions about pictures.

import binocle
with binocle.Client("127.0.0.1:50051") as client:
    print(client.ask("What is in the top left?", images=["scene.png"]).answer)
"""

from ._async_client import AsyncClient, AsyncStream
from ._call import Retry
from ._client import Client, Stream
from ._connection import Tls
from ._errors import (
    Cancelled,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from ._explanation import ExplainResponse
from ._options import (
    AskOptions,
    ExplainOptions,
    FaithfulnessOptions,
    Guidance,
    Image,
    Interventions,
    Layers,
    Message,
    Modulate,
    Pai,
    UploadImageResponse,
    Var,
    Vcd,
)
from ._results import (
    Answer,
    AskResponse,
    Embedding,
    EmbedResponse,
    GenerateDelta,
    GetServerInfoResponse,
    Model,
    ModelSummary,
    Timings,
    Usage,
)

__all__ = [
    "Answer",
    "AskOptions",
    "AskResponse",
    "AsyncClient",
    "AsyncStream",
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "EmbedResponse",
    "Embedding",
    "Error",
    "ExplainOptions",
    "ExplainResponse",
    "FailedPrecondition",
    "FaithfulnessOptions",
    "FieldViolation",
    "GenerateDelta",
    "GetServerInfoResponse",
    "Guidance",
    "Image",
    "Interventions",
    "InvalidArgument",
    "Layers",
    "Message",
    "Model",
    "ModelSummary",
    "Modulate",
    "NotFound",
    "Pai",
    "PermissionDenied",
    "ResourceExhausted",
    "Retry",
    "Stream",
    "Timings",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UploadImageResponse",
    "Usage",
    "Var",
    "Vcd",
]
