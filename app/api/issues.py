"""What is wrong with records, one by one and by code."""

import orjson
from flask import Response, g

from adapters import issue_log
from app import lookup
from app.api.answers import as_json
from app.api.described import Asked, described
from app.api.entrance import blueprint, feed_called, the_shop
from app.office import office
from schemas import api, api_questions

PAGE = 100


@blueprint.get("/issues")
@described(asks=api_questions.IssuesQuestion, answers=api.Issues, fails=(404,))
def issues(asked: Asked) -> Response:
    """List the open issues of a feed."""
    feed, shop = feed_called(asked.pop("feed")), the_shop()
    with office().db.begin() as db:
        if feed == "customers" and "q" in asked:  # their names and addresses are sealed: only a lookup finds them
            people = lookup.look_up(db, office().vault, shop.domain, feed, asked["q"], shop.rule.tag)
            lookup.note_lookup(shop.domain, feed, g.user, people)
            asked["records"] = [result["id"] for result in people["results"]]
        found = issue_log.listed(db, shop.domain, feed, most=PAGE + 1, **asked)
    page = found[:PAGE]
    last = [page[-1][name] for name in ("resource_id", "code", "path")] if len(found) > PAGE else None
    return as_json({"feed": feed, "issues": page, "next": orjson.dumps(last).decode() if last else None})


@blueprint.get("/issues/groups")
@described(asks=api_questions.FeedQuestion, answers=api.IssueGroups, fails=(404,))
def issue_groups(asked: Asked) -> Response:
    """Count the open issues of a feed by code."""
    feed = feed_called(asked["feed"])
    with office().db.begin() as db:
        return as_json({"feed": feed, "groups": issue_log.groups(db, the_shop().domain, feed)})
