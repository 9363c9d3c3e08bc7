"""``edgeproxy purge``: have a running node forget stored answers, or mark them stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeproxy.commands.admin import admin_option, post, token_option


@click.command(
    epilog="""\b
Examples:
  edgeproxy purge https://www.example.com/index.html
  edgeproxy purge --tag product-17 --tag product-18 --soft
  edgeproxy purge --prefix https://www.example.com/blog/
  edgeproxy purge --host www.example.com
  edgeproxy purge --all --soft
  edgeproxy purge --admin unix:/run/edgeproxy/admin.sock http://www.example.com/

\b
A URL is purged in every variant (encodings, languages, devices). A tag is what the origin
wrote in Surrogate-Key or Cache-Tag. It reaches all workers, the disk and, where cache.redis
is configured, all other nodes; what is being fetched meanwhile is not stored.

--soft marks stale instead of forgetting: the next request revalidates, and the old answer
still stands in while that lasts (stale-while-revalidate) or the origin is down."""
)
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option("--prefix", "prefixes", multiple=True, metavar="URL", help="All URLs that begin so; repeatable.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="All of a host, on any port; repeatable.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="All answers with this tag; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--soft", is_flag=True, help="Mark stale instead of forgetting.")
@admin_option
@token_option
def purge(
    urls: tuple[str, ...],
    prefixes: tuple[str, ...],
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    everything: bool,
    soft: bool,
    admin: str,
    token_file: Path | None,
) -> None:
    """Have a running node forget stored answers: by URL, prefix, host or tag, or all of them."""
    groups = {"url": urls, "prefix": prefixes, "host": hosts, "tag": tags}
    purges: list[dict[str, Any]] = [{kind: value} for kind, values in groups.items() for value in values]
    if everything:
        purges.append({"all": True})
    if not purges:
        raise click.UsageError("say what to purge: a URL, --prefix, --host, --tag or --all")
    answer = post(admin, "/purge", {"purges": [{**one, "soft": soft} for one in purges]}, token_file)
    count = answer["purged"]
    for one in purges:
        ((kind, value),) = one.items()
        click.echo(f"{'marked stale' if soft else 'purged'}: {'everything' if kind == 'all' else f'{kind} {value}'}")
    click.echo(f"{count} stored answer{'s' * (count != 1)} found")
