"""Shapes of answers, for the OpenAPI document. Answers are built as plain dictionaries; a test
holds them to these.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_HEX = "^[0-9a-f]*$"
_AMOUNT = "^[0-9]+$"


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CheckShape(Shape):
    name: str
    ok: bool
    detail: str
    do: str


class HealthShape(Shape):
    live: bool
    ready: bool
    checks: list[CheckShape]


class BrokerShape(Shape):
    """ca_pem: what boards check its TLS with; null beside tls: the operator must name it."""

    host: str
    port: int
    tls: bool
    ca_pem: str | None


class TimeShape(Shape):
    host: str
    port: int


class OnboardingShape(Shape):
    """this_machine_only: the gateway listens on the loopback, where no board reaches it."""

    name: str
    network_id: str = Field(pattern=_HEX)
    genesis: str = Field(pattern=_HEX)
    root_key: str = Field(pattern=_HEX)
    simulated: bool
    broker: BrokerShape
    time: TimeShape
    this_machine_only: bool
    region: str | None
    beacon_every: int | None
    admission_policy: str


class ArrivedShape(Shape):
    """An admitted message: its place in the admission log, and what became of it."""

    message_id: str = Field(pattern=_HEX)
    position: int
    recv_ms: int
    verdict: str


class RefusedShape(Shape):
    verdict: str
    recv_ms: int
    what: str
    do: str


class BoardSeenShape(Shape):
    """position: the newest of the admission log, -1 while it is empty; it goes into `after` of
    /v1/events. refused: the newest of each verdict.
    """

    device: str
    state: Literal["registered", "waiting_approval", "unknown"]
    registered_ms: int | None
    last_ms: int | None
    last_kind: str | None
    reporting_interval_ms: int | None
    readings: ArrivedShape | None
    refused: list[RefusedShape]
    position: int


class ReleaseShape(Shape):
    """A program for boards. withdrawn_ms: null while boards may have it."""

    counter: int
    version: str
    architectures: list[str]
    index_sha256: str = Field(pattern=_HEX)
    trust_serial: int
    published_ms: int
    withdrawn_ms: int | None


class ReleasesShape(Shape):
    """announced: the counter of the release that boards are told to run, null if there is none."""

    announced: int | None
    releases: list[ReleaseShape]


class AnnouncedShape(Shape):
    counter: int | None


class StatementShape(Shape):
    """A key statement, opened; `bytes` is the root-signed COSE_Sign1."""

    role: str
    kid: str
    public_key: str = Field(pattern=_HEX)
    serial: int
    not_before_ms: int
    not_after_ms: int
    bytes: str = Field(pattern=_HEX)


class NetworkShape(Shape):
    name: str
    network_id: str = Field(pattern=_HEX)
    root_key: str = Field(pattern=_HEX)
    genesis: str = Field(pattern=_HEX)
    simulated: bool
    epoch_zero_ms: int
    statements: list[StatementShape]
    protocol_time_ms: int | None
    next_epoch: int


class VerdictCountShape(Shape):
    verdict: str
    code: int
    refused: int
    what: str
    do: str


class VerdictsShape(Shape):
    verdicts: list[VerdictCountShape]


class StationShape(Shape):
    """cell: H3, resolution 7, never finer. class: of the newest closed epoch, null without one."""

    station: str
    cell: str
    class_: str | None = Field(alias="class")
    firmware: str
    registered_ms: int
    last_ms: int


class StationsShape(Shape):
    epoch: int | None
    stations: list[StationShape]
    next: str | None


class DeclaredShape(Shape):
    quantity: str
    channel: int
    unit: str
    interval_ms: int


class StationCoverageShape(Shape):
    """What the radio said of it on that day. witnesses: independent ones, by owner; hops: to the
    nearest anchor, null without a path; place: verdict on the claimed place, null without a test.
    """

    expected: int
    heard: int
    witnesses: int
    listening_hours: int
    hops: int | None
    place: str | None
    unrevealed: bool


class StationEpochShape(Shape):
    """The station's row of the newest closed epoch; coverage is null where nothing is known."""

    epoch: int
    class_: str = Field(alias="class")
    quality_ppm: int
    usefulness_ppm: int
    verifiability_ppm: int
    coverage: StationCoverageShape | None
    slot: str
    paid: str = Field(pattern=_AMOUNT)
    held: str = Field(pattern=_AMOUNT)
    reason: str
    messages: int


