# syntax=docker/dockerfile:1
# The proxy alone. Two stages, so that pip's and the compilers' leavings stay behind.

FROM python:3.11-slim AS build
# An index that has the CPU-only build of torch; without it, PyPI's build for Linux brings some GB of CUDA along.
ARG TORCH_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/gearbox
WORKDIR /src
# torch first: it changes least, and is most of the image.
COPY constraints.txt ./
RUN if [ -n "$TORCH_INDEX_URL" ]; then index="--index-url $TORCH_INDEX_URL"; fi; \
    /opt/gearbox/bin/pip install --no-deps $index -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY router router
COPY cascade cascade
COPY storage storage
COPY app app
RUN /opt/gearbox/bin/pip install -c constraints.txt .

FROM python:3.11-slim
# libgomp is what torch, FAISS and scikit-learn run their threads with.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home gearbox
COPY --from=build /opt/gearbox /opt/gearbox
ENV PATH="/opt/gearbox/bin:$PATH" PYTHONUNBUFFERED=1 GEARBOX_LOG_FORMAT=json
# gearbox.yaml, where there is one, and gearbox.db are here: both are looked for in the working directory.
WORKDIR /data
VOLUME /data
USER gearbox
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
# Inside a container 0.0.0.0 is the only address that reaches anyone. Without `keys:` in gearbox.yaml this refuses to
# start: give it keys, or add --open-to-anyone where only you can reach the published port, as docker-compose.yml does.
CMD ["gearbox", "serve", "--host", "0.0.0.0", "--port", "8000"]
