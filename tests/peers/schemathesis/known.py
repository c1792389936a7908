"""Puts what there is on a node in the place of what schemathesis makes up: ids, codes, keys, and what fits them.

The environment's KNOWN names a file of JSON. By the id of an operation it has what each of its calls gets: "path",
"query", "headers" (null: none of that name) and "body". What is not named stays as it was made up.
"""

import json
import os

import schemathesis

with open(os.environ["KNOWN"], encoding="utf-8") as file:
    KNOWN = json.load(file)


@schemathesis.hook
def before_call(context, case, kwargs):
    known = KNOWN.get(case.operation.definition.raw["operationId"], {})
    if "path" in known:
        case.path_parameters = known["path"]
    if "query" in known:
        case.query = known["query"]
    if "body" in known:
        case.body = known["body"]
    for name, value in known.get("headers", {}).items():
        case.headers.pop(name, None)
        if value is not None:
            case.headers[name] = value
