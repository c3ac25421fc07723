"""The forms of a submission's two texts: what stands in `method.yaml` (`About`) and `manifest.json` (`Manifest`)."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from ... import UserError, files
from ...texts import a_name
from ..cases import CELL, Setting
from ..method import SIGHTS
from ..worlds.world import TESTS

FORM = "persona-submission 1"
Form = TypeVar("Form", bound=BaseModel)
Name = Annotated[str, AfterValidator(a_name)]
Size = Annotated[int, Field(ge=0, le=1_000_000)]


class About(BaseModel):
    """What stands in `method.yaml`: `name`, `sees`, `ks`, `draws`, `seed`, `cell` and the world are needed to check.

    `commit`: of the method's code. `parameters`: how many numbers it trained. `calls`, `tokens`, `cost_usd`: what it
    asked of a model. `hardware` and `contamination`: free text; the second says what the method, or a model in it, may
    have met of the world before.
    """

    model_config = ConfigDict(extra="forbid")

    name: Name
    sees: list[str]
    ks: Annotated[list[Size], Field(min_length=1, max_length=50)]
    draws: Annotated[int, Field(ge=1, le=100)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
    cell: Literal[TESTS] = CELL  # type: ignore[valid-type]
    world: Name
    world_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    commit: str | None = None
    parameters: Annotated[int, Field(ge=0)] | None = None
    calls: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None
    cost_usd: Annotated[float, Field(ge=0)] | None = None
    hardware: str = ""
    contamination: str = ""

    @field_validator("sees")
    @classmethod
    def _known(cls, sees: list[str]) -> list[str]:
        if odd := [sight for sight in sees if sight not in SIGHTS]:
            raise ValueError(f"{odd[0]!r} is none of {', '.join(SIGHTS)}")
        return sees

    @field_validator("ks")
    @classmethod
    def _sorted(cls, ks: list[int]) -> list[int]:
        return sorted(set(ks))

    @property
    def setting(self) -> Setting:
        """Return the setting of the trial that this describes."""
        return Setting(tuple(self.ks), self.draws, self.cell, self.seed)


class Row(BaseModel):
    """What `manifest.json` says of the scores at one k; more may stand there."""

    model_config = ConfigDict(extra="allow")

    k: int
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    brier: float | None = None


class Manifest(BaseModel):
    """What stands in `manifest.json`; what else stands there is left out."""

    format: Literal[FORM]  # type: ignore[valid-type]
    created: AwareDatetime
    package: str
    commit: str | None = None
    files: dict[str, str]
    world: dict[str, str]
    labels: str | None = None
    scores: list[Row] = []


def valid(form: type[Form], path: Path, content: Any) -> Form:
    """Return a file's content, if it has this form.

    Raises:
        UserError: it has not; one line says where.
    """
    try:
        return form.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {files.first_error(error, 'it')}; docs/submissions.md has its fields") from error
