# The image of every part of owdd: `docker build -t owdd .`
# tests/stack lints this file and runs its steps.
FROM python:3.12.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv tools && python -m venv --without-pip /opt/owdd
# Wheels only, so that no compiler is needed; exactly those that the tests ran with, by hash.
COPY requirements/build.lock requirements/run.lock requirements/
RUN tools/bin/pip install --require-hashes --only-binary=:all: -r requirements/build.lock \
    && tools/bin/pip --python /opt/owdd install --require-hashes --only-binary=:all: -r requirements/run.lock
# Last, because it changes most.
COPY pyproject.toml README.md ./
COPY streams/ streams/
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && tools/bin/pip --python /opt/owdd install --no-deps --no-index dist/*.whl

FROM python:3.12.13-slim-bookworm
LABEL org.opencontainers.image.title="owdd" \
    org.opencontainers.image.description="Orderwise to Dotdigital, change by change"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin owdd \
    && install --directory --owner owdd --group owdd --mode 0750 /var/lib/owdd
COPY --from=build /opt/owdd /opt/owdd
# The root file system may be read-only: state is written to OWDD_DATA_DIR, where a volume belongs, and nothing anywhere else.
ENV PATH=/opt/owdd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OWDD_DATA_DIR=/var/lib/owdd \
    OWDD_METRICS_HOST=0.0.0.0 \
    OWDD_METRICS_PORT=9108 \
    OWDD_LOG_JSON=true
USER 10001:10001
WORKDIR /var/lib/owdd
EXPOSE 9108
# Alive, not ready: a worker that recovers a large state is not ready for minutes, and must not be killed for it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-m", "streams.observability.probe", "http://127.0.0.1:9108/health/live"]
# Exec form: owdd is process 1 and gets SIGTERM itself; a worker stops within five seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["owdd"]
CMD ["run"]
