"""The built-in stages, one file each, and the order they stand in.

Request hooks run down this list, response hooks back up it, and an answer passes the response hooks of the stages
entered so far: what every answer must bear stands high, what only the origin and the cache need stands low.
"""

ORDER: list[tuple[str, str]] = [
    ("request_id", "first: every answer and every log line, refusals too, bears an id"),
    ("client_address", "before all that asks who the client is; forged X-Forwarded-* is gone before anything reads it"),
    ("security_headers", "only answers: this high, so that refusals and redirects bear them too (HSTS needs it there)"),
    ("access_rules", "who may not come in learns nothing further, not even from a preflight"),
    (
        "cors",
        "answers preflights, which bear no credentials, and marks all below: scripts may read a 401, 429 or redirect",
    ),
    (
        "redirects",
        "settled by the URL alone; before limits and tokens, which count and cost at the place redirected to",
    ),
    ("bot_check", "its verdict costs a look-up, so a denied bot reaches neither a signature check nor a limiter's key"),
    ("jwt", "before rate_limit, whose keys may be claims; it bounds failed signature checks per client itself"),
    ("rate_limit", "counts what was let in so far; before any work for the cache or the origin"),
    ("headers", "edits what the cache and the origin get, after the checks have judged what the client sent"),
    (
        "compression",
        "next to the cache: what is kept is compressed once, on its way in; the rest first of all on its way out",
    ),
    ("prefetch", "only looks, once an answer is out; beside the cache, which it fills"),
    ("cache", "last: a hit is an answer, so all that decides, limits or edits a request has run by then"),
]
