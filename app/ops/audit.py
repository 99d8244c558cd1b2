"""Who did what, why, and to how many."""

from flask import Response, url_for

from adapters import audit
from adapters.inbox import Filter
from app.office import office
from app.ops import filters
from app.ops.entrance import console
from app.ops.filters import in_words
from app.ops.frame import page

blueprint = console("ops_audit", __name__)
PAGE = 100


@blueprint.get("/audit")
def listed() -> Response:
    with office().db.connect() as db:
        found = audit.listed(db, PAGE + 1, filters.cursor("before"))
    shown = found[:PAGE]
    rows = [row | {"words": in_words(Filter.read(row["chosen"])) if row["chosen"] else None} for row in shown]
    older = url_for("ops_audit.listed", before=shown[-1]["id"]) if len(found) > PAGE else None
    return page("audit.html", title="Audit", tab="audit", rows=rows, older=older)