class StationDetailShape(Shape):
    """holes: seqs below the highest that neither came nor lie under a signed gap; the newest, if
    holes_cut.
    """

    station: str
    cell: str
    registered_ms: int
    firmware: str
    declared: list[DeclaredShape]
    messages: int
    last_ms: int
    last_kind: str
    highest_seq: int
    holes: list[tuple[int, int]]
    holes_cut: bool
    last_epoch: StationEpochShape | None


class ReadingShape(Shape):
    """value: decimal text, as finely as the board sent it; null beside a sensor fault."""

    time_ms: int
    quantity: str
    channel: int
    unit: str
    value: str | None
    fault: int | None
    message_id: str
    recv_ms: int
    post_release: bool


class ReadingsShape(Shape):
    station: str
    from_ms: int
    to_ms: int
    released_to_ms: int
    readings: list[ReadingShape]
    next: str | None


class SenmlRecordShape(BaseModel):
    """RFC 8428. Numbers are decimal text of any length: parse them as decimals."""

    bn: str | None = None
    bver: int | None = None
    n: str
    u: str | None = None
    v: float | None = None
    vs: str | None = None
    t: float
    post_release: bool | None = None


class EpochSummaryShape(Shape):
    epoch: int
    day: str
    stations: int
    messages: int
    pool: str = Field(pattern=_AMOUNT)
    offered: str = Field(pattern=_AMOUNT)
    paid: str = Field(pattern=_AMOUNT)
    carry_before: str = Field(pattern=_AMOUNT)
    carry: str = Field(pattern=_AMOUNT)
    message_root: str = Field(pattern=_HEX)
    root: str = Field(pattern=_HEX)


class EpochsShape(Shape):
    """Newest first."""

    epochs: list[EpochSummaryShape]
    next: int | None


class EpochShape(Shape):
    """What `cairn epoch show --json` prints, its stations page by page."""

    epoch: int
    manifest_hash: str = Field(pattern=_HEX)
    manifest: dict[str, Any]
    attestation: str = Field(pattern=_HEX)
    stations: list[dict[str, Any]]
    next: str | None


class EpochCoverageShape(Shape):
    """What the radio said of each station: see spec/coverage.md. Levels are in cdB; `links` are
    those in which the station is the beaconer, their `distance_m` is of scoring cells.
    """

    epoch: int
    manifest_hash: str = Field(pattern=_HEX)
    stations: list[dict[str, Any]]
    co_located: list[tuple[str, str]]
    next: str | None


class ExplanationShape(BaseModel):
    """What `cairn explain --json` prints."""

    epoch: int
    station: str
    outcome: dict[str, Any]
    pay: dict[str, Any] | None
    slot: dict[str, Any]
    usefulness: dict[str, Any]
    verifiability: dict[str, Any]
    quality: dict[str, Any]
    findings: list[dict[str, Any]]
    inputs: dict[str, Any]
    place: dict[str, Any]


class ClaimShape(Shape):
    """What `cairn claim proof --json` prints."""

    format: str
    epoch: int
    owner: str
    amount: str = Field(pattern=_AMOUNT)
    proof: list[str]
    root: str
    manifest: str


class EventShape(Shape):
    """One judged message; position is null, and there is no event id, if it was refused."""

    position: int | None
    device: str | None
    message_id: str | None
    kind: str | None
    verdict: str
    recv_ms: int


class SampleShape(Shape):
    """data: null until nobody can make use of it any more, if it may tell of radio contacts."""

    recv_ms: int
    device: str | None
    data: str | None = Field(pattern=_HEX)


class SamplesShape(Shape):
    verdict: str
    samples: list[SampleShape]


class LoggedShape(Shape):
    """The operator event is in the log; serial is its number there."""

    serial: int
    time_ms: int


class FlashImageShape(Shape):
    """An official MicroPython image; version is empty if it does not say."""

    name: str
    bytes: int
    sha256: str = Field(pattern=_HEX)
    chip: str
    version: str


class FlashImagesShape(Shape):
    images: list[FlashImageShape]
