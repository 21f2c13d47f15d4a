# syntax=docker/dockerfile:1
# Two stages: the first builds with everything, the second carries what runs, as a user without rights.
# `docker build -t hongyan .`; docs/operations.md says how to run it. The base is pinned to a major version of Node and a release
# of Debian: newer patch releases of both come with a rebuild.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without scripts: nothing that is installed may run code here; lmdb brings its binary along as a package.
RUN npm ci --ignore-scripts --no-audit
COPY tsconfig.json LICENSE ./
COPY shared shared
COPY server server
COPY miniprogram miniprogram
COPY demo demo
COPY bench bench
COPY test test
COPY scripts scripts
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit

FROM node:22-bookworm-slim
LABEL org.opencontainers.image.title="Hongyan" org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production HONGYAN_HOST=0.0.0.0 HONGYAN_PORT=8480 HONGYAN_DATA=/data HONGYAN_LOG_PRETTY=false
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist/shared dist/shared
COPY --from=build /app/dist/server dist/server
RUN ln -s /app/dist/server/main.js /usr/local/bin/hongyan && chmod 755 dist/server/main.js && install -d -o node -g node -m 700 /data
USER node
VOLUME /data
EXPOSE 8480 9464
# /healthz says that the process lives; /readyz, which an orchestrator asks, that it can do its work.
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.HONGYAN_PORT + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/server/main.js"]
CMD ["serve"]
