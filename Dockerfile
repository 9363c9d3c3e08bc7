# edgeproxy as a container: no root, no shell needed, nothing written outside /tmp.
#   docker build -t edgeproxy .
#   docker run --read-only --tmpfs /tmp -p 8080:8080 -e EDGEPROXY_ORIGIN=http://site.internal:8000 edgeproxy

FROM python:3.11-slim-bookworm AS build
WORKDIR /src

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# The dependencies first: this layer stays until a lock changes.
COPY requirements/ requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock
RUN python -m venv /opt/edgeproxy \
    && /opt/edgeproxy/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock

COPY pyproject.toml README.md LICENSE ./
COPY config/ config/
COPY middleware/ middleware/
COPY models/ models/
COPY edgeproxy/ edgeproxy/
COPY scripts/compile scripts/
# The modules in a request's path become machine code. pip compiles the others to bytecode: nothing can be written later.
# Then pip goes itself; nothing is installed later either.
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel \
    && /opt/edgeproxy/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheel/edgeproxy-*.whl \
    && /opt/build/bin/python scripts/compile /opt/edgeproxy/bin/python \
    && /opt/edgeproxy/bin/pip uninstall --yes --quiet setuptools pip


FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 edgeproxy \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin edgeproxy \
    && install -d -o 10001 -g 10001 -m 0700 /var/cache/edgeproxy /var/lib/edgeproxy /var/lib/edgeproxy/acme
COPY --from=build /opt/edgeproxy /opt/edgeproxy

ENV PATH=/opt/edgeproxy/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    EDGEPROXY_LISTEN=0.0.0.0:8080

USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM

# The admin listener stays on the container's own loopback: it has no password.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9900/readyz', timeout=2)"]

ENTRYPOINT ["edgeproxy"]
CMD ["run"]
