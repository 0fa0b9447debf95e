# One image, three roles: the command decides. Everything is installed from the locked, hashed list.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/closed-loop
COPY requirements/oidc.txt requirements/build.txt requirements/
RUN /opt/closed-loop/bin/pip install --require-hashes -r requirements/oidc.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY services services
COPY shared shared
COPY migrations migrations
RUN PATH=/opt/build/bin:$PATH /opt/build/bin/pip wheel --no-deps --no-build-isolation -w /wheel . \
 && /opt/closed-loop/bin/pip install --no-deps /wheel/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home closed-loop
COPY --from=build /opt/closed-loop /opt/closed-loop
ENV PATH=/opt/closed-loop/bin:$PATH PYTHONUNBUFFERED=1 CLOSED_LOOP_HOST=0.0.0.0
USER closed-loop
WORKDIR /data
EXPOSE 8000
# Ready means: migrated, database and bus reachable; degraded still serves.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=12 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('CLOSED_LOOP_PORT', '8000') + '/readyz', timeout=2)"]
ENTRYPOINT ["closed-loop"]
CMD ["serve"]
