FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/venv
COPY requirements/runtime.lock requirements/
RUN /opt/venv/bin/pip install --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY kernels kernels
COPY stream stream
COPY streaming_allocator streaming_allocator
COPY load load
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation .
# The kernels are compiled into the image, for any processor: a worker then starts warm.
ENV NUMBA_CACHE_DIR=/opt/numba-cache NUMBA_CPU_NAME=generic
WORKDIR /
RUN /opt/venv/bin/python -m kernels && /opt/venv/bin/python -m stream.shell.worker.rehearsal

FROM python:3.12-slim-bookworm
RUN groupadd --gid 10001 allocator \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin allocator \
 && install -d -o allocator -g allocator /var/lib/allocator
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=10001:10001 /opt/numba-cache /opt/numba-cache
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/opt/numba-cache NUMBA_CPU_NAME=generic \
    ALLOCATOR_DATA_DIR=/var/lib/allocator ALLOCATOR_WEB_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/allocator
EXPOSE 6066
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:6066/livez', timeout=2)"]
ENTRYPOINT ["allocator"]
CMD ["worker"]
