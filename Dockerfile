# The build has Bun and the dependencies; the image has the executable, the five glibc files that it loads, and no shell.
FROM oven/bun:1.4.5-slim AS build
WORKDIR /build
# First what dependencies are made of, so that a change of the source does not install them again.
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY build.ts tsconfig.json ./
COPY src ./src
RUN bun build.ts
# ldd names libc, libm, libdl, libpthread and the loader where this architecture has them.
RUN mkdir -p /image/tmp /data && chmod 1777 /image/tmp && \
    ldd dist/hipflask | grep -o '/[^ ]*' | xargs -I FILE cp -L --parents FILE /image && \
    cp dist/hipflask /image

FROM scratch
LABEL org.opencontainers.image.title="hipflask" \
      org.opencontainers.image.description="A REST backend in one executable: describe a resource in TypeScript, run the binary." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
# Mount a folder of resource files at /app/resources.
WORKDIR /app
ENV HIPFLASK_DATA=/data HIPFLASK_HOST=0.0.0.0
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/hipflask", "health"]
ENTRYPOINT ["/hipflask"]
CMD ["serve"]
