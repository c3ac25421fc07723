"""Ask one request again whose reply is kept as no answer."""

import json

from .. import UserError
from .cluster.shards import each
from .model import Model
from .replies import schemas
from .replies.reply import Reply

STEP = "asking again"


def again(model: Model, key: str) -> Reply:
    """Ask once more what a model's store keeps under a key as no answer; what comes now replaces it.

    The reply is not validated: the step that asks for it does so when it runs again.

    Args:
        model: the one that was asked.
        key: as tables carry it (`Reply.key`).

    Raises:
        UserError: another model was asked, or as in `Store.forget` and `Model.ask`.
    """
    asked = model._asked
    kept = model.store.get(key)
    request = json.loads(kept.request) if kept else {}
    if "schema" in request:
        request["schema"] = schemas.in_order(request["schema"])
    if kept and request["model"] != dict(asked.who):
        raise UserError(f"{model.name} was not asked what is kept under {key[:16]}: take the model that was")
    model.store.forget(key)
    return each(asked, STEP, [request], model._count(STEP), lambda session, one: session.again(one))[0]
