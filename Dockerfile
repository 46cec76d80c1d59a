# Two images. The product: `docker build -t owdd .` (the last stage, "runtime"). Sandbox, simulator and verify, for trying it
# out: `docker build --target testkit -t owdd-testkit .`. tests/stack lints this file and runs its steps.
# One base for all stages, by its exact version; `make digests` pins it, and the images of the Compose file, by digest.
ARG PYTHON_IMAGE=python:3.12.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv tools && python -m venv --without-pip /opt/owdd
# Wheels only, so that no compiler is needed; exactly those that the tests ran with, by hash.
COPY requirements/build.lock requirements/run.lock requirements/
RUN tools/bin/pip install --require-hashes --only-binary=:all: -r requirements/build.lock \
    && tools/bin/pip --python /opt/owdd install --require-hashes --only-binary=:all: -r requirements/run.lock
# Last, because it changes most. The probe gets a path that does not depend on Python's version.
COPY pyproject.toml README.md ./
COPY streams/ streams/
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && tools/bin/pip --python /opt/owdd install --no-deps --no-index dist/*.whl \
    && install --mode 0444 streams/observability/probe.py /opt/owdd/probe.py

FROM build AS build-testkit
COPY requirements/testkit.lock requirements/
RUN tools/bin/pip --python /opt/owdd install --require-hashes --only-binary=:all: -r requirements/testkit.lock
COPY testkit/ testkit/
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist ./testkit \
    && tools/bin/pip --python /opt/owdd install --no-deps --no-index dist/owdd_testkit-*.whl

FROM ${PYTHON_IMAGE} AS base
# The image of Python ships its library without bytecode, and containers may write none: each start, each health check
# included, would compile what it imports.
RUN python -m compileall -q --invalidation-mode unchecked-hash -x '/(test|tests|idlelib|lib2to3|site-packages)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin owdd \
    && install --directory --owner owdd --group owdd --mode 0750 /var/lib/owdd
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
# Exec form: owdd is process 1 and gets SIGTERM itself; a worker stops within five seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["owdd"]

FROM base AS testkit
LABEL org.opencontainers.image.title="owdd-testkit" \
    org.opencontainers.image.description="Sandbox, simulator and oracle for owdd; not for production"
COPY --from=build-testkit /opt/owdd /opt/owdd
CMD ["--help"]

FROM base AS runtime
LABEL org.opencontainers.image.title="owdd" \
    org.opencontainers.image.description="Orderwise to Dotdigital, change by change"
COPY --from=build /opt/owdd /opt/owdd
EXPOSE 9108
# Alive, not ready: a worker that recovers a large state is not ready for minutes, and must not be killed for it.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=6 \
    CMD ["python", "-I", "-S", "/opt/owdd/probe.py", "http://127.0.0.1:9108/health/live"]
CMD ["run"]
