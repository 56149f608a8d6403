# syntax=docker/dockerfile:1
# transgan in a container, for a CPU or, with --build-arg DEVICE=cu130, for GPUs of NVIDIA:
#
#   docker build -t transgan .                                   EXTRAS=[trackers] adds what pyproject.toml names
#   docker run --rm -v "$PWD/photos:/data:ro" -v runs:/work/runs transgan train /data name=cats minutes=60
#
# Tried: hadolint; and by hand, outside a container, with Python 3.11: the wheel built from what .dockerignore leaves and
# installed with [trackers] into an empty environment, where a user that is not root and has no home folder trained,
# continued and sampled a run. Not tried, for want of a Docker daemon: `docker build` itself, the tag of the base image,
# the wheels of DEVICE (torch came from PyPI), a GPU.
# There is no compiler inside, which compile=inductor needs.
ARG PYTHON=3.12.12

FROM python:${PYTHON}-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY transgan transgan
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim-bookworm
ARG DEVICE=cpu
ARG EXTRAS=
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --extra-index-url "https://download.pytorch.org/whl/${DEVICE}" "$(echo /wheels/transgan-*.whl)${EXTRAS}"

# Any other user may be given with --user, such as the owner of a folder that is mounted.
RUN useradd --uid 1000 --create-home transgan \
    && mkdir --parents /work/runs /cache \
    && chmod 1777 /work /work/runs /cache
WORKDIR /work
ENV TRANSGAN_CACHE=/cache MPLCONFIGDIR=/cache/matplotlib TRACKIO_DIR=/work/runs/trackio PYTHONUNBUFFERED=1
VOLUME ["/work/runs", "/cache"]
USER 1000
ENTRYPOINT ["transgan"]
CMD ["--help"]
