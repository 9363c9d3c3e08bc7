"""The built-in stages, one file each, and the order they stand in.

Request hooks run down this list, response hooks back up it, and an answer passes the response hooks of the stages
entered so far: what every answer must bear stands high, what only the origin and the cache need stands low.
"""

ORDER: list[tuple[str, str]] = [
    ("request_id", "first: every answer and every log line, refusals too, bears an id"),
    ("client_address", "before all that asks who the client is; forged X-Forwarded-* is gone before anything reads it"),
    ("geo", "a look-up by address that rules, limits, scores, keys and the origin may go by"),
    (
        "error_pages",
        "only answers: this high, so that whatever a stage below refuses or fails in can have a page",
    ),
    ("security_headers", "only answers: this high, so that refusals and redirects bear them too (HSTS needs it there)"),
    (
        "images",
        "before all that judges a URL: a variant is asked for by its picture's own, whose rules hold for it",
    ),
    ("reputation", "who is known for attacks costs one look-up, and learns nothing further"),
    ("access_rules", "who may not come in learns nothing further, not even from a preflight"),
    (
        "cors",
        "answers preflights, which bear no credentials, and marks all below: scripts may read a 401, 429 or redirect",
    ),
    ("static", "a site that is closed sends nobody on, and what it has to say costs nothing that is counted below"),
    (
        "redirects",
        "settled by the URL alone; before limits and tokens, which count and cost at the place redirected to",
    ),
    ("client_certificate", "the handshake has verified it already; who is known by it need not be scored"),
    ("web_bot_auth", "before bot_check, which takes the word of an agent that proved its name"),
    ("predict", "before bot_check, whose score takes in what a model says of a request's head"),
    ("bot_check", "its verdict costs a look-up, so a denied bot reaches neither a signature check nor a limiter's key"),
    ("flood", "sees what bot_check made of a request; what it finds raises the bar for all stages below"),
    ("challenge", "carries out what the scores above call for; before credentials, which guessing floods would try"),
    ("signed_url", "an HMAC over the URL: the cheapest proof first"),
    ("api_key", "a digest and a look-up"),
    ("basic_auth", "its slow hashes run on threads, and what passed is remembered"),
    ("jwt", "before rate_limit, whose keys may be claims; it bounds failed signature checks per client itself"),
    ("forward_auth", "a call to another service: after all that can refuse without one"),
    ("rate_limit", "counts what was let in so far; before any work for the cache or the origin"),
    ("concurrency_limit", "takes a place only for what is otherwise let in"),
    (
        "split",
        "may go by all that says who somebody is; headers, cache and origin follow what it decides",
    ),
    ("sticky", "its cookie is for the pool alone: gone before cache, origin and copies of the request could see it"),
    ("headers", "edits what the cache and the origin get, after the checks have judged what the client sent"),
    (
        "decompression",
        "unpacks what was let in, for origins that cannot; what it refuses has cost no other stage's work",
    ),
    ("minify", "before compression, which takes what it leaves"),
    (
        "compression",
        "next to the cache: what is kept is compressed once, on its way in; the rest first of all on its way out",
    ),
    ("prefetch", "only looks, once an answer is out; beside the cache, which it fills"),
    ("inference", "answers what no cache keeps; before the cache, which would take its POSTs for changes"),
    (
        "mirror",
        "copies what all others have let in; its fetch is the last, since it asks the origin itself",
    ),
    ("cache", "a hit is an answer, so all that decides, limits or edits a request has run by then"),
    ("early_hints", "behind the cache: whatever comes here waits for the origin, and hits pay nothing for it"),
]
