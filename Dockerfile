# The worker and the command line. The same image runs the migrations: see docker-compose.yml.

FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# No package of ours needs its install script, and none is run.
RUN npm ci --ignore-scripts --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit
# Temporal's native part comes for five platforms, 30 MB each; the image is for one.
COPY docker/prune-platforms.mjs ./
RUN node prune-platforms.mjs && rm prune-platforms.mjs

FROM node:24-trixie-slim
ENV NODE_ENV=production HTTP_HOST=0.0.0.0 HTTP_PORT=9464
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=build /app/dist ./dist
RUN chmod +x dist/client.js && ln -s /app/dist/client.js /usr/local/bin/allegro-stock-sync
USER node
EXPOSE 9464
# The worker lets the requests that are under way end, at most 20 s; npm would not pass the signal on.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HTTP_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Without a limit Node lets garbage grow far over what the worker needs.
CMD ["node", "--max-old-space-size=256", "dist/worker.js"]
